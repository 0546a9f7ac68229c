"""What `fruits audit` looks at: every row against every manifest, every vector against its features, every commit."""
