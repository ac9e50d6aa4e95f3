"""The services of the lab. May import contract, never loadtest."""
