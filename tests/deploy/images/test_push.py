import json

import pytest

from deploy.images.push import check_registry, push
from loadtest.errors import LabError, UsageError

COMMIT = "0123456789ab"


@pytest.mark.parametrize(
    "registry",
    [
        "127.0.0.1:5000",
        "localhost:5000/team",
        "ghcr.io/me/loadproof/",
        "1.dkr.ecr.eu-central-1.amazonaws.com/a-b",
    ],
)
def test_a_registry(registry):
    assert check_registry(registry) == registry.rstrip("/")


@pytest.mark.parametrize(
    "registry",
    # nothing; no host; a scheme; capitals; a tag
    ["", "me/loadproof", "https://ghcr.io/me", "ghcr.io/Me", "ghcr.io/me:1"],
)
def test_no_registry(registry):
    with pytest.raises(UsageError, match=r"give host\[:port\]/path"):
        check_registry(registry)


def test_an_image_goes_under_its_commit_and_then_its_version(docker, image):
    said = []
    push(docker.client, [image], "ghcr.io/me", said.append)
    pushed = [f"ghcr.io/me/gateway:{tag}" for tag in (COMMIT, "0.1.0")]
    assert [line for line in docker.asked if line.startswith("push")] == [f"push --quiet {p}" for p in pushed]
    assert said == [f"pushed {p}" for p in pushed]
    # the names were for the push only
    removed = [line for line in docker.asked if line.startswith("image rm")]
    assert removed == [f"image rm --no-prune {p}" for p in pushed]


def test_what_is_there_stays(docker, image):
    said = []
    push(docker.client, [image], "ghcr.io/me", said.append, kept={"gateway": frozenset(["0.1.0"])})
    assert [line for line in docker.asked if line.startswith("push")] == [
        f"push --quiet ghcr.io/me/gateway:{COMMIT}"
    ]
    assert said[1] == "ghcr.io/me/gateway:0.1.0 is there already, and tags are immutable: it stays"


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        # by another build than `make images`
        (None, "do not say from which commit"),
        (
            {"org.opencontainers.image.version": "0.1.0", "org.opencontainers.image.revision": ""},
            "do not say",
        ),
        ({"org.opencontainers.image.revision": "0123-dirty"}, "commit first"),
    ],
)
def test_an_image_whose_commit_is_not_known_is_not_pushed(docker, image, labels, says):
    docker.answer("labels", json.dumps(labels))
    with pytest.raises(UsageError, match=says):
        push(docker.client, [image], "ghcr.io/me", print)
    assert not [line for line in docker.asked if not line.startswith("image inspect")]


def test_a_registry_that_refuses(docker, image):
    docker.answer("refusal", "denied: requested access to the resource is denied\n")
    with pytest.raises(LabError, match=r"0123456789ab was not taken .*denied.*docker login ghcr\.io"):
        push(docker.client, [image], "ghcr.io/me", print)
    assert docker.asked[-1].startswith("image rm")
