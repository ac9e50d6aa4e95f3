"""Arrivals and requests: what a worker does at each intended send. Imports data, experiment and protocols."""
