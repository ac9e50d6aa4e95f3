"""Users stick to their version: ten thousand of them, through a real Envoy before idle versions."""

import json
import re
import socket
from contextlib import ExitStack

import pytest
from scipy.stats import binom

from loadtest.lab.free_ports import free_port
from loadtest.lab.gateway.route_change import confirm_routes
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.processes.supervisor import Supervisor
from tests.gateway_doubles import write_routes
from tests.integration.gateway_process import ATTEMPTS, ROOT, VERSIONS, envoy, start_gateway
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration
USERS = [f"user-{number}" for number in range(10_000)]
PIPELINED = 50
CONNECTIONS = 8


def start_versions(supervisor, folder):
    """The ports of both versions, which one more Envoy plays; others where somebody took one in between."""
    config = folder / "versions.json"
    for _ in range(ATTEMPTS):
        ports = {version: free_port() for version in VERSIONS}
        config.write_text(
            json.dumps({"static_resources": {"listeners": [answering(p) for p in ports.values()]}})
        )
        service = supervisor.start("versions", envoy(config))
        if (
            eventually(lambda service=service, ports=ports: service.ended() or listens(service, ports))
            is True
        ):
            return ports
        supervisor.stop(service)
    raise AssertionError(service.tail())


def listens(service, ports):
    return all(service.listens(port) for port in ports.values())


def answering(port):
    """A listener that answers 200 to everything, as fast as an Envoy can."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "answers",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    return {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


class Gateway:
    def __init__(self, folder, supervisor):
        self.folder = folder
        write_routes(folder, Routes(0))
        self.port = start_gateway(supervisor, folder, folder, start_versions(supervisor, folder))[1]["listen"]

    def split(self, percent, **options):
        routes = Routes(percent, patience=HUNG, **options)
        write_routes(self.folder, routes)
        confirm_routes(f"http://127.0.0.1:{self.port}", routes, within=HUNG)

    def answered_by(self, users):
        """The users whom the candidate answers; a number stands for a request without a user."""
        candidates = set()
        with ExitStack() as stack:
            connect = (socket.create_connection(("127.0.0.1", self.port), HUNG) for _ in range(CONNECTIONS))
            connections = [stack.enter_context(connection) for connection in connect]
            for together in batches(list(batches(users, PIPELINED)), CONNECTIONS):
                pairs = list(zip(connections, together, strict=False))
                for connection, batch in pairs:
                    heads = (f"x-user-id: {user}\r\n" if isinstance(user, str) else "" for user in batch)
                    connection.sendall(
                        "".join(f"GET /v2/x HTTP/1.1\r\nhost: g\r\n{head}\r\n" for head in heads).encode()
                    )
                for connection, batch in pairs:
                    versions = versions_of(connection, len(batch))
                    candidates.update(u for u, v in zip(batch, versions, strict=True) if v == b"candidate")
        return candidates


def versions_of(connection, count):
    """The versions that gave the next ``count`` answers, in their order."""
    answers = b""
    while answers.count(b"\r\n\r\n") < count:
        received = connection.recv(2**20)
        assert received, "the gateway hung up"
        answers += received
    assert answers.count(b"HTTP/1.1 200") == count
    return re.findall(rb"x-model-version: (\w+)", answers)


def batches(rows, size):
    return (rows[start : start + size] for start in range(0, len(rows), size))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sticky")
    with Supervisor(folder, ROOT) as supervisor:
        yield Gateway(folder, supervisor)


def test_ten_thousand_users_are_shared_fairly_and_none_goes_back(gateway):
    before = set()
    for percent in (10, 25, 50):
        gateway.split(percent)
        now = gateway.answered_by(USERS)
        low, high = binom.interval(0.9999, len(USERS), percent / 100)
        print(f"{percent}%: {len(now)} of {len(USERS)} users ({low:.0f} to {high:.0f})")
        assert low <= len(now) <= high
        assert before <= now
        # and again: the same ones
        assert gateway.answered_by(USERS[:500]) == now & set(USERS[:500])
        before = now


def test_from_one_to_a_hundred_percent_users_only_move_to_the_candidate(gateway):
    users, before = USERS[:60], set()
    for percent in range(1, 101):
        gateway.split(percent)
        now = gateway.answered_by(users)
        assert before <= now
        before = now
    assert before == set(users)


def test_the_same_users_come_first_after_a_promotion(gateway):
    users = USERS[:500]
    gateway.split(10)
    first = gateway.answered_by(users)
    gateway.split(10, swapped=True)
    assert gateway.answered_by(users) == first


def test_without_a_user_each_request_is_shared_on_its_own(gateway):
    gateway.split(25)
    requests = list(range(1000))
    low, high = binom.interval(1 - 1e-9, len(requests), 0.25)
    first, second = gateway.answered_by(requests), gateway.answered_by(requests)
    assert low <= len(first) <= high
    # two draws: that they agree in a thousand requests is as good as impossible
    assert first != second
