"""A run that waits for workers on other machines: it begins when enough of them have joined."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.event import Event

from loadtest.errors import StartError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.load.cluster.members import Members
from loadtest.load.cluster.own_version import own_version

_POLL = 0.25
_CLOCK_OFF = 5.0
"""Seconds; less may be the way of the start's message to a busy worker."""
_ENVIRONMENT = "env:"


@dataclass(frozen=True)
class Joining:
    """``Joining("10.0.0.5", 5557, 2, 300.0)``: the master listens there, and two workers have five minutes.

    Args:
        host: address that the master listens at.
        port: its port.
        count: workers that must have joined before the run begins; any more take part, too.
        max_wait: seconds that they have for it.
        at: ``HOST:PORT`` at which the workers reach the master.
        gateway: base URL of the gateway as the workers reach it; None: as the master does.
    """

    host: str
    port: int
    count: int
    max_wait: float
    at: str
    gateway: str | None = None

    def wait(
        self,
        members: Members,
        command: str,
        show: Callable[[dict[str, Any]], None],
        interrupted: Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wait until enough workers have joined, or ``interrupted``.

        ``show`` takes ``{"workers": ...}`` whenever another one has joined, was refused, or has left again.
        ``command`` is what a person types to add one.

        Raises:
            StartError: too few joined in time; says who did, and how the others are started.
        """
        end = clock() + self.max_wait
        shown: tuple[int, str] = (-1, "")
        while not interrupted.is_set():
            joined, refused = len(members.workers), refusals(members.others, ())
            if (joined, refused) != shown:
                shown = joined, refused
                said = {"joined": joined, "expected": self.count, "at": self.at, "start": command}
                show({"workers": said | ({"refused": refused} if refused else {})})
            if joined >= self.count:
                return
            if clock() >= end:
                raise StartError(late(self, members, command))
            gevent.sleep(_POLL)

    def note_clocks(self, skews: Sequence[float | None], show: Callable[[dict[str, Any]], None]) -> None:
        """Show the workers whose wall clocks are off; ``skews``: of ``LoadSummary.clock_skew_s``.

        Nothing follows from it: all times of a run are by the monotonic clocks of who took them.
        """
        off = {
            worker: skew for worker, skew in enumerate(skews) if skew is not None and abs(skew) > _CLOCK_OFF
        }
        if off:
            show({"clocks": off})


def refusals(others: Mapping[str, str], strangers: Sequence[str]) -> str:
    """Why workers that are connected take no part, by their machines; '' where all do."""
    said = [
        f"{machine(client)} has another version of Loadproof ({theirs or 'older'}, here {own_version()})"
        for client, theirs in others.items()
    ]
    if strangers:
        names = ", ".join(map(machine, strangers))
        said.append(
            f"{names} connected without the master's LOADPROOF_WORKER_TOKEN, or has an older Loadproof"
        )
    return "; ".join(said)


def late(joining: Joining, members: Members, command: str) -> str:
    """One line on the workers that did not come: who did, who may not, and how the others are started.

    ``command`` is what a person types to add a worker.
    """
    joined = members.workers
    came = f" ({', '.join(map(machine, joined))})" if joined else ""
    refused = refusals(members.others, members.strangers)
    unknown = f"; {refused}" if refused else ""
    return (
        f"{len(joined)} of {joining.count} workers joined at {joining.at} within {joining.max_wait:g} s{came}"
        f"{unknown}; start the missing ones with `{command}`, or wait longer with --expect-workers-max-wait"
    )


def machine(client: str) -> str:
    """The machine of a worker, by Locust's id of it (``node-7_1f2e...``)."""
    return client.rpartition("_")[0] or client


def worker_command(joining: Joining, experiment: Experiment, host: str) -> str:
    """What a person types on another machine, with all that the run asks of its owner.

    ``host`` is the gateway's base URL as the master reaches it; unused where the experiment names servers.
    """
    target = experiment.target
    urls = [joining.gateway or host] if target is None else [target.url(role) for role in ROLES]
    hosts = dict.fromkeys(urlsplit(url).hostname or "" for url in urls)
    values = (header.partition(":")[2].strip() for header in (target.headers if target else ()))
    variables = dict.fromkeys(
        value.removeprefix(_ENVIRONMENT) for value in values if value.startswith(_ENVIRONMENT)
    )
    words = ["loadproof", "worker", "--master", joining.at]
    words += [word for name in hosts for word in ("--allow-host", name)]
    words += [word for name in variables for word in ("--allow-variable", name)]
    return " ".join(words)
