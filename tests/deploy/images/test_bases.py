import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.images.bases import bases, override, pin, read_pins
from deploy.images.build import ROOT
from loadtest.errors import StartError, UsageError

DIGEST = f"sha256:{'0' * 63}1"
ENVOY = "envoyproxy/envoy:v1.40.0"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a:1\n", ["a:1"]),
        # an argument, with what it is unless somebody says otherwise
        ("ARG I=b/c:2\nFROM ${I}\n", ["b/c:2"]),
        # twice, and a stage that is no image
        ("FROM a:1 AS x\nFROM a:1 AS y\nFROM x\n", ["a:1"]),
    ],
)
def test_what_a_dockerfile_starts_from(tmp_path, text, found):
    (tmp_path / "Dockerfile").write_text(text)
    assert bases(tmp_path / "Dockerfile") == found


def test_no_dockerfile_carries_a_digest_and_each_names_a_tag():
    for dockerfile in ROOT.glob("*/**/*Dockerfile"):
        if ".venv" not in dockerfile.parts:
            assert all(":" in name and "@" not in name for name in bases(dockerfile)), dockerfile


def test_what_was_pinned_is_what_is_built_from(docker, image, tmp_path):
    path, mine = tmp_path / "bases.txt", replace(image, dockerfile=ROOT / image.dockerfile)
    assert override([mine], read_pins(path)) == {}
    docker.answer("builder", json.dumps({"mediaType": "application/json", "digest": DIGEST}))
    assert pin(docker.client, [mine, mine], path) == [f"{ENVOY}@{DIGEST}"]
    assert docker.asked == [f"buildx imagetools inspect {ENVOY} --format {{{{json .Manifest}}}}"]
    assert override([mine], read_pins(path)) == {
        "services": {
            "gateway": {"build": {"additional_contexts": {ENVOY: f"docker-image://{ENVOY}@{DIGEST}"}}}
        }
    }


@pytest.mark.parametrize("told", ["", "no such image", "{}", '{"digest": "sha256:12"}'])
def test_a_registry_that_does_not_tell_leaves_the_file_as_it_was(docker, image, tmp_path, told):
    path = tmp_path / "bases.txt"
    docker.answer("builder", told)
    with pytest.raises(StartError, match=f"{ENVOY}.*nothing was written"):
        pin(docker.client, [replace(image, dockerfile=ROOT / image.dockerfile)], path)
    assert not path.exists()


def test_a_line_that_is_no_pin_is_refused(tmp_path):
    path = Path(tmp_path / "bases.txt")
    path.write_text(f"{ENVOY}@{DIGEST}\nlatest\n")
    with pytest.raises(UsageError, match="line 2"):
        read_pins(path)
