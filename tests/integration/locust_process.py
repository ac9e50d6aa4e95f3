"""The ``locust`` command as a process."""

import os
import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import requests

LOCUST = [sys.executable, "-m", "locust", "-f", "loadtest/load/locustfile.py"]


def free_port():
    """A port below those that the system gives to connections, which could take it before a server does."""
    while True:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", random.SystemRandom().randint(15000, 32000)))
            except OSError:
                continue
            return sock.getsockname()[1]


def until(what, seconds=200):
    """Wait until ``what()`` is true; its value. After ``seconds`` it hangs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := what():
                return value
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise TimeoutError


@contextmanager
def locust(folder, *arguments, **variables):
    """A ``locust`` process; its log is folder/locust.log, ``variables`` join its environment."""
    environment = os.environ | variables
    environment["LOADPROOF_EXPERIMENT"] = str(folder / "experiment.toml")
    environment["LOADPROOF_RESULTS"] = str(folder / "results")
    with (folder / "locust.log").open("a") as log:
        process = subprocess.Popen([*LOCUST, *arguments], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


def runs(folder):
    return sorted(path.parent for path in folder.glob("results/2*/load.json"))


class Page:
    """Locust's web UI, as a browser talks to it."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = ["--web-host", "127.0.0.1", "--web-port", str(self.port)]
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy

    def get(self, path=""):
        return self._session.get(self.url + path, timeout=60)

    def is_up(self):
        return self.get().ok

    def start(self, **fields):
        answer = self._session.post(f"{self.url}/swarm", data=fields, timeout=60).json()
        assert answer["success"], answer

    def stop(self):
        assert self._session.post(f"{self.url}/stop", timeout=120).json()["success"]

    def stats(self):
        return self.get("/stats/requests").json()

    def live(self):
        return self.get("/loadproof/live.json").json()

    def answered(self):
        return {row["name"]: row["num_requests"] for row in self.stats()["stats"]}
