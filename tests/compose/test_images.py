"""Our own images as they were built: what is in them, what is not, and what they say of themselves."""

import json
import re
import urllib.request

import pytest

from loadtest.lab.compose.project import COMPOSE_FILE

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SERVICES = ["stable", "gateway", "locust-master", "trainer"]
DOCKERFILE = COMPOSE_FILE.parent / "services" / "model_server" / "Dockerfile"
LABELS = ["title", "description", "licenses", "version", "revision", "source"]

EVERY_ESTIMATOR = """
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer
from sklearn.utils import all_estimators
import scipy.cluster.hierarchy, scipy.io, scipy.signal, numpy.testing, skops.card, onnxruntime.backend
print(len(all_estimators()))
"""

COMPILED = """
from pathlib import Path
import numpy as np, skops.io
from sklearn.neural_network import MLPClassifier
from contract.model_toml import Input, ModelToml, write_model_toml
from services.model_server.version import load_version
rows = np.random.default_rng(1).normal(size=(200, 3))
folder = Path("/models/v1")
skops.io.dump(MLPClassifier((4,), max_iter=2000).fit(rows, rows[:, 0] > 0), folder / "model.skops")
write_model_toml(folder, ModelToml("m", "v1", "classification", Input("x", "FP64", (-1, 3))))
print(load_version(folder).runner)
"""


def image_of(docker, stack, service):
    return json.loads(docker.run("image", "inspect", stack.of(service)[0]["Image"], timeout=30))[0]


def test_the_model_server_is_under_300_mb_beyond_its_base(docker, stack):
    base = re.findall(r"^FROM (\S+)$", DOCKERFILE.read_text(), re.M)[-1]
    size = int(docker.run("image", "inspect", "--format", "{{.Size}}", base, timeout=30))
    assert image_of(docker, stack, "stable")["Size"] - size < 300e6


def test_what_is_left_still_runs_a_model_directly_and_compiles_one(docker, stack):
    with urllib.request.urlopen(f"{stack.url('candidate', 8000)}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert re.findall(r'^loadproof_model_compiled\{.*runner="(\w+)"', text, re.M) == ["direct"]
    image = stack.of("stable")[0]["Image"]
    options = ("--rm", "--tmpfs", "/models/v1:uid=10001", "--entrypoint", "python")
    assert docker.run("run", *options, image, "-c", COMPILED, timeout=120) == "onnxruntime\n"


def test_every_estimator_of_scikit_learn_is_left(docker, stack):
    # listed only in a process that asks for them, as another test may have done in this one
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    image = stack.of("stable")[0]["Image"]
    told = docker.run("run", "--rm", "--entrypoint", "python", image, "-c", EVERY_ESTIMATOR, timeout=120)
    assert int(told) == len(all_estimators())


@pytest.mark.parametrize("service", SERVICES)
def test_no_compiler_is_left_and_no_process_needs_pythons(docker, stack, service):
    image = stack.of(service)[0]["Image"]
    probe = "find /app -name '*.py' 2> /dev/null | while read -r file; do name=${file##*/}; "
    probe += 'ls "${file%/*}/__pycache__/${name%.py}".*.pyc > /dev/null || echo "$file"; done; '
    tools = "gcc cc g++ clang ld as strip make cargo"
    probe += f"for tool in {tools}; do command -v $tool; done; test ! -e /opt/venv/bin/pip"
    told = docker.run("run", "--rm", "--entrypoint", "sh", image, "-c", probe, timeout=60)
    assert told == ""


@pytest.mark.parametrize("service", SERVICES)
def test_says_who_it_is_and_runs_as_nobody_special(docker, stack, service):
    config = image_of(docker, stack, service)["Config"]
    assert {f"org.opencontainers.image.{label}" for label in LABELS} <= set(config["Labels"])
    assert all(config["Labels"][f"org.opencontainers.image.{label}"] for label in LABELS[:3])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", config["User"])
