"""The canary's side of a version: faults on demand, feedback, answers in shadow mode. May import contract."""
