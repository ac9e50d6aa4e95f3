"""``loadproof`` in the process of the tests, where its libraries are loaded once for all commands."""

from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.errors import LabError, LoadproofError


def command(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command, and all that it said."""
    done = CliRunner().invoke(app, arguments, env=environment)
    error = done.exception
    if isinstance(error, LoadproofError):
        log = [f"  | {line}" for line in error.log] if isinstance(error, LabError) else []
        return error.exit_code, "\n".join([done.output, *log, f"loadproof: {error}"])
    # the runner turns anything else into 1, which is FAIL
    if not isinstance(error, SystemExit | None):
        raise error
    return done.exit_code, done.output
