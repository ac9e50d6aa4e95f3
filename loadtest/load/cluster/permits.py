"""What a master may have a worker do: the hosts that it sends to, and the variables that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment

_LAB = frozenset({"gateway"})
"""The service of the lab's own network; without a header of a variable."""


@dataclass(frozen=True)
class Permits:
    """What this machine's owner allows: ``Permits(("models.example",), ("TOKEN",)).check(experiment, host)``.

    Args:
        hosts: that requests may go to, as ``name`` or ``name:port``.
        variables: of the environment that a header ``Name: env:VARIABLE`` may take its value from.
        local: the master is reached on this machine, whose own ports may then be sent to.
    """

    hosts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    local: bool = False

    def check(self, experiment: Experiment, host: str) -> None:
        """Refuse a master's job before anything is read from the environment or sent.

        ``host`` is the gateway's base URL; unused where the experiment names two servers.

        Raises:
            UsageError: a host or a variable is not allowed; the one line names it and the option.
        """
        target = experiment.target
        for url in [host] if target is None else [target.url(role) for role in experiment.roles]:
            if not self._allows(url, gateway=target is None):
                raise UsageError(
                    f"the master names the host {_of(url)!r}, which this worker does not allow; "
                    "start it with --allow-host (LOADPROOF_WORKER_HOSTS)"
                )
        for header in () if target is None else target.headers:
            _, _, value = header.partition(":")
            variable = value.strip().removeprefix("env:")
            if value.strip().startswith("env:") and variable not in self.variables:
                raise UsageError(
                    f"the master asks for the variable {variable!r}, which this worker does not allow; "
                    "start it with --allow-variable (LOADPROOF_WORKER_VARIABLES)"
                )

    def _allows(self, url: str, *, gateway: bool) -> bool:
        parts = urlsplit(url)
        name = parts.hostname or ""
        named = {allowed.lower() for allowed in self.hosts}
        return bool(
            named & {name, parts.netloc.lower()}
            or (gateway and name in _LAB)
            or (self.local and is_local(name))
        )


def is_local(host: str) -> bool:
    """Whether a host's name or address is of the machine that asks for it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of(url: str) -> str:
    return urlsplit(url).netloc[:100]
