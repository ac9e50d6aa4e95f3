"""``python -m loadtest`` is the ``loadproof`` command."""

import atexit
import gc
import io
import os
import sys


def main() -> None:
    """Entry point: the whole command, or a rollback, which does not wait for the command's libraries.

    Ctrl-C while these load ends it as quietly as later; what nobody expected is a bug, whatever the verb.
    """
    code: int | str | None = None
    # registered first, so it is called last
    atexit.register(lambda: _leave(code))
    for stream in (sys.stdout, sys.stderr):
        write_anything(stream)
    try:
        if sys.argv[1:3] == ["canary", "rollback"]:
            from loadtest.cli.rollback import at_once

            code = at_once(sys.argv[3:])
            if code is not None:
                sys.exit(code)
        # Arrow's allocator holds on to freed memory for 10 ms else: a quarter of the judge's peak, by chance
        os.environ.setdefault("MIMALLOC_PURGE_DELAY", "2")
        # what is imported stays: looking for garbage in it takes a tenth of a second
        gc.disable()
        from loadtest.cli.main import main as run
        from loadtest.data.without_pandas import keep_pandas_out

        if sys.argv[1:2] != ["publish"]:  # MLflow's own client may need it
            keep_pandas_out()
        gc.freeze()
        gc.enable()
        run()
    except SystemExit as ended:
        code = ended.code
        raise
    except KeyboardInterrupt:
        code = 130
        sys.exit(code)
    except Exception as error:
        code = report_bug(error)
        sys.exit(code)


def write_anything(stream: object) -> None:
    """Let a stream in an encoding without our marks show question marks: no verdict may end on a tick."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def _leave(code: int | str | None) -> None:
    """End the process before its libraries are taken down.

    Arrow's threads may still be ending then, and abort the process: its exit code, the verdict, would be lost
    (apache/arrow#34314). Anything but an exit code is left to Python.
    """
    if not isinstance(code, int | None):
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        # a closed pipe or stream; Python says so
        return
    os._exit(code or 0)


def report_bug(error: BaseException) -> int:
    """Write the traceback to a file, say in one line on standard error where, and return the exit code."""
    import tempfile
    import traceback

    from loadtest import __version__
    from loadtest.errors import ExitCode

    what = " ".join(f"{type(error).__name__}: {error}".split())
    try:
        descriptor, path = tempfile.mkstemp(prefix="loadproof-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"loadproof {__version__}, Python {sys.version}, {sys.platform}\n{sys.argv}\n\n")
            traceback.print_exception(error, file=file)
    except OSError as disk:
        path = f"nowhere ({disk.strerror})"
    sys.stderr.write(
        f"loadproof: {what}; this is a bug of Loadproof and says nothing of the candidate; the traceback is "
        f"in {path}; please report it with that file to Loadproof's issue tracker\n"
    )
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"loadproof: {note}\n")
    return ExitCode.BUG


if __name__ == "__main__":
    main()
