"""The lab on Docker Compose. Imports gateway, services and the load process of the local lab."""
