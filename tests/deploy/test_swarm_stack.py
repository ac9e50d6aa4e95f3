"""What of compose.yaml a swarm is told, in which words."""

import json
import subprocess
import sys

import pytest

from deploy.swarm.stack import LAB_NODE, StackError, to_stack

SERVER = {
    "image": "loadproof/model-server:1", "build": {"context": "."}, "depends_on": {"trainer": {}},
    "command": None, "cap_drop": ["ALL"], "read_only": True, "user": "10001:10001", "init": True,
    "security_opt": ["no-new-privileges:true"], "restart": "unless-stopped", "networks": {"default": None},
    "cpus": 0.25, "mem_limit": "536870912", "memswap_limit": "536870912", "pids_limit": 256,
    "tmpfs": ["/tmp:size=64m,mode=1777"],
    "volumes": [
        {"type": "volume", "source": "models", "target": "/models", "read_only": True, "volume": {}}
    ],
    "ports": [
        {"mode": "ingress", "host_ip": "127.0.0.1", "target": 8000, "published": "8001", "protocol": "tcp"}
    ],
}  # fmt: skip
COMPOSE = {
    "name": "loadproof",
    "services": {
        "stable": SERVER,
        "trainer": {"image": "t", "restart": "no"},
        "locust-worker": SERVER | {"image": "l"},
    },
    "volumes": {"models": {"name": "loadproof_models"}, "notebooks": {"name": "loadproof_notebooks"}},
}


def stack(**more):
    return to_stack(COMPOSE, **{"workers": 3, "publish": ["stable"]} | more)


def test_a_service_keeps_its_limits_and_its_lock_down():
    assert stack()["services"]["stable"] == {
        "image": "loadproof/model-server:1",
        "cap_drop": ["ALL"],
        "read_only": True,
        "user": "10001:10001",
        "init": True,
        "networks": {"default": None},
        "volumes": [
            {"type": "volume", "source": "models", "target": "/models", "read_only": True},
            {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 64 * 2**20}},
        ],
        "ports": [{"target": 8000, "published": 8001, "protocol": "tcp", "mode": "host"}],
        "deploy": {
            "endpoint_mode": "dnsrr",
            "resources": {"limits": {"cpus": "0.25", "memory": "536870912", "pids": 256}},
            "restart_policy": {"condition": "any", "delay": "2s"},
            "placement": {"constraints": [LAB_NODE]},
        },
    }


def test_workers_run_on_any_node_and_bring_nothing():
    worker = stack()["services"]["locust-worker"]
    assert worker["deploy"]["replicas"] == 3
    assert "placement" not in worker["deploy"]
    assert [mount["type"] for mount in worker["volumes"]] == ["tmpfs"]


def test_a_one_shot_is_a_job():
    job = stack()["services"]["trainer"]["deploy"]
    assert (job["mode"], job["restart_policy"]["condition"]) == ("replicated-job", "on-failure")


def test_a_verdict_is_not_tried_again():
    compose = {"services": {"compare": {"image": "l", "restart": "no"}}}
    job = to_stack(compose, workers=1, publish=[])["services"]["compare"]["deploy"]
    assert (job["mode"], job["restart_policy"]) == ("replicated-job", {"condition": "none"})


def test_nothing_is_published_unasked():
    assert "ports" not in stack(publish=[])["services"]["stable"]


def test_only_volumes_that_are_used_are_made():
    assert stack()["volumes"] == {"models": {}}
    assert stack(without=["stable"])["volumes"] == {}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"publish": ["gatewy"]}, "no service 'gatewy'; there are stable, trainer"),
        ({"without": ["grafna"]}, "no service 'grafna'"),
    ],
)
def test_unknown_services_are_named(more, says):
    with pytest.raises(StackError, match=says):
        stack(**more)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        # a swarm has no word for the mode, and the default must be what is wanted
        ({"tmpfs": ["/tmp:size=64m"]}, "tmpfs"),
        ({"volumes": [{"type": "image", "target": "/x"}]}, "of type 'image'"),
    ],
)
def test_what_it_cannot_say_is_refused(change, says):
    with pytest.raises(StackError, match=says):
        to_stack({"services": {"stable": SERVER | change}}, workers=1, publish=[])


def test_the_whole_of_compose_yaml_can_be_said():
    done = subprocess.run(
        [sys.executable, "-m", "deploy.swarm", "--workers", "4", "--publish", "gateway"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "docker command" in done.stderr or "unknown" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"gateway"}
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"].keys() >= {"memory", "pids"}, name
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["user"].split(":")[0] != "0", name
