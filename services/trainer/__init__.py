"""The trainer: makes the demo versions and their evaluation sets."""
