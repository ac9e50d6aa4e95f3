"""The baseline answers: which rows to ask, and asking each version without load. May import sending."""
