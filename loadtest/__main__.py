"""``python -m loadtest`` is the ``loadproof`` command."""

import sys


def main() -> None:
    """Entry point; Ctrl-C while the libraries load ends it as quietly as later."""
    try:
        from loadtest.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
