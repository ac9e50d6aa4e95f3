"""Text to objects: what an experiment's file and its gates say. May import ``stats`` and ``errors``."""
