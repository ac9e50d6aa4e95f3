"""The load generator: arrivals drawn up front, sent by Locust, every sample recorded."""
