import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from deploy.images.bases import bases
from deploy.images.build import ROOT, bake_arguments, compose_files, own_images, require_platforms
from deploy.images.stamp import Stamp
from loadtest.errors import StartError, UsageError
from loadtest.lab.compose.docker_cli import Docker

BOTH = ["linux/amd64", "linux/arm64"]


def builder(driver, platforms):
    return f"Name:   default\nDriver: {driver}\n\nNodes:\nStatus:    running\nPlatforms: {platforms}\n"


@pytest.mark.parametrize(
    ("driver", "platforms", "store", "asked", "says"),
    [
        # a builder with QEMU behind it
        ("docker-container", "linux/amd64*, linux/arm64, linux/386", "", BOTH, None),
        # Docker's own, with containerd's image store
        ("docker", "linux/amd64, linux/arm64", "[[driver-type io.containerd.snapshotter.v1]]", BOTH, None),
        # ... and without: it cannot hold an image of two platforms
        (
            "docker",
            "linux/amd64, linux/arm64",
            "[[Backing Filesystem extfs]]",
            BOTH,
            "one platform at a time",
        ),
        # one other platform only
        ("docker", "linux/amd64, linux/arm64", "[[Backing Filesystem extfs]]", BOTH[1:], None),
        # no QEMU
        ("docker-container", "linux/amd64, linux/386", "", BOTH, r"cannot run linux/arm64 .*install QEMU"),
    ],
)
def test_what_a_builder_lacks(docker, driver, platforms, store, asked, says):
    docker.answer("builder", builder(driver, platforms))
    docker.answer("store", store)
    if says is None:
        require_platforms(docker.client, asked)
    else:
        with pytest.raises(StartError, match=says):
            require_platforms(docker.client, asked)


def test_not_a_platform(docker):
    with pytest.raises(UsageError, match="PLATFORMS: 'arm' is not a platform"):
        require_platforms(docker.client, ["arm"])
    assert docker.asked == []


def pinned(images):
    """A digest for each base."""
    return {name: f"sha256:{'0' * 64}" for image in images for name in bases(image.dockerfile)}


def printed(*arguments, **environment):
    """The targets that ``buildx bake`` would build."""
    command = ["docker", "buildx", "bake", "--print", *arguments]
    everything = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=everything)
    if "is not a docker command" in done.stderr:
        pytest.skip("no buildx")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["target"]


def test_buildx_reads_yaml_by_its_name(image):
    mine = replace(image, dockerfile=ROOT / image.dockerfile)
    with compose_files([mine], pinned([mine])) as files:
        assert [file.name for file in files] == ["compose.yaml", "bases.yaml"]
    with compose_files([mine], {}) as files:
        assert [file.name for file in files] == ["compose.yaml"]


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker command")
class TestComposeFile:
    """Read by the real command; no Engine is asked."""

    def test_every_image_once(self, monkeypatch):
        monkeypatch.setenv("LOADPROOF_TAG", "7")
        # where versions are pulled from changes nothing about what is built
        monkeypatch.setenv("STABLE_IMAGE", "ghcr.io/me/recommender:7")
        monkeypatch.setenv("LOADPROOF_IMAGES", "ghcr.io/me/loadproof")
        images = own_images(Docker())
        assert [image.local for image in images] == [
            f"loadproof/{name}:7" for name in ("gateway", "loadtest", "model-server", "notebook", "trainer")
        ]
        assert {image.dockerfile for image in images} == set(ROOT.rglob("Dockerfile"))

    def test_some(self):
        assert [image.name for image in own_images(Docker(), ["trainer", "gateway"])] == [
            "gateway",
            "trainer",
        ]
        with pytest.raises(UsageError, match="no image gatewya; there are gateway, loadtest"):
            own_images(Docker(), ["gatewya"])

    @pytest.mark.parametrize("registry", ["", "ghcr.io/me"])
    def test_buildx_reads_it_for_two_platforms(self, registry):
        stamp = Stamp("0.1.0", "0123456789abcdef", "")
        images = own_images(Docker(), ["gateway", "model-server"])
        targets = printed(*bake_arguments(images, stamp, BOTH, registry), **stamp.variables)
        assert set(targets) == {image.service for image in images}
        for image in images:
            target = targets[image.service]
            assert target["platforms"] == BOTH
            assert target["args"]["REVISION"] == stamp.revision
            if registry:
                assert target["tags"] == [
                    f"ghcr.io/me/{image.name}:{tag}" for tag in ("0.1.0", "0123456789ab")
                ]
                # as old and new releases print the same
                assert target["output"] in ([{"type": "registry"}], [{"type": "image", "push": "true"}])
            else:
                assert target["output"] == [{"type": "cacheonly"}]

    def test_buildx_takes_the_pinned_bases(self):
        images = own_images(Docker())
        with compose_files(images, pins := pinned(images)) as files:
            targets = printed(*bake_arguments(images, Stamp("0.1.0"), BOTH, files=files))
        for image in images:
            names = bases(image.dockerfile)
            assert targets[image.service]["contexts"] == {
                name: f"docker-image://{name}@{pins[name]}" for name in names
            }
