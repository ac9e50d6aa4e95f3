"""``docker compose up``: every service healthy, locked down, limited, and reachable on 127.0.0.1 only."""

import json
import urllib.error
import urllib.request

import pytest

from tests.compose.waiting import HUNG, eventually, get_json, settled

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SERVICES = ["stable", "candidate", "gateway", "locust-master", "locust-worker", "prometheus"]
EVERYTHING = ["trainer", *SERVICES]
PUBLISHED = {
    "stable": ["8000/tcp"],
    "candidate": ["8000/tcp"],
    # its counters can be read there; its admin port, which can change things, is not published
    "gateway": ["8080/tcp", "9902/tcp"],
    "locust-master": ["8089/tcp"],
    "locust-worker": [],
    "prometheus": ["9090/tcp"],
    "trainer": [],
}
USERS = {"gateway": "101:101", "prometheus": "65534:65534"}


@pytest.mark.parametrize("service", SERVICES)
def test_is_healthy_by_a_check_that_is_frequent_at_the_start(stack, service):
    for container in stack.of(service):
        assert container["State"]["Health"]["Status"] == "healthy"
        check = container["Config"]["Healthcheck"]
        assert 0 < check["StartInterval"] <= 1_000_000_000 < check["Interval"]


def test_the_trainer_is_done_and_the_versions_waited_for_it(stack):
    (trainer,) = stack.of("trainer")
    assert (trainer["State"]["Status"], trainer["State"]["ExitCode"]) == ("exited", 0)
    for service in ("stable", "candidate"):
        assert stack.of(service)[0]["State"]["StartedAt"] > trainer["State"]["FinishedAt"]


@pytest.mark.parametrize("service", EVERYTHING)
def test_is_locked_down(stack, service):
    for container in stack.of(service):
        host = container["HostConfig"]
        assert container["Config"]["User"] == USERS.get(service, "10001:10001")
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert not host["Privileged"]
        assert host["PidsLimit"] > 0
        assert host["Memory"] > 0
        assert host["Init"]
        assert list(host["Tmpfs"]) == ["/tmp"]


def test_the_kernel_agrees(stack, docker):
    """The same, as the processes in a container see it."""
    identifier = stack.of("stable")[0]["Id"]
    status = docker.run("exec", identifier, "cat", "/proc/1/status", timeout=30)
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    probe = "touch /tmp/x && ! touch /models/x 2>/dev/null && ! touch /app/x 2>/dev/null && echo held"
    assert docker.run("exec", identifier, "sh", "-c", probe, timeout=30) == "held\n"


@pytest.mark.parametrize("service", EVERYTHING)
def test_logs_cannot_block_or_fill_the_disk(stack, service):
    for container in stack.of(service):
        assert container["HostConfig"]["LogConfig"] == {
            "Type": "json-file",
            "Config": {"mode": "non-blocking", "max-buffer-size": "4m", "max-size": "10m", "max-file": "3"},
        }


@pytest.mark.parametrize("service", EVERYTHING)
def test_ports_are_on_loopback_only(stack, service):
    for container in stack.of(service):
        bindings = {port: b for port, b in container["HostConfig"]["PortBindings"].items() if b}
        assert sorted(bindings) == PUBLISHED[service]
        assert {b["HostIp"] for port in bindings.values() for b in port} <= {"127.0.0.1"}


@pytest.mark.parametrize("service", ["stable", "candidate"])
def test_the_limits_of_the_versions(stack, service):
    host = stack.of(service)[0]["HostConfig"]
    assert host["NanoCpus"] == 250_000_000
    assert host["Memory"] == host["MemorySwap"] == 512 * 2**20


@pytest.mark.parametrize("service", SERVICES)
def test_comes_back_by_itself(stack, service):
    assert stack.of(service)[0]["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_every_worker_is_registered_at_the_master(stack):
    workers = get_json(f"{stack.url('locust-master', 8089)}/stats/requests")["workers"]
    assert len(workers) == len(stack.of("locust-worker")) == 3
    assert {worker["state"] for worker in workers} == {"ready"}


def test_prometheus_scrapes_everything(stack):
    assert settled(stack.url("prometheus", 9090)) == dict.fromkeys(
        [
            *(("versions", role) for role in ("stable", "candidate")),
            *((job, None) for job in ("gateway", "load", "prometheus")),
        ],
        "up",
    )


def test_fresh_volumes_belong_to_those_who_write_them(stack, docker):
    for service, folder, owner in (
        ("trainer", "/models", None),
        ("locust-master", "/results", "10001"),
        ("gateway", "/routes", "101"),
        ("prometheus", "/prometheus", "65534"),
    ):
        (container,) = stack.of(service)
        mount = next(m for m in container["Mounts"] if m["Destination"] == folder)
        assert (mount["Type"], mount["Name"].startswith(stack.project.name)) == ("volume", True)
        if owner:
            uid = docker.run("exec", container["Id"], "stat", "-c", "%u", folder, timeout=30)
            assert uid.strip() == owner


def test_a_request_through_the_gateway_names_the_version_that_answered(stack):
    url = f"{stack.url('gateway', 8080)}/v2/health/ready"
    for version in ("stable", "candidate"):
        request = urllib.request.Request(url, headers={"x-model-version": version})
        with urllib.request.urlopen(request, timeout=HUNG) as answer:
            assert answer.headers["x-model-version"] == version


def test_a_run_from_the_web_page_uses_every_worker_and_loses_no_sample(stack, docker):
    def answered(service):
        with urllib.request.urlopen(f"{stack.url(service, 8000)}/metrics", timeout=HUNG) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("loadproof_requests_total{"))

    before = {service: answered(service) for service in ("stable", "candidate")}
    form = b"user_count=1&spawn_rate=1&rate=30&duration=5s&host=http://gateway:8080"
    urllib.request.urlopen(f"{stack.url('locust-master', 8089)}/swarm", form, timeout=HUNG).close()
    master = stack.of("locust-master")[0]["Id"]

    def stored(name):
        return docker.run("exec", master, "sh", "-c", f"cat /results/latest/{name} || true", timeout=60)

    # the run folder appears whole
    load = json.loads(eventually(lambda: stored("load.json")))
    assert load["workers"] == 3
    assert load["missing_workers"] == []
    facts = json.loads(stored("environment.json"))
    assert facts["backend"] == "compose"
    for seen in facts["server_facts"].values():
        assert (seen["cpus"], seen["memory_bytes"] > 2**24) == (0.25, True)
    for service, count in before.items():
        assert load["requests"][service] > 50
        alone = load["baseline"][service]["requests"]
        sent = alone + load["warmup_requests"][service] + load["requests"][service]
        # a version also comes to those requests that nobody waits for any more
        eventually(lambda service=service, count=count, sent=sent: answered(service) - count >= sent)
        assert answered(service) - count == sent
    # and Prometheus knows the run, merged over the workers, and its verdict
    query = f"{stack.url('prometheus', 9090)}/api/v1/query?query="
    told = eventually(lambda: get_json(f"{query}loadproof_verdict==1")["data"]["result"])
    assert told[0]["metric"]["run"].endswith("-compare")
    counted = get_json(f"{query}loadproof_client_requests_total")["data"]["result"]
    assert {one["metric"]["role"]: int(one["value"][1]) for one in counted} == load["requests"]
    report = f"{stack.url('locust-master', 8089)}/runs/{told[0]['metric']['run']}/report.html"
    with urllib.request.urlopen(report, timeout=HUNG) as answer:
        assert b"<html" in answer.read()


def test_the_notebook_runs_from_top_to_bottom_in_its_container(stack):
    """After the run of the page, which it opens."""
    service = ("--profile", "notebook")
    execute = "jupyter execute explore_run.ipynb --output=/tmp/executed.ipynb >&2 && cat /tmp/executed.ipynb"
    # threads that wait for each other spin
    quick = ("--env", "NOTEBOOK_DURATION=2s", "--env", "OMP_NUM_THREADS=1")
    options = ("--rm", "--no-deps", "--no-TTY", *quick)
    try:
        told = stack.project.compose(*service, "run", *options, "notebook", "sh", "-c", execute, timeout=600)
    finally:
        # a volume of its own, which the lab knows nothing of
        stack.project.docker.run("volume", "rm", f"{stack.project.name}_notebooks", timeout=30)
    cells = [cell for cell in json.loads(told)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    printed = "".join("".join(output.get("text", "")) for cell in cells for output in cell["outputs"])
    assert " samples\n" in printed
    # a new candidate beside stable, as processes inside the container
    assert "lab is up (local)" in printed


def test_the_versions_and_locusts_users_share_a_token_that_a_stranger_lacks(stack, docker):
    path = "/models/.feedback-token"
    tokens = {
        docker.run("exec", container["Id"], "cat", path, timeout=30).strip()
        for service in ("stable", "candidate", "locust-worker")
        for container in stack.of(service)
    }
    (token,) = tokens
    assert len(token) == 48

    def status(headers):
        url = f"{stack.url('gateway', 8080)}/v2/models/shop/feedback"
        request = urllib.request.Request(url, b'{"id": "nobody\'s", "label": 1}', headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=HUNG)
        with refused.value as error:
            return error.status

    # with the token only the answer is unknown
    assert [status({}), status({"x-feedback-token": "guessed"}), status({"x-feedback-token": token})] == [
        401,
        403,
        404,
    ]
