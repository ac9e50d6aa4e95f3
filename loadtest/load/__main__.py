"""The load generator: ``python -m loadtest.load --job DIR --host URL [--workers N] [--stream]``.

``--listen HOST:PORT --expect-workers N`` waits for workers on other machines instead of starting its own.


Reads ``DIR/experiment.toml``; prints live figures to standard output, one JSON object a line about once a
second (with ``--stream`` also every sample, see ``loadtest.data.samples``), and its log to standard error;
writes ``DIR/samples.parquet`` and ``DIR/load.json``. SIGINT, SIGTERM and SIGHUP end it early and keep what
was measured. Exit codes: ``loadtest.errors.ExitCode``.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from pathlib import Path

# first: importing locust patches the standard library
from loadtest.load import headless  # isort: skip

from loadtest.data.without_pandas import keep_pandas_out
from loadtest.errors import ExitCode, LoadproofError
from loadtest.load.cluster.joining import Joining


def main() -> ExitCode:
    """Parse the arguments, run, and turn every expected error into one line and its exit code."""
    keep_pandas_out()
    # what is imported stays; Python looks for garbage in it a last time at the end, for a fifth of a second
    gc.freeze()
    parser = argparse.ArgumentParser(prog="python -m loadtest.load", allow_abbrev=False)
    parser.add_argument("--job", type=Path, required=True, help="folder with experiment.toml")
    parser.add_argument("--host", required=True, help="base URL of the gateway")
    parser.add_argument("--workers", type=int, help="worker processes (default: the experiment's)")
    parser.add_argument("--listen", type=_address, help="HOST:PORT at which workers on other machines join")
    parser.add_argument("--expect-workers", type=int, default=1, help="so many of them must have joined")
    parser.add_argument("--expect-workers-max-wait", type=float, default=60.0, help="seconds that they have")
    parser.add_argument("--joined-at", help="HOST:PORT as they reach it (default: --listen)")
    parser.add_argument("--workers-host", help="base URL of the gateway as they reach it (default: --host)")
    parser.add_argument("--stream", action="store_true", help="print the samples too, once a second")
    arguments = parser.parse_args()
    if arguments.workers is not None and arguments.workers < 1:
        parser.error("--workers: at least 1")
    joining = None
    if arguments.listen:
        host, port = arguments.listen
        joining = Joining(
            host,
            port,
            arguments.expect_workers,
            arguments.expect_workers_max_wait,
            arguments.joined_at or f"{host}:{port}",
            arguments.workers_host,
        )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="load: %(levelname)s %(name)s: %(message)s"
    )
    try:
        return headless.run(
            arguments.job, arguments.host, arguments.workers, stream=arguments.stream, joining=joining
        )
    except LoadproofError as error:
        print(f"load: {error}", file=sys.stderr)
        return error.exit_code


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    sys.exit(main())
