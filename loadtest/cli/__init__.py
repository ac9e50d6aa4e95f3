"""The verbs of the ``loadproof`` command, one file a verb; ``loadtest.cli.main`` puts them together."""
