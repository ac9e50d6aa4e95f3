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
