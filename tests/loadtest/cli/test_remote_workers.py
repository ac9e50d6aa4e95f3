"""What `loadproof compare --listen` refuses; that it works is in tests/integration/test_workers.py."""

import socket

import pytest

from loadtest.cli.compare import remote_workers
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.remote_workers import RemoteWorkers

TARGET = {"target": {"stable": "http://old:1", "candidate": "http://new:1"}}


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asked(listen, expected=2, wait="90s", processes=None, **overrides):
    return remote_workers(
        Experiment.load_file("compare", overrides), listen, expected, wait, processes=processes
    )


def test_nothing_asked_is_nobody_to_wait_for():
    assert asked(None, None) is None


def test_a_name_becomes_the_address_that_is_listened_at(port):
    assert asked(f"localhost:{port}") == RemoteWorkers("127.0.0.1", port, 2, 90.0)


def test_servers_elsewhere_are_not_reached_where_the_master_is(port):
    workers = asked(f"0.0.0.0:{port}", **TARGET)
    assert (workers.anywhere, workers.beyond) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"listen": None}, "give both"),
        ({"expected": None}, "give both"),
        ({"listen": "127.0.0.1:x"}, "not the address of a master"),
        # an address for documentation, which no machine has
        ({"listen": "192.0.2.1"}, "--listen 192.0.2.1:5557: cannot listen there"),
        ({"listen": "[::1]"}, "give an IPv4 address of this machine"),
        ({"wait": "soon"}, "--expect-workers-max-wait: 'soon' is not a duration"),
        ({"processes": 2}, "leave it out beside --listen"),
        ({"load": {"rates": "20,30"}}, "several rates are several"),
        ({"load": {"restarts": 2}}, "restarts are several"),
        # the gateway of a lab needs an address that the workers can name
        ({"listen": "0.0.0.0"}, "give the address of this machine that they see"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_starts(port, arguments, says):
    listen = arguments.pop("listen", "127.0.0.1")
    if listen and not listen.endswith((":x", "]")):
        listen = f"{listen}:{port}" if "192" not in listen else listen
    with pytest.raises(UsageError, match=None) as refused:
        asked(listen, **arguments)
    assert says in str(refused.value)


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: cannot listen there"):
            asked(f"127.0.0.1:{port}")


def test_the_generator_is_told_where_it_listens_and_where_the_workers_join():
    words = " ".join(RemoteWorkers("10.0.0.5", 5557, 2, 90.0).options("0.0.0.0", "http://10.0.0.5:8080"))
    assert words == (
        "--listen 0.0.0.0:5557 --joined-at 10.0.0.5:5557 --expect-workers 2 --expect-workers-max-wait 90 "
        "--workers-host http://10.0.0.5:8080"
    )
