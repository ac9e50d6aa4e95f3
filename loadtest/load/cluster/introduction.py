"""A worker introduces itself to its master, and ends where the master turns out to be no Loadproof."""

from __future__ import annotations

import logging
from typing import Any

import gevent

from loadtest.errors import ExitCode
from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.messages import Joined, Welcome
from loadtest.load.cluster.own_version import own_version

_HEARTBEATS = 3
"""A master of ours answers the first Joined before it sends its second heartbeat."""

logger = logging.getLogger(__name__)


class Introduction:
    """Says Joined at every heartbeat of the master, until it is clear that nobody there understands it.

    Args:
        channel: of this process.
        runner: Locust's, of a worker.
    """

    def __init__(self, channel: Channel, runner: Any) -> None:
        self._channel = channel
        self._runner = runner
        self._joined = Joined(runner.client_id, own_version())
        self._heartbeats: int | None = 0
        channel.listen(Welcome, self._settle, refused=self._on_refused)

    def on_heartbeat(self, **_: object) -> None:
        """The master is alive."""
        self._channel.send(self._joined)
        if self._heartbeats is None:
            return
        self._heartbeats += 1
        if self._heartbeats == _HEARTBEATS:
            self._settle()
            logger.error(
                "%s:%s: what listens there is a Locust master without Loadproof, or of an older one; give "
                "the address that `loadproof compare --listen` prints, and take the same version",
                self._runner.master_host,
                self._runner.master_port,
            )
            self._runner.environment.process_exit_code = int(ExitCode.LAB)
            gevent.spawn(self._runner.quit)  # it ends the greenlet that calls this

    def _on_refused(self, _: object) -> None:
        """A master of ours that signs with another token: it lists this worker as one that takes no part."""
        if self._heartbeats is not None:
            logger.error(
                "%s:%s: the master's LOADPROOF_WORKER_TOKEN is not this worker's, or only one of them has "
                "one: it takes no part; end it with Ctrl-C, and start it with the master's",
                self._runner.master_host,
                self._runner.master_port,
            )
        self._settle()

    def _settle(self, *_: object) -> None:
        self._heartbeats = None
