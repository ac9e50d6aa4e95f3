"""Loadproof: load tests that say whether a new version of a model may go live."""

__version__ = "0.1.0"
