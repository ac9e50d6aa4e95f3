"""The canary: its state, the evidence, the decision. May import data, experiment, stats; no I/O, no clock."""
