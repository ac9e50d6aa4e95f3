import socket

import gevent
import pytest
from gevent.event import Event

from loadtest.load.sending.addresses import Addresses, resolved

HUNG = 60.0
A, B, C = ((socket.AF_INET, (f"10.0.0.{n}", 80)) for n in (1, 2, 3))


class Names:
    """A name server that answers when it is let, each time the next of ``answers``."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0
        self.let = Event()
        self.let.set()

    def resolve(self, host, port):
        assert (host, port) == ("name.test", 80)
        self.asked += 1
        self.let.wait(HUNG)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [(family, socket.SOCK_STREAM, 0, "", address) for family, address in answer]


def addresses(names):
    return Addresses("name.test", 80, names.resolve)


def patient():
    return HUNG


def unasked():
    raise AssertionError("nobody has to wait")


def test_each_connection_begins_with_another_one():
    names = Names([A, B, C])
    found = addresses(names)
    assert [found.in_turn(patient) for _ in range(4)] == [[A, B, C], [B, C, A], [C, A, B], [A, B, C]]
    assert names.asked == 1


@pytest.mark.parametrize(
    ("failed", "then", "next_turn"),
    [
        # one that fails is left out, and the one that was reached instead has had its turn
        ([A], B, [C, B]),
        # somebody else has left it out already
        ([(socket.AF_INET, ("10.0.0.9", 80))], A, [B, C, A]),
        # all fail: the name is looked up again
        ([A, B, C], None, [C, B]),
    ],
)
def test_an_address_that_fails(failed, then, next_turn):
    found = addresses(Names([A, B, C], [C, B]))
    found.in_turn(patient)
    found.failed(failed, then)
    assert found.in_turn(patient) == next_turn


def test_who_waits_for_the_same_name_waits_for_one_lookup():
    names = Names([A])
    names.let.clear()
    found = addresses(names)
    waiting = [gevent.spawn(found.in_turn, patient) for _ in range(50)]
    gevent.sleep(0)
    names.let.set()
    assert [greenlet.get(timeout=HUNG) for greenlet in waiting] == [[A]] * 50
    assert names.asked == 1


def test_while_a_name_is_looked_up_again_connections_go_on_with_what_was_known():
    names = Names([A], [B])
    found = addresses(names)
    found.look_up(HUNG)
    found.failed([A])
    names.let.clear()
    first = gevent.spawn(found.in_turn, patient)
    gevent.sleep(0)
    assert found.in_turn(unasked) == [A]
    names.let.set()
    assert first.get(timeout=HUNG) == [B]


def test_a_name_that_is_not_known_is_so_for_all_who_wait_and_asked_for_again():
    names = Names(socket.gaierror(socket.EAI_AGAIN, "x"), [A])
    names.let.clear()
    found = addresses(names)
    waiting = [gevent.spawn(error_of, found) for _ in range(3)]
    gevent.sleep(0)
    names.let.set()
    assert [greenlet.get(timeout=HUNG) for greenlet in waiting] == [socket.gaierror] * 3
    assert names.asked == 1
    assert found.in_turn(patient) == [A]


def error_of(found):
    try:
        found.in_turn(patient)
    except OSError as error:
        return type(error)
    return None


def test_a_lookup_that_does_not_end_in_time_serves_the_next_one():
    names = Names([A])
    names.let.clear()
    found = addresses(names)
    with pytest.raises(TimeoutError):
        found.in_turn(lambda: 0.001)
    names.let.set()
    assert found.in_turn(patient) == [A]
    assert names.asked == 1


def test_the_machines_own_names():
    # localhost has an IPv4 address, an IPv6 one, or both, by the machine's own table
    found = Addresses("localhost", 80, resolved)
    hosts = {address[0] for _, address in found.in_turn(patient)}
    assert hosts
    assert hosts <= {"127.0.0.1", "::1"}
