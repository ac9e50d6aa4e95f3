"""Workers on other machines that send a run's load: where they join, how many there must be, and by when."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from loadtest.errors import UsageError

_ANY = "0.0.0.0"  # noqa: S104 - compared with, never bound by default


@dataclass(frozen=True)
class RemoteWorkers:
    """``RemoteWorkers.at("10.0.0.5", 5557, 2, 300.0)``: two workers, which have five minutes to join.

    Args:
        host: IP address of this machine that the run's master listens at.
        port: its port.
        count: workers that must have joined before the run begins.
        max_wait: seconds that they have for it.
    """

    host: str
    port: int
    count: int
    max_wait: float

    @classmethod
    def at(cls, host: str, port: int, count: int, max_wait: float) -> Self:
        """Workers that join at a name or an address of this machine.

        Raises:
            UsageError: it is none of this machine's, or its port is taken.
        """
        try:
            address = str(socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
            with socket.socket() as probe:
                # as the master does: a port whose last connections linger is free all the same
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            raise UsageError(
                f"--listen {host}:{port}: cannot listen there ({error.strerror or error}); "
                "give an IPv4 address of this machine and a port that is free"
            ) from None
        return cls(address, port, count, max_wait)

    @property
    def anywhere(self) -> bool:
        """They may join at every address of this machine, of which none is then the one to name."""
        return self.host == _ANY

    @property
    def beyond(self) -> bool:
        """They may be on other machines."""
        return not ip_address(self.host).is_loopback

    def options(self, host: str | None = None, gateway: str | None = None) -> list[str]:
        """What the load generator is told.

        Args:
            host: that it listens at, where it is not on this machine itself; None: ``host``.
            gateway: base URL of the gateway as the workers reach it; None: as the generator does.
        """
        options = ["--listen", f"{host or self.host}:{self.port}", "--joined-at", f"{self.host}:{self.port}"]
        options += ["--expect-workers", str(self.count), "--expect-workers-max-wait", f"{self.max_wait:g}"]
        return options if gateway is None else [*options, "--workers-host", gateway]
