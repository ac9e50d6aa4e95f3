"""``loadproof publish``: a stored verdict, taken to the tools that people have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated, Self

import typer

from loadtest.cli.console import console
from loadtest.cli.options import Mlflow, MlflowOnPass
from loadtest.errors import LoadproofError, TargetError, UsageError
from loadtest.publish.destination import Destination
from loadtest.publish.github import GithubJob
from loadtest.publish.mlflow_tracking import MlflowTracking
from loadtest.publish.otlp import ENDPOINT, Collector
from loadtest.publish.stored_verdict import read_verdict
from loadtest.publish.webhook import URL, Webhook


def _say(line: str) -> None:
    # not among what a verdict prints: a program may read that
    print(f"loadproof: {line}", file=sys.stderr, flush=True)


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


@dataclass(frozen=True)
class Publication:
    """Where a verdict goes once it stands. What goes wrong there costs one line each, never the verdict."""

    destinations: Sequence[Destination]
    say: Callable[[str], None] = _say
    tell: Callable[[str], None] = _print

    @classmethod
    def of_compare(cls, *, mlflow: bool, mlflow_on_pass: Sequence[str] | None, traced: bool = False) -> Self:
        """What was asked for, and what the environment names: a webhook, and where requests are ``traced`` a
        collector of spans; checked before there is any load.

        Raises:
            UsageError: something is missing for it.
        """
        webhook, collector = Webhook.from_environment(), Collector.from_environment() if traced else None
        named = [one for one in (webhook, collector) if one is not None]
        # standard output ends with the verdict
        return cls([*_mlflow(mlflow, mlflow_on_pass), *named], tell=_say)

    def after_verdict(self, folder: Path) -> None:
        """Deliver the verdict of a run folder; of what was not delivered, say why and how to retry."""
        try:
            for destination, problem in self.deliver(folder):
                self.say(f"not delivered to {destination.name}: {problem}")
                self.say(
                    f"the verdict stands; retry: loadproof publish {quote(str(folder))} {destination.retry}"
                )
        except KeyboardInterrupt:
            self.say("publishing was interrupted; the verdict stands")
        except Exception as error:  # a bug of ours, too, leaves the verdict as it is
            self.say(f"not published: {type(error).__name__}: {error}; the verdict stands")

    def deliver(self, folder: Path) -> list[tuple[Destination, str]]:
        """Deliver to all; returns those that did not take it, and why.

        Raises:
            UsageError: the folder holds no verdict.
        """
        failed: list[tuple[Destination, str]] = []
        if self.destinations:
            stored = read_verdict(folder)
            for destination in self.destinations:
                try:
                    self.tell(destination.deliver(stored))
                except LoadproofError as error:
                    failed.append((destination, str(error)))
        return failed


def _mlflow(wanted: bool, on_pass: Sequence[str] | None) -> list[Destination]:
    if on_pass and not wanted:
        raise UsageError("--mlflow-on-pass: give --mlflow, too")
    return [MlflowTracking.from_environment(on_pass or ())] if wanted else []


def _collector(run: Path) -> Collector:
    collector = Collector.from_environment()
    if collector is None:
        raise UsageError(
            f"--otlp: {ENDPOINT} is not set; set it to a collector's URL, such as http://host:4318"
        )
    if not read_verdict(run).experiment.load.trace:
        raise UsageError(f"--otlp: the requests of {run} carried no trace; measure with --trace")
    return collector


def publish(
    run: Annotated[Path, typer.Argument(help="A run folder, such as results/latest.")] = Path(
        "results/latest"
    ),
    mlflow: Mlflow = False,
    mlflow_on_pass: MlflowOnPass = None,
    webhook: Annotated[
        bool, typer.Option("--webhook", help="Send it to the webhook of LOADPROOF_WEBHOOK_URL, signed.")
    ] = False,
    otlp: Annotated[
        bool, typer.Option("--otlp", help=f"Send its requests as spans to the collector of {ENDPOINT}.")
    ] = False,
    github: Annotated[
        bool, typer.Option("--github", help="Put it on the page of the GitHub job, with annotations.")
    ] = False,
) -> None:
    """Take the verdict of a stored run to other tools.

    It goes as it was written; the exit code is 0 once all have it.
    """
    destinations = _mlflow(mlflow, mlflow_on_pass)
    if webhook:
        named = Webhook.from_environment()
        if named is None:
            raise UsageError(f"--webhook: {URL} is not set")
        destinations.append(named)
    if otlp:
        destinations.append(_collector(run))
    if github:
        destinations.append(GithubJob.from_environment())
    if not destinations:
        raise UsageError("publish: say where to: --mlflow, --webhook, --otlp, --github")
    failed = Publication(destinations).deliver(run)
    if failed:
        raise TargetError("; ".join(f"not delivered to {one.name}: {problem}" for one, problem in failed))
