"""The gateway: its routes and the canary's state that it serves. May import canary and below."""
