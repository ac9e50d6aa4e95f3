"""The running services behind one port: Compose, local processes or two URLs. May import canary and below."""
