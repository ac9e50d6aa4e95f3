"""A real Envoy, with the configuration that ships, before two stand-ins for the versions."""

import json
import re
import sys
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from contract.arms import BODY_CLASS, USER_GROUP
from loadtest.data.exposition import parse
from loadtest.fetch import get
from loadtest.lab.free_ports import free_port
from loadtest.lab.gateway.route_change import confirm_routes
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.local.envoy import GATEWAY_FOLDER, find_envoy, render
from loadtest.lab.processes.supervisor import Supervisor
from tests.gateway_doubles import write_routes
from tests.waiting import HUNG, eventually

ROOT = Path(__file__).parents[2]
DOUBLE = ROOT / "tests/loadtest/lab/double_server.py"
VERSIONS = ("stable", "candidate")
ATTEMPTS = 5


def configured(folder, routes, ports, heap=None):
    """The path of the gateway's configuration, written into ``folder`` for these ports, by service.

    ``heap``: bytes that it may take in place of its own bound.
    """
    values = {f"{name.upper()}_PORT": port for name, port in ports.items()}
    values |= {f"{name}_ADDRESS": "127.0.0.1" for name in ("LISTEN", "ADMIN", "STATS")}
    values |= {f"{name}_HOST": "127.0.0.1" for name in ("STABLE", "CANDIDATE", "CONTROL")}
    values = {"CONTROL_PORT": ports["stable"]} | values
    template = (GATEWAY_FOLDER / "envoy.yaml").read_text()
    if heap is not None:
        template, bounds = re.subn(r"(?<=max_heap_size_bytes: )\d+", str(heap), template)
        assert bounds == 1
    config = folder / "envoy.yaml"
    config.write_text(render(template, values | {"ROUTES_DIR": str(routes)}))
    return config


def envoy(config):
    """The command of an Envoy."""
    options = ["--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    return [str(find_envoy()), "-c", str(config), *options]


def start_gateway(supervisor, folder, routes, versions, heap=None):
    """An Envoy that is ready, and its ports; others where somebody took one in between.

    Args:
        supervisor: starts it.
        folder: for its configuration and its access log.
        routes: the folder of its routes file.
        versions: the port of each version.
        heap: see ``configured``.
    """
    for _ in range(ATTEMPTS):
        ports = {name: free_port() for name in ("listen", "admin", "stats")} | versions
        service = supervisor.start(
            "gateway", envoy(configured(folder, routes, ports, heap)), stdout=folder / "gateway.out"
        )
        ready = f"http://127.0.0.1:{ports['stats']}/ready"
        eventually(lambda ready=ready, service=service: service.ended() or is_ready(ready))
        if service.ended() is None and service.listens(ports["listen"]):
            return service, ports
        supervisor.stop(service)
    raise AssertionError(service.tail())


def is_ready(url):
    answer = get(url, 2.0)
    return answer is not None and answer.status == 200


class Gateway:
    """Envoy and two doubles, each of which can be killed and started again on its port."""

    def __init__(self, folder, supervisor):
        self.folder = folder
        self.routes = folder / "routes"
        self.routes.mkdir()
        write_routes(self.routes, Routes())
        self.supervisor = supervisor
        self.services = {}
        self.ports = {}
        for version in VERSIONS:
            self.services[version] = self._double(version, 0)
        for version in VERSIONS:
            self.ports[version] = int(eventually((folder / f"{version}.out").read_text))
        self.services["gateway"], self.ports = start_gateway(supervisor, folder, self.routes, self.ports)
        self.config = folder / "envoy.yaml"
        self.url = f"http://127.0.0.1:{self.ports['listen']}"
        self.stats = f"http://127.0.0.1:{self.ports['stats']}"

    def start(self, name):
        """Start again, on its port, what was killed."""
        if name == "gateway":
            self.services[name] = self.supervisor.start(
                name, envoy(self.config), stdout=self.folder / "gateway.out"
            )
        else:
            self.services[name] = self._double(name, self.ports[name])
        url = f"{self.stats}/ready" if name == "gateway" else f"{self.direct(name)}/v2/health/ready"
        eventually(lambda: is_ready(url))

    def _double(self, version, port):
        argv = [sys.executable, str(DOUBLE), "--model-dir", str(self.folder), "--port", str(port)]
        return self.supervisor.start(version, argv, stdout=self.folder / f"{version}.out")

    def kill(self, name):
        self.supervisor.stop(self.services.pop(name), first=9)

    def split(self, percent, **options):
        """Put routes in force; unless ``patience`` is given, a machine that is held up costs no hedge."""
        routes = Routes(percent, **{"patience": HUNG} | options)
        write_routes(self.routes, routes)
        confirm_routes(self.url, routes, within=HUNG)

    def direct(self, version):
        return f"http://127.0.0.1:{self.ports[version]}"

    def ask(self, version, path):
        """What a double itself says, not through the gateway."""
        return json.loads(get(self.direct(version) + path, HUNG).body)

    def get(self, path, **headers):
        answer = get(
            self.url + path, HUNG, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        assert answer is not None
        return answer

    def requests(self, version):
        return self.ask(version, "/requests")["requests"]

    def counter(self, name, cluster, **labels):
        """A counter of a cluster, over all groups of users and sizes of bodies."""
        # the parser ends the names of counters so; Envoy does for some only
        apart = {USER_GROUP, BODY_CLASS} - labels.keys()
        name, wanted = name.removesuffix("_total"), {"envoy_cluster_name": cluster} | labels
        return sum(
            int(sample.value)
            for sample in parse(get(f"{self.stats}/stats/prometheus", HUNG).body)
            if sample.name.removesuffix("_total") == f"envoy_cluster_{name}"
            and wanted.items() == {k: v for k, v in sample.labels.items() if k not in apart}.items()
        )


@contextmanager
def running_gateway(folder):
    """A gateway before two doubles."""
    with Supervisor(folder, ROOT) as supervisor:
        yield Gateway(folder, supervisor)


def many(gateway, count, **headers):
    """The versions that answered ``count`` requests over one connection."""
    connection = HTTPConnection("127.0.0.1", gateway.ports["listen"], timeout=HUNG)
    answered = Counter()
    for _ in range(count):
        connection.request(
            "GET", "/v2/models/m/echo", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        answered[response.getheader("x-model-version")] += 1
    connection.close()
    return answered
