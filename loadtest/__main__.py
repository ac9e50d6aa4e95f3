"""``python -m loadtest`` is the ``loadproof`` command."""

import sys


def main() -> None:
    """Entry point; Ctrl-C while the libraries load ends it as quietly as later.

    A rollback does not wait for those libraries.
    """
    try:
        if sys.argv[1:3] == ["canary", "rollback"]:
            from loadtest.cli.rollback import at_once

            code = at_once(sys.argv[3:])
            if code is not None:
                sys.exit(code)
        from loadtest.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
