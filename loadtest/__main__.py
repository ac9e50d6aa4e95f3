"""``python -m loadtest`` is the ``loadproof`` command."""

from loadtest.cli import main

main()
