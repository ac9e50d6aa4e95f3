"""Free TCP ports on this machine."""

from __future__ import annotations

import socket
from collections.abc import Collection

HOST = "127.0.0.1"
_DRAWS = 100


def free_port(preferred: int = 0, but: Collection[int] = ()) -> int:
    """A port that is free now: the preferred one, else any; ``but``: none of these, which are spoken for.

    Somebody else may take it before it is used; whoever starts a service on it tries again then.
    """
    for port in (preferred, *[0] * _DRAWS):
        with socket.socket() as probe:
            # as servers do: a port whose last connections linger is free all the same
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            if found not in but:
                return found
    raise OSError("no free port on this machine")
