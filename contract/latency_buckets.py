"""The bounds of every latency histogram, so that quantiles of client and server can be compared."""

LATENCY_BUCKETS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
"""Seconds. Dense between 50 and 500 ms, where a CPU limit's 100 ms periods show."""
