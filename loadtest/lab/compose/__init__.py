"""The lab on Docker Compose. May import the lab's gateway, services and interface."""
