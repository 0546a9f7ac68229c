"""What `fruits audit` looks at: every row against every manifest, of reduced also against features; every commit."""
