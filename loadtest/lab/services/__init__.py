"""What the services of a lab report over HTTP. May import canary, data and fetch, but no backend."""
