import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.images.bases import bases, last_base, override, pin, read_pins
from deploy.images.build import ROOT
from loadtest.errors import StartError, UsageError

DIGEST = f"sha256:{'0' * 63}1"
ENVOY = "envoyproxy/envoy:v1.40.0"


@pytest.mark.parametrize(
    ("text", "found", "last"),
    [
        ("FROM a:1\n", ["a:1"], "a:1"),
        # an argument, with what it is unless somebody says otherwise
        ("ARG I=b/c:2\nFROM ${I}\n", ["b/c:2"], "b/c:2"),
        ("ARG I='b/c:2'\nFROM $I\n", ["b/c:2"], "b/c:2"),
        # one of a stage is not known to FROM
        ("ARG V=1\nFROM a:$V\nARG V=2\nFROM b:$V\n", ["a:1", "b:1"], "b:1"),
        # twice, and a stage that is no image
        ("FROM a:1 AS x\nFROM a:1 AS y\nFROM x\n", ["a:1"], "a:1"),
        ("FROM b:1 AS x\nFROM a:1\nCOPY --from=x /a /a\nCOPY --from=0 /b /b\n", ["b:1", "a:1"], "a:1"),
        # for another platform, and in small letters
        ("FROM --platform=$BUILDPLATFORM a:1 AS x\nfrom b:1 as y\nFROM Y\n", ["a:1", "b:1"], "b:1"),
        # files of another image
        ("FROM a:1\nCOPY --chown=1 --from=b:1 /x /x\n", ["a:1", "b:1"], "a:1"),
        ("FROM a:1\nRUN --network=none \\\n --mount=from=b:1,target=/x ls --from=c\n", ["a:1", "b:1"], "a:1"),
        # nothing is no image
        ("FROM scratch\n", [], "scratch"),
    ],
)
def test_what_a_dockerfile_starts_from(tmp_path, text, found, last):
    (tmp_path / "Dockerfile").write_text(text)
    assert bases(tmp_path / "Dockerfile") == found
    assert last_base(tmp_path / "Dockerfile") == last


@pytest.mark.parametrize(
    "line",
    # no value; a default in place; two names
    ["FROM $NOBODY_SAYS", "FROM ${I:-a:1}", "FROM a:1 b:1"],
)
def test_a_base_that_cannot_be_read_is_named(tmp_path, line):
    (tmp_path / "Dockerfile").write_text(f"{line}\n")
    with pytest.raises(UsageError, match=re.escape(f"no image can be read from {line!r}")):
        bases(tmp_path / "Dockerfile")


def test_no_dockerfile_carries_a_digest_and_each_names_a_tag():
    dockerfiles = [path for path in ROOT.glob("*/**/*Dockerfile") if ".venv" not in path.parts]
    assert "own_runtime.Dockerfile" in {path.name for path in dockerfiles}
    for dockerfile in dockerfiles:
        assert all(":" in name and "@" not in name for name in bases(dockerfile)), dockerfile


def test_what_was_pinned_is_what_is_built_from(docker, image, tmp_path):
    path, mine = tmp_path / "bases.txt", replace(image, dockerfile=ROOT / image.dockerfile)
    assert override({mine.service: mine.dockerfile}, read_pins(path)) == {}
    docker.answer("builder", json.dumps({"mediaType": "application/json", "digest": DIGEST}))
    assert pin(docker.client, [mine.dockerfile, mine.dockerfile], path) == [f"{ENVOY}@{DIGEST}"]
    assert docker.asked == [f"buildx imagetools inspect {ENVOY} --format {{{{json .Manifest}}}}"]
    assert override({mine.service: mine.dockerfile}, read_pins(path)) == {
        "services": {
            "gateway": {"build": {"additional_contexts": {ENVOY: f"docker-image://{ENVOY}@{DIGEST}"}}}
        }
    }


def test_a_base_that_was_not_pinned_with_the_others_is_named(image):
    mine = replace(image, dockerfile=ROOT / image.dockerfile)
    with pytest.raises(UsageError, match=rf"bases\.txt: {ENVOY} is not pinned; run make pin-bases"):
        override({mine.service: mine.dockerfile}, {"python:3.13-slim": DIGEST})


@pytest.mark.parametrize("told", ["", "no such image", "{}", '{"digest": "sha256:12"}'])
def test_a_registry_that_does_not_tell_leaves_the_file_as_it_was(docker, image, tmp_path, told):
    path = tmp_path / "bases.txt"
    docker.answer("builder", told)
    with pytest.raises(StartError, match=f"{ENVOY}.*nothing was written"):
        pin(docker.client, [ROOT / image.dockerfile], path)
    assert not path.exists()


def test_a_line_that_is_no_pin_is_refused(tmp_path):
    path = Path(tmp_path / "bases.txt")
    path.write_text(f"{ENVOY}@{DIGEST}\nlatest\n")
    with pytest.raises(UsageError, match="line 2"):
        read_pins(path)
