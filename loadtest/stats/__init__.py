"""Statistics on arrays: intervals and tests. May import NumPy and SciPy only; no I/O, no clock."""
