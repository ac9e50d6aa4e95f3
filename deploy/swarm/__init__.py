"""The stack file of a swarm, derived from compose.yaml."""
