"""The ``locust`` command as a process."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import requests

LOCUST = [sys.executable, "-m", "locust", "-f", "loadtest/load/locustfile.py"]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until(what, seconds=60):
    """Wait until ``what()`` is true; its value."""
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
def locust(folder, *arguments):
    """A ``locust`` process; its log is folder/locust.log."""
    environment = os.environ | {
        "LOADPROOF_EXPERIMENT": str(folder / "experiment.toml"),
        "LOADPROOF_RESULTS": str(folder / "results"),
    }
    with (folder / "locust.log").open("a") as log:
        process = subprocess.Popen([*LOCUST, *arguments], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def runs(folder):
    return sorted(path.parent for path in folder.glob("results/2*/load.json"))


class Page:
    """Locust's web UI, as a browser talks to it."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = ["--web-host", "127.0.0.1", "--web-port", str(self.port)]

    def is_up(self):
        return requests.get(self.url, timeout=5).ok

    def start(self, **fields):
        answer = requests.post(f"{self.url}/swarm", data=fields, timeout=30).json()
        assert answer["success"], answer

    def stop(self):
        assert requests.post(f"{self.url}/stop", timeout=60).json()["success"]

    def stats(self):
        return requests.get(f"{self.url}/stats/requests", timeout=5).json()

    def live(self):
        return requests.get(f"{self.url}/loadproof/live.json", timeout=5).json()

    def answered(self):
        return {row["name"]: row["num_requests"] for row in self.stats()["stats"]}
