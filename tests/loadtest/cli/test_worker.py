"""How a worker finds its master; that it works is in tests/integration/test_workers.py."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from loadtest.cli.worker import address, await_master, command
from loadtest.errors import LabError, UsageError
from tests.waiting import HUNG


@pytest.mark.parametrize(
    ("master", "found"),
    [
        ("lab", ("lab", 5557)),
        ("lab:6000", ("lab", 6000)),
        ("10.0.0.5:6000", ("10.0.0.5", 6000)),
        ("[::1]", ("::1", 5557)),
        ("[::1]:6000", ("::1", 6000)),
    ],
)
def test_addresses(master, found):
    assert address(master) == found


@pytest.mark.parametrize("master", ["", ":5557", "lab:", "lab:0", "lab:65536", "lab:x", "http://lab:5557"])
def test_what_is_no_address(master):
    with pytest.raises(UsageError, match="not the address of a master"):
        address(master)


def test_several_processes_are_locusts_own():
    assert "--processes" not in command("lab", 5557, 1)
    assert command("lab", 5557, 4)[-6:] == [
        "--master-host",
        "lab",
        "--master-port",
        "5557",
        "--processes",
        "4",
    ]


def test_ctrl_c_while_locust_loads_ends_it_quietly():
    """Python's own answer is a traceback from within an import; the signal waits from before it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process = subprocess.Popen(
            [sys.executable, *command("lab", 5557, 1)[1:]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.kill(process.pid, signal.SIGINT)
    assert (process.communicate(timeout=HUNG)[0], process.returncode) == ("", -signal.SIGINT)


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        # libzmq fills in a length of 1
        (b"\xff\0\0\0\0\0\0\0\1\x7f\3", None),
        (b"HTTP/1.1 400 Bad Request\r\n", "is no master .it says b'HTTP/1.1 4'"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no master"),
        # a forwarded port with nothing behind it
        (b"", "what listens there hangs up"),
        # as a server of HTTP does, which waits for a whole line
        (None, "says nothing within 0.05 s"),
    ],
)
def test_what_listens_is_a_master_or_named(says, wrong):
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                if says is None:
                    over.wait(60)
                else:
                    connection.sendall(says)

        answering = threading.Thread(target=answer)
        answering.start()
        try:
            within = 60.0 if says is not None else 0.05
            if wrong is None:
                await_master(*server.getsockname(), 0.0, within)
            else:
                with pytest.raises(LabError, match=wrong):
                    await_master(*server.getsockname(), 0.0, within)
        finally:
            over.set()
            answering.join()
