import socket

import pytest

from loadtest.lab.free_ports import HOST, free_port


class AnyPort:
    """Contains whatever is asked for, the first time."""

    def __init__(self):
        self.asked = []

    def __contains__(self, port):
        self.asked.append(port)
        return len(self.asked) == 1


def test_the_preferred_port_where_it_is_free():
    # somebody else may take one of them meanwhile
    assert any(free_port(port) == port for port in [free_port() for _ in range(5)])


def test_a_port_in_use_is_not_free():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert free_port(port) != port


def test_a_port_that_is_spoken_for_is_not_given_twice():
    port = free_port()
    assert free_port(port, [port]) != port
    drawn = AnyPort()
    assert free_port(0, drawn) == drawn.asked[1]


def test_none_is_left():
    class Everything:
        def __contains__(self, port):
            return True

    with pytest.raises(OSError, match="no free port on this machine"):
        free_port(0, Everything())
