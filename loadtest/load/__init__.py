"""The load generator, a process of its own. May import data, experiment, stats; nothing imports it."""
