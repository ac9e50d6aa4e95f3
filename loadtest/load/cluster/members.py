"""Who takes part in a run: workers that are connected, know the master's token and are of its version."""

from __future__ import annotations

import logging
import os
from typing import Any

from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.messages import Joined, Welcome

logger = logging.getLogger(__name__)


class Members:
    """``Members(runner, channel, "0.1.0 (1f3a9c0d)").workers``, by Locust's ids.

    ``introduced``: a worker takes part only once it has said which version it is, and that it knows the token
    where there is one.
    """

    def __init__(self, runner: Any, channel: Channel, version: str, *, introduced: bool) -> None:
        self._runner = runner
        self._version = version
        self._introduced = introduced
        self._said: dict[str, str] = {}
        self._channel = channel
        channel.listen(Joined, self._on_joined, refused=self._welcome)

    @property
    def workers(self) -> list[str]:
        """Those that take part in a run that begins now, in order; the only process is a worker, too."""
        runner = self._runner
        if not hasattr(runner, "clients"):
            return [runner.client_id]
        there = self._connected - self.others.keys()
        if self._introduced:
            there &= self._said.keys()
        return sorted(there, key=runner.get_worker_index)

    @property
    def others(self) -> dict[str, str]:
        """Those that are connected and of another version, and which; '': older, which does not say."""
        return {
            client: version
            for client, version in sorted(self._said.items())
            if version != self._version and client in self._connected
        }

    @property
    def strangers(self) -> list[str]:
        """Those that are connected and that no word was understood of: another token, or none."""
        return sorted(self._connected - set(self.workers) - self.others.keys())

    @property
    def _connected(self) -> set[str]:
        clients = self._runner.clients
        return {node.id for node in clients.ready + clients.spawning + clients.running}

    def _welcome(self, sender: str) -> None:
        """Tell a worker that its master is no other Locust, whatever it said itself."""
        self._channel.send(Welcome(), sender)

    def _on_joined(self, joined: Joined, sender: str) -> None:
        self._welcome(sender)
        if joined.worker != sender or self._said.get(sender) == joined.version:
            return
        self._said[sender] = joined.version
        if joined.version == self._version:
            logger.info("worker %s takes part", sender)
        else:
            logger.warning(
                "worker %s is Loadproof %s, not %s, and takes no part", sender, joined.version, self._version
            )


def lives(worker: int) -> bool:
    """Whether a worker that this process forked runs, by its process id.

    A minute after one has ended, gevent has forgotten it, and it is nobody's child.
    """
    try:
        return bool(os.waitpid(worker, os.WNOHANG) == (0, 0))
    except ChildProcessError:
        return False
