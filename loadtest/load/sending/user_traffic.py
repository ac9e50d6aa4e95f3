"""Unpinned traffic: users with identities, whom the gateway gives a version, and what they report later.

Each arrival is one user out of a population, and one request without a pin; its sample names who answered.
Some seconds after a usable answer, the true outcome, where the rows have labels, is posted as feedback to the
version that gave it: as in production, accuracy is known late.
"""

from __future__ import annotations

import logging
from typing import Any

import gevent
import numpy as np
import orjson
from gevent.pool import Group

from contract.headers import FEEDBACK_TOKEN, USER_ID
from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import ROLES, Role
from loadtest.load.sending.arrivals import Schedule
from loadtest.load.sending.driver import Driver
from loadtest.load.sending.http_client import Client

log = logging.getLogger(__name__)

_LATEST = 10.0
"""Feedback is at most this many times as late as on average."""


class UnpinnedDriver(Driver):
    """Sends one worker's arrivals as ``Driver`` does, without a pin; ``driver`` are its arguments.

    ``load`` says the population, the mean delay of feedback (exponential) and the seed; ``feedback_path`` is
    below the target's base URL; ``feedback_token`` says that it is the lab owner's own.
    """

    def __init__(
        self,
        *,
        load: Load,
        dataset: Dataset,
        worker: int,
        feedback_path: str,
        feedback_token: str = "",
        **driver: Any,
    ) -> None:
        super().__init__(**driver)
        client: Client = driver["clients"][0]
        self._client = client
        schedule: Schedule = driver["schedule"]
        arrivals, users = len(schedule), schedule.user
        draws = np.random.default_rng([load.seed, worker, 1])
        self._users = (draws.integers(0, load.users, arrivals) if users is None else users).tolist()
        self._delays = np.minimum(
            draws.exponential(1.0, arrivals) * load.feedback_delay, _LATEST * load.feedback_delay
        ).tolist()
        self._labels = dataset.labels.tolist() if dataset.labelled else None
        self._path = self._codecs[0].path
        token = {FEEDBACK_TOKEN: feedback_token} if feedback_token else {}
        self._feedback_heads = [client.head(feedback_path, role, token) for role in ROLES]
        self._last: dict[int, int] = {}
        self._late = Group()
        self.feedback = {"accepted": 0, "refused": 0}

    def drive(self, origin: float) -> None:
        """Send everything; feedback that is still to come when the last request has ended is not sent."""
        super().drive(origin)
        self._late.kill()
        if self.feedback["refused"]:
            log.warning("feedback: %(accepted)d accepted, %(refused)d refused or lost", self.feedback)

    def _arrive(self, scheduled_at: float, row: int, candidate_first: bool) -> None:  # noqa: ARG002 - as for pinned
        if scheduled_at >= 0:
            self.sent += 1
        number = self._serial
        self._serial += 1
        self._in_flight[number] = scheduled_at
        gevent.spawn_raw(self._follow, ROLES.index(Role.STABLE), scheduled_at, row, number)

    def _send(self, role: int, scheduled_at: float, row: int, number: int) -> None:
        user, request_id = self._users[number], b"%b%d" % (self._ids, number)
        head = self._client.head(self._path, None, {USER_ID: f"user-{user}"})
        traceparent = self._trace(row, scheduled_at, role) if self._trace else b""
        answer = self._client.post(head, self._bodies[0][row], request_id, traceparent)
        # an answer that names nobody is laid to whom the user had last: users stay where they are
        named = ROLES.index(answer.role) if answer.role in ROLES else None
        role = self._last.get(user, role) if named is None else named
        self._last[user] = role
        self._note(answer, role, scheduled_at)
        if scheduled_at < 0:
            self.warmup[role] += 1
        else:
            self._record(answer, role, scheduled_at, row, number)
        if answer.status == 200 and named is not None and self._labels:
            self._late.start(
                gevent.Greenlet(self._report_truth, self._delays[number], role, request_id, self._labels[row])
            )

    def _report_truth(self, delay: float, role: int, request_id: bytes, label: object) -> None:
        gevent.sleep(delay)
        body = orjson.dumps({"id": request_id.decode(), "label": label})
        answer = self._client.post(self._feedback_heads[role], body, b"%b-feedback" % request_id, again=False)
        self.feedback["accepted" if answer.status == 200 else "refused"] += 1
