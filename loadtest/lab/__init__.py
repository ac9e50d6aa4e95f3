"""The running services behind one port, on Docker Compose or as local processes."""
