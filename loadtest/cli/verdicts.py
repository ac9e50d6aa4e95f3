"""``loadproof verdicts``: stored verdicts over HTTP, for a rollout that waits for one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.errors import UsageError
from loadtest.publish.verdict_lookup import find_verdict
from loadtest.publish.verdict_server import VerdictServer


def verdicts(
    results: Annotated[Path, typer.Argument(help="The folder of all runs.")] = Path("results"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")] = 8790,
    address: Annotated[str, typer.Option(help="Address to listen on; in a container 0.0.0.0.")] = "127.0.0.1",
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name by which it may be asked, such as a service's; may be repeated."),
    ] = None,
) -> None:
    """Answer Argo Rollouts and Flagger with stored verdicts.

    Over HTTP; the results folder is only read.
    """
    if not results.is_dir():
        raise UsageError(f"{results}: no folder; name the one that holds the run folders")
    try:
        server = VerdictServer(
            (address, port),
            lambda question: find_verdict(results, question, datetime.now(UTC)),
            host or (),
        )
    except OSError as error:
        raise UsageError(f"{address}:{port}: {error.strerror or error}; choose another --port") from None
    with server:
        console.print(
            f"verdicts of {results}: http://{address}:{server.server_port}/v1/verdict?candidate=NAME"
        )
        server.serve_forever()
