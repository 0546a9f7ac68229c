"""What `fruits audit` looks at: every row against every manifest, every one of reduced against features, every commit."""
