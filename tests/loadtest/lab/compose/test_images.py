import json

import pytest

from loadtest.errors import StartError
from loadtest.lab.compose.images import provide_images

OURS = {
    "stable": "loadproof/model-server:0.1.0",
    "candidate": "loadproof/model-server:0.1.0",
    "gateway": "loadproof/gateway:0.1.0",
    "load": "loadproof/loadtest:0.1.0",
    "prometheus": "prom/prometheus:v3.5.3",
}
MISSING = (1, "manifest unknown")


def config(**images):
    return json.dumps({"services": {name: {"image": image} for name, image in (OURS | images).items()}})


def test_builds_ours_and_finds_prometheus(fake_docker):
    docker = fake_docker({" config ": config()})
    said = []
    assert provide_images(docker.client, said.append).prometheus
    assert next(line for line in docker.asked if " build " in line).endswith(
        "build stable candidate gateway load"
    )
    assert not [line for line in docker.asked if "pull" in line]
    assert said == ["building the images (this takes minutes the first time and seconds afterwards)"]


def test_an_image_of_somebody_else_is_pulled_and_never_built_over(fake_docker):
    docker = fake_docker({" config ": config(candidate="shop/recommender:7"), "image inspect shop": MISSING})
    provide_images(docker.client, lambda _: None)
    assert next(line for line in docker.asked if " build " in line).endswith("build stable gateway load")
    assert "image pull shop/recommender:7" in docker.asked


def test_images_from_a_registry_are_pulled_and_none_is_built(fake_docker):
    pushed = {name: image.replace("loadproof/", "ghcr.io/me/loadproof/") for name, image in OURS.items()}
    docker = fake_docker({" config ": config(**pushed)} | dict.fromkeys(["image inspect ghcr.io"], MISSING))
    said = []
    assert provide_images(docker.client, said.append).prometheus
    assert not [line for line in docker.asked if " build" in line]
    assert f"image pull {pushed['load']}" in docker.asked
    assert said == []


def test_does_without_prometheus(fake_docker):
    docker = fake_docker({" config ": config(), "image ": MISSING})
    said = []
    assert not provide_images(docker.client, said.append).prometheus
    assert said[-1] == "no image prom/prometheus:v3.5.3: this lab runs without Prometheus"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        # no network, no disk: the line that Docker ends with, and where to look
        (
            {" config ": config(), " build ": (1, "step 3\nno space left on device")},
            "the images cannot be built .*no space left on device.*the network and the disk",
        ),
        # a clone in a folder such as `Bücher`, whose name Docker's builder sends as a header
        (
            {" config ": config(), " build ": (1, "value with non-printable ASCII characters")},
            "clone to a path of ASCII letters",
        ),
        (
            {" config ": config(stable="shop/recommender:6"), "image ": MISSING},
            "the image shop/recommender:6 of stable can be neither found nor pulled; build or load it",
        ),
    ],
)
def test_cannot_be_had(fake_docker, answers, message):
    with pytest.raises(StartError, match=message):
        provide_images(fake_docker(answers).client, lambda _: None)


def test_a_failed_build_carries_its_last_lines(fake_docker):
    docker = fake_docker({" config ": config(), " build ": (1, "step 3\nno space left on device")})
    with pytest.raises(StartError) as caught:
        provide_images(docker.client, lambda _: None)
    assert caught.value.log == ("step 3", "no space left on device")
