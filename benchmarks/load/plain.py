"""The peer: the same traffic as a person would write it: closed-loop users and Locust's own statistics."""

from __future__ import annotations

import itertools
import os

from locust import FastHttpUser, constant_throughput, task

ROWS = itertools.count()
USERS = int(os.environ["PLAIN_USERS"])
RATE = float(os.environ["PLAIN_RATE"])


class Plain(FastHttpUser):
    """One of several users who share the rate, and wait for their answers."""

    wait_time = constant_throughput(RATE / USERS)

    @task
    def infer(self) -> None:
        """The next row, to stable."""
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [next(ROWS), 0]}
        self.client.post(
            "/v2/models/m/infer",
            json={"inputs": [tensor]},
            headers={"x-model-version": "stable"},
            name="plain",
        )
