"""The peer: the shortest Locust file there is, a user that posts and records nothing."""

from __future__ import annotations

import os

from locust import FastHttpUser, task

from contract.headers import MODEL_VERSION

BODY = os.environ["BARE_BODY"].encode()
PATH = os.environ["BARE_PATH"]
HEADERS = {"Content-Type": "application/json", MODEL_VERSION: "stable"}


class Bare(FastHttpUser):
    """Posts the same body again and again, without a pause."""

    @task
    def infer(self) -> None:
        """One request."""
        self.client.post(PATH, data=BODY, headers=HEADERS)
