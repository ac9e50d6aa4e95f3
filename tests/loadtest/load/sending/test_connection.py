import socket
import time
from types import SimpleNamespace

import gevent
import pytest

from loadtest.load.sending.connection import PatientSocket

HUNG = 60.0


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with PatientSocket(ours.family, ours.type, fileno=ours.detach()) as patient, theirs:
        patient.settimeout(HUNG)
        yield patient, theirs


def test_it_reads_what_comes_while_it_waits(pair):
    patient, theirs = pair
    reading = gevent.spawn(patient.recv, 10)
    gevent.sleep(0)
    theirs.sendall(b"late")
    assert reading.get(timeout=HUNG) == b"late"
    # what is there already, and the end
    theirs.sendall(b"early")
    theirs.close()
    assert [patient.recv(10), patient.recv(10)] == [b"early", b""]


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (0.001, TimeoutError),
        # not to wait at all is to say so
        (0.0, BlockingIOError),
    ],
)
def test_what_does_not_come(pair, seconds, error):
    patient, theirs = pair
    patient.settimeout(seconds)
    with pytest.raises(error):
        patient.recv(10)
    # and it can be used again
    theirs.sendall(b"x")
    patient.settimeout(HUNG)
    assert patient.recv(10) == b"x"


def test_without_a_limit(pair):
    patient, theirs = pair
    patient.settimeout(None)
    theirs.sendall(b"x")
    assert patient.recv(10) == b"x"


def test_it_waits_on_when_it_is_woken_for_nothing(pair):
    patient, theirs = pair
    real, reads = patient._sock, []

    def recv(size):
        reads.append(size)
        if len(reads) == 1:
            raise BlockingIOError
        return real.recv(size)

    theirs.sendall(b"x")
    patient._sock = SimpleNamespace(recv=recv)
    try:
        assert patient.recv(10) == b"x"
    finally:
        patient._sock = real
    assert reads == [10, 10]


def test_no_wait_ends_early_because_the_loop_looked_at_the_clock_long_ago(pair):
    patient, _ = pair
    ended = []
    timer = gevent.get_hub().loop.timer(0.3)
    timer.start(ended.append, "0.3 s", update=True)
    time.sleep(0.2)  # the loop sees nothing of it
    patient.settimeout(0.2)
    with pytest.raises(TimeoutError):
        patient.recv(10)
    timer.close()
    assert ended == ["0.3 s"]


def test_an_answer_that_is_there_goes_before_the_time_out(pair):
    patient, theirs = pair
    patient.settimeout(0.05)
    reading = gevent.spawn(patient.recv, 10)
    gevent.sleep(0)
    theirs.sendall(b"x")
    time.sleep(0.1)  # both are due when the loop goes on
    assert reading.get(timeout=HUNG) == b"x"
