"""``python -m loadtest`` is the ``loadproof`` command."""

import sys


def main() -> None:
    """Entry point: the whole command, or a rollback, which does not wait for the command's libraries.

    Ctrl-C while these load ends it as quietly as later; what nobody expected is a bug, whatever the verb.
    """
    try:
        if sys.argv[1:3] == ["canary", "rollback"]:
            from loadtest.cli.rollback import at_once

            code = at_once(sys.argv[3:])
            if code is not None:
                sys.exit(code)
        from loadtest.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from loadtest.cli.crash import report_bug

        sys.exit(report_bug(error))


if __name__ == "__main__":
    main()
