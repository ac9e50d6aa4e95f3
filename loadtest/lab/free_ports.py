"""Free TCP ports on this machine."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """A port that is free now: the preferred one, else any.

    Somebody else may take it before it is used; whoever starts a service on it tries again then.
    """
    for port in (preferred, 0):
        with socket.socket() as probe:
            # as servers do: a port whose last connections linger is free all the same
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")
