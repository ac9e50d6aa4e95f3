"""Which connections are cut: real sockets, whose debts the kernel counts, and a clock that is ours."""

import os
import socket
import sys

import pytest

from services.model_server.http.slow_requests import PATIENCE, Readers, Reaper, open_connections
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a connection owes")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def connection():
    """Two ends of a TCP connection: the client's and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def milliseconds_since_received(connection):
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    return int.from_bytes(info[52:56], sys.byteorder)


def receive(client, server, data):
    client.sendall(data)
    assert server.recv(2**16) == data


def answer(client, server):
    # later than the request by more than the kernel's tick, so that it is seen to be later
    eventually(lambda: milliseconds_since_received(server) > 30)
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"


def is_cut(client):
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize(
    ("before", "between", "cut"),
    [
        # half a request, and silence
        (["half"], [], True),
        # half a request that drips on
        (["half"], ["half"], True),
        # the second request on a connection
        (["half", "answer", "half"], [], True),
        # nothing is owed to an idle connection
        (["half", "answer"], [], False),
        # it was answered between the two looks, and asks again
        (["half"], ["answer", "half"], False),
    ],
)
def test_who_is_cut(connection, before, between, cut):
    client, server = connection
    clock = Clock()
    reaper = Reaper(clock)

    def play(steps):
        for step in steps:
            answer(client, server) if step == "answer" else receive(client, server, b"GET ")

    play(before)
    assert reaper.cut([server]) == 0
    play(between)
    clock.now += PATIENCE
    assert reaper.cut([server]) == int(cut)
    assert is_cut(client) is cut


def test_a_connection_that_is_closed_is_passed_over(connection):
    _, server = connection
    server.close()
    assert Reaper().cut([server]) == 0


def test_the_connections_of_this_process_are_found(connection):
    mine = {end.getsockname() for end in connection}
    assert mine <= {copy.getsockname() for copy in open_connections()}


def test_a_listener_owes_nobody_and_is_never_cut():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = {os.fstat(copy.fileno()).st_ino for copy in open_connections()}
        assert os.fstat(listener.fileno()).st_ino not in found


def test_who_reads_for_too_long():
    clock = Clock()
    readers = Readers(clock)
    with readers:
        clock.now = PATIENCE
        assert not readers.overdue()
        clock.now += 0.1
        assert readers.overdue()
    assert not readers.overdue()
