import json
from pathlib import Path

import pytest
import yaml

from loadtest.errors import ModelError
from loadtest.lab.compose.override import require_readable, write_load_override, write_override
from loadtest.lab.compose.project import COMPOSE_FILE
from loadtest.lab.interface import Version
from loadtest.lab.remote_workers import RemoteWorkers


def services(path: Path):
    return json.loads(path.read_text())["services"]


@pytest.mark.parametrize(
    ("cpus", "memory", "written"),
    [
        (0.25, 2**29, {"cpus": 0.25, "mem_limit": 2**29, "memswap_limit": 2**29}),
        # no limit: 0 for Docker, whatever .env says
        (None, None, {"cpus": 0, "mem_limit": 0, "memswap_limit": 0}),
    ],
)
def test_a_version_gets_its_folder_and_limits(tmp_path, cpus, memory, written):
    version = Version("stable", tmp_path / "models" / "v1", cpus, memory)
    stable = services(write_override(tmp_path, [version], tmp_path, feedback_token="secret"))["stable"]
    assert written.items() <= stable.items()
    (mount,) = stable["volumes"]
    assert (mount["source"], mount["target"], mount["read_only"]) == (str(version.folder), "/models", True)
    assert stable["environment"] == {
        "MODEL_DIR": "/models",
        "ALLOW_FAULTS": "",
        "LOADPROOF_FEEDBACK_TOKEN": "secret",
    }


def test_nothing_restarts_and_the_state_is_shown_to_those_who_read_it(tmp_path):
    versions, state = [Version("stable", tmp_path, 1, 1)], tmp_path / "state"
    written = services(write_override(tmp_path, versions, state, allow_faults="shop"))
    assert {service["restart"] for service in written.values()} == {"no"}
    for service in ("gateway", "prometheus"):
        (mount,) = written[service]["volumes"]
        assert (mount["source"], mount["target"], mount["read_only"]) == (str(state), "/routes", True)
    assert written["stable"]["environment"]["ALLOW_FAULTS"] == "shop"


def test_the_load_sees_the_evaluation_set_at_its_own_path(tmp_path):
    data = tmp_path / "evaluation.parquet"
    (mount,) = services(write_load_override(tmp_path, data))["load"]["volumes"]
    assert mount["source"] == mount["target"] == str(data)
    assert mount["read_only"]


def test_workers_on_other_machines_reach_the_master_and_the_gateway(tmp_path):
    workers = RemoteWorkers("10.0.0.5", 5557, 2, 60.0)
    versions = [Version("stable", tmp_path, 1, 1)]
    written = services(write_override(tmp_path, versions, tmp_path, workers=workers))
    # with the port that the lab finds free, at one more address
    assert written["gateway"]["ports"] == ["10.0.0.5:${GATEWAY_PORT}:8080"]
    gateway = "http://10.0.0.5:8080"
    load = services(write_load_override(tmp_path, tmp_path / "a", workers=workers, gateway=gateway))["load"]
    assert load["ports"] == ["10.0.0.5:5557:5557"]
    compose = yaml.safe_load(COMPOSE_FILE.read_text())
    own = compose["services"]["load"]["command"]
    assert load["command"][: len(own)] == own
    assert load["command"][len(own) :] == workers.options("0.0.0.0", gateway)


def test_workers_on_this_machine_reach_the_gateway_as_it_is(tmp_path):
    workers = RemoteWorkers("127.0.0.1", 5557, 2, 60.0)
    versions = [Version("stable", tmp_path, 1, 1)]
    assert "ports" not in services(write_override(tmp_path, versions, tmp_path, workers=workers))["gateway"]


@pytest.mark.parametrize(
    ("item", "mode", "blocked"),
    [
        # what a umask of 022 makes
        ("model.toml", 0o644, False),
        # what a umask of 077 makes
        ("model.toml", 0o600, True),
        (".", 0o700, True),
        (".", 0o711, True),
    ],
)
def test_folders_that_containers_may_not_read(tmp_path, item, mode, blocked):
    folder = tmp_path / "v1"
    folder.mkdir(mode=0o755)
    (folder / "model.toml").touch(0o644)
    (folder / item).chmod(mode)
    if not blocked:
        require_readable(folder)
        return
    with pytest.raises(ModelError, match=f"containers may not read it; run chmod -R a\\+rX {folder}"):
        require_readable(folder)


def test_a_missing_folder(tmp_path):
    with pytest.raises(ModelError, match="v9: no such file or folder"):
        require_readable(tmp_path / "v9")


def test_a_dollar_in_a_path_is_none_of_composes_variables(tmp_path):
    folder = tmp_path / "$HOME" / "${MODELS}"
    written = write_override(tmp_path, [Version("stable", folder, 1, 1)], tmp_path)
    (mount,) = services(written)["stable"]["volumes"]
    # Compose reads two as one
    assert mount["source"] == str(tmp_path / "$$HOME" / "$${MODELS}")


@pytest.mark.parametrize(
    ("roles", "environment"),
    [
        (["stable", "candidate"], None),
        (["stable", "candidate", "control"], {"CONTROL_HOST": "control", "CONTROL_PORT": "8000"}),
    ],
)
def test_the_gateway_finds_a_control_where_there_is_one(tmp_path, roles, environment):
    versions = [Version(role, tmp_path, 1, 1) for role in roles]
    assert services(write_override(tmp_path, versions, tmp_path))["gateway"].get("environment") == environment
