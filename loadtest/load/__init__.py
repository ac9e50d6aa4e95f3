"""The load generator, a separate process. May import data and below; others import its protocols only."""
