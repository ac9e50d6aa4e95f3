"""What services and loadtest must agree on, each thing once. May import the standard library only."""
