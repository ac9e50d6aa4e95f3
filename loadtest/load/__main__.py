"""The load generator: ``python -m loadtest.load --job DIR --host URL [--workers N] [--stream]``.

Reads ``DIR/experiment.toml``; prints live figures to standard output, one JSON object a line about once a
second (with ``--stream`` also every sample, see ``loadtest.data.samples``), and its log to standard error;
writes ``DIR/samples.parquet`` and ``DIR/load.json``. SIGINT, SIGTERM and SIGHUP end it early and keep what
was measured. Exit codes: ``loadtest.errors.ExitCode``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

# first: importing locust patches the standard library
from loadtest.load import headless  # isort: skip

from loadtest.errors import ExitCode, LoadproofError


def main() -> ExitCode:
    """Parse the arguments, run, and turn every expected error into one line and its exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.load", allow_abbrev=False)
    parser.add_argument("--job", type=Path, required=True, help="folder with experiment.toml")
    parser.add_argument("--host", required=True, help="base URL of the gateway")
    parser.add_argument("--workers", type=int, help="worker processes (default: the experiment's)")
    parser.add_argument("--stream", action="store_true", help="print the samples too, once a second")
    arguments = parser.parse_args()
    if arguments.workers is not None and arguments.workers < 1:
        parser.error("--workers: at least 1")
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="load: %(levelname)s %(name)s: %(message)s"
    )
    try:
        return headless.run(arguments.job, arguments.host, arguments.workers, stream=arguments.stream)
    except LoadproofError as error:
        print(f"load: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
