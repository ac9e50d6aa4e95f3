"""Locust's web UI: options, the live tab, endpoints. May import cluster and live; nothing imports it."""
