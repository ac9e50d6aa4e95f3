"""``loadproof`` in the process of the tests, where its libraries are loaded once for all commands."""

import contextlib
import io

from typer.testing import CliRunner

from loadtest.cli.main import app, report_error
from loadtest.errors import LoadproofError


def command(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command, and all that it said."""
    done = CliRunner().invoke(app, arguments, env=environment)
    error = done.exception
    if isinstance(error, LoadproofError):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return report_error(error), done.output + said.getvalue()
    # the runner turns anything else into 1, which is FAIL
    if not isinstance(error, SystemExit | None):
        raise error
    return done.exit_code, done.output
