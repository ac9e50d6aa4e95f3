"""Starting the services of a Compose lab: on free ports, and with a reason when one does not come up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loadtest.errors import LabError, StartError
from loadtest.lab.compose.project import Container, Project
from loadtest.lab.free_ports import free_port


class Port(NamedTuple):
    """A published port: of which service, the variable that sets it, the usual one, and the one inside.

    0 as the usual one: any, as a version is killed and started again, and between the two another lab would
    find the usual one free.
    """

    service: str
    variable: str
    usual: int
    inside: int


PORTS = {
    "gateway": Port("gateway", "GATEWAY_PORT", 8080, 8080),
    "stats": Port("gateway", "STATS_PORT", 9902, 9902),
    "stable": Port("stable", "STABLE_PORT", 0, 8000),
    "candidate": Port("candidate", "CANDIDATE_PORT", 0, 8000),
    "control": Port("control", "CONTROL_PORT", 0, 8000),
    "prometheus": Port("prometheus", "PROMETHEUS_PORT", 9090, 9090),
}
"""Per endpoint of a lab."""

_START_SECONDS = 120
_ATTEMPTS = 3
_PORT_TAKEN = ("port is already allocated", "address already in use")


def start(project: Project, services: Sequence[str]) -> dict[str, Container]:
    """Start services, wait until they are healthy, and return their containers by service.

    Raises:
        StartError: one did not become healthy; carries the last lines of its log.
    """
    for attempt in range(_ATTEMPTS):
        try:
            _up(project, services)
            break
        except LabError as error:
            # somebody took a port in the meantime
            taken = any(words in str(error) for words in _PORT_TAKEN)
            if not taken or attempt + 1 == _ATTEMPTS:
                raise _explain(project, error) from None
    return project.containers()


def _up(project: Project, services: Sequence[str]) -> None:
    ports: dict[str, int] = {}
    for _, variable, usual, _ in (port for port in PORTS.values() if port.service in services):
        # fixed, where Docker's own choice would change with every restart of the container
        ports[variable] = free_port(usual, ports.values())
    project.compose(
        *("up", "--detach", "--no-deps", "--no-build", "--pull", "never"),
        *("--wait", "--wait-timeout", str(_START_SECONDS), *services),
        timeout=_START_SECONDS + 60,
        environment={variable: str(port) for variable, port in ports.items()},
    )


def _explain(project: Project, error: LabError) -> StartError:
    """The same failure by the name and the log of the service that caused it."""
    for container in project.containers().values():
        fault = container.fault()
        if fault and container.state["Status"] != "created":
            return StartError(f"{container.service} did not start: it {fault}", project.log(container))
        if container.state.get("Health", {}).get("Status") == "starting":
            return StartError(
                f"{container.service} was not ready within {_START_SECONDS} s", project.log(container)
            )
    return StartError(f"the lab did not start: {error}", error.log)
