"""From samples to a verdict. May import data, experiment, stats; no I/O, no clock: runs can be rejudged."""
