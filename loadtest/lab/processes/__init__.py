"""Supervised processes of this machine, their limits, the load generator. May import what labs share."""
