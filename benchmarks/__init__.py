"""Measurements of Loadproof itself."""
