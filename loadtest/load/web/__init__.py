"""Locust's web UI: options, the live tab, further endpoints. Imports cluster and live; nothing imports it."""
