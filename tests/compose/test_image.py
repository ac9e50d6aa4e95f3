"""A version that is an image: it brings its own server and model."""

import json
from pathlib import Path

import pytest
import requests

from loadtest.errors import StartError
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.interface import Version

IMAGE = "loadproof-test/recommender:2"


@pytest.fixture(scope="module")
def image(docker, models, open_lab):
    """Built from our model server, with the model inside; ``open_lab`` has built that."""
    tag = json.loads(docker.run("compose", "config", "--format", "json", timeout=30))["services"]["stable"][
        "image"
    ]
    dockerfile = f"FROM {tag}\nCOPY shop/v2 /baked\nENV MODEL_DIR=/baked\n"
    docker.run(
        "build", "--quiet", "--tag", IMAGE, "--file", "-", str(models), timeout=300, stdin=dockerfile.encode()
    )
    yield IMAGE
    docker.run("image", "rm", "--force", IMAGE, timeout=60)


def versions(models, candidate):
    stable = Version("stable", models / "shop" / "v1", 0.25, 2**29)
    return stable, Version("candidate", Path(), 0.25, 2**29, candidate)


def test_an_image_is_served_beside_a_folder_under_the_same_limit(docker, models, image):
    with ComposeLab(versions(models, image), docker, prometheus=False) as lab:
        served = {}
        for role in ("stable", "candidate"):
            url = f"{lab.endpoints.gateway}/v2/models/shop"
            served[role] = requests.get(url, headers={"x-model-version": role}, timeout=10).json()["versions"]
        assert served == {"stable": ["v1"], "candidate": ["v2"]}
        assert lab.enforced_cpus("candidate") == lab.enforced_cpus("stable") == 0.25


def test_an_image_that_is_not_there(docker, models):
    lab = ComposeLab(versions(models, "loadproof-test/nowhere:1"), docker, prometheus=False)
    with pytest.raises(
        StartError, match=r"loadproof-test/nowhere:1 of candidate can be neither found nor pulled"
    ):
        lab.__enter__()
