"""A version that is an image: it brings its own server and model."""

import secrets
from pathlib import Path

import pytest
import requests

from loadtest.errors import StartError
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.interface import Version
from tests.compose.waiting import HUNG

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image(docker, tiny_models, images):
    """Built from our model server, with the model inside."""
    name = f"loadproof-test/recommender:{secrets.token_hex(4)}"
    dockerfile = f"FROM loadproof/model-server:{images}\nCOPY tiny/v2 /baked\nENV MODEL_DIR=/baked\n"
    docker.run(
        "build",
        "--quiet",
        "--tag",
        name,
        "--file",
        "-",
        str(tiny_models),
        timeout=300,
        stdin=dockerfile.encode(),
    )
    yield name
    docker.run("image", "rm", "--force", name, timeout=60)


def versions(models, candidate):
    stable = Version("stable", models / "tiny" / "v1", 0.25, 2**29)
    return stable, Version("candidate", Path(), 0.25, 2**29, candidate)


def test_an_image_is_served_beside_a_folder_under_the_same_limit(docker, tiny_models, image, lasting):
    with ComposeLab(versions(tiny_models, image), docker, prometheus=False) as lab:
        served = {}
        for role in ("stable", "candidate"):
            url = f"{lab.endpoints.gateway}/v2/models/tiny"
            served[role] = requests.get(url, headers={"x-model-version": role}, timeout=HUNG).json()[
                "versions"
            ]
        assert served == {"stable": ["v1"], "candidate": ["v2"]}
        assert lab.enforced_cpus("candidate") == lab.enforced_cpus("stable") == 0.25


def test_an_image_that_is_not_there(docker, tiny_models, images):
    # nobody listens there, which Docker sees at once
    nowhere = "127.0.0.1:1/recommender:1"
    lab = ComposeLab(versions(tiny_models, nowhere), docker, prometheus=False)
    with pytest.raises(StartError, match=f"{nowhere} of candidate can be neither found nor pulled"):
        lab.__enter__()
