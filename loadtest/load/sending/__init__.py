"""Arrivals and requests: what a worker does at each intended send. May import data and protocols."""
