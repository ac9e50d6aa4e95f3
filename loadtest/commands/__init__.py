"""The verbs of the ``loadproof`` command, one file a verb; ``loadtest.cli`` puts them together."""
