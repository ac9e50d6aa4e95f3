"""The same traffic as a person would write it: closed-loop users and Locust's own statistics."""

import itertools
import os

from locust import FastHttpUser, constant_throughput, task

ROWS = itertools.count()
USERS = int(os.environ["PLAIN_USERS"])
RATE = float(os.environ["PLAIN_RATE"])


class Shopper(FastHttpUser):
    wait_time = constant_throughput(RATE / USERS)

    @task
    def infer(self):
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [next(ROWS), 0]}
        self.client.post(
            "/v2/models/m/infer",
            json={"inputs": [tensor]},
            headers={"x-model-version": "stable"},
            name="plain",
        )
