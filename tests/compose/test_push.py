"""Images on a round trip: built, pushed to a real registry, deleted, pulled back by name, and load-tested."""

import json
import os
import re
import secrets
import shutil
import subprocess
import urllib.request

import pytest

from deploy.images.build import ROOT, own_images
from deploy.images.sbom import write_sbom
from loadtest.fetch import get
from loadtest.lab.free_ports import free_port
from tests.compose.own_images import remove_images
from tests.compose.waiting import HUNG, eventually

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

IMAGES = ["gateway", "loadtest", "model-server"]
REVISION = "0123456789abcdef0123456789abcdef01234567"
EXPERIMENT = """
name = "pulled"
gates = ["error_rate <= 50%", "accuracy >= 1%"]
[model]
name = "tiny"
folder = "{models}/tiny"
[versions]
stable = "v1"
candidate = "v2"
[data]
path = "{models}/rows.parquet"
[load]
rate = 10
duration = "5s"
warmup = "1s"
baseline = "1s"
# what comes out is the point, however slow and busy the machine is
timeout = "60s"
max_lag = "60s"
"""
REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        pytest.skip("no registry here: apt-get install docker-registry")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    (folder / "config.yml").write_text(REGISTRY.format(folder=folder / "data", port=port))
    command = [program, "serve", str(folder / "config.yml")]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            eventually(lambda: get(f"http://127.0.0.1:{port}/v2/", HUNG))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def tag(docker):
    """A tag of this test's own, whose images are gone afterwards."""
    tag = f"test-{secrets.token_hex(4)}"
    yield tag
    remove_images(docker, tag)


def make(*arguments, **environment):
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def test_pushed_deleted_pulled_back_and_load_tested(
    docker, tiny_models, registry, tag, lasting, tmp_path_factory
):
    where = f"{registry}/team/loadproof"
    done = make(
        "push", f"REGISTRY={where}", f"IMAGES={' '.join(IMAGES)}", LOADPROOF_TAG=tag, REVISION=REVISION
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (version,) = re.findall(rf"run them: LOADPROOF_IMAGES={where} LOADPROOF_TAG=(\S+) ", done.stdout)
    for name in IMAGES:
        with urllib.request.urlopen(
            f"http://{registry}/v2/team/loadproof/{name}/tags/list", timeout=10
        ) as answer:
            assert set(json.load(answer)["tags"]) == {version, REVISION[:12]}
        docker.run("image", "rm", f"loadproof/{name}:{tag}", timeout=30)
    names = docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", timeout=30)
    assert where not in names
    assert tag not in names
    folder = tmp_path_factory.mktemp("pulled")
    (folder / "pulled.toml").write_text(EXPERIMENT.format(models=tiny_models))
    try:
        done = make(
            *("loadtest", "BACKEND=compose", f"EXPERIMENT={folder / 'pulled.toml'}"),
            f"RESULTS={folder / 'results'}",
            LOADPROOF_IMAGES=where,
            LOADPROOF_TAG=version,
            # the versions by commit, the rest by version
            STABLE_IMAGE=f"{where}/model-server:{REVISION[:12]}",
            CANDIDATE_IMAGE=f"{where}/model-server:{REVISION[:12]}",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "building" not in done.stdout + done.stderr
        verdict = json.loads((folder / "results" / "latest" / "verdict.json").read_text())
        assert (verdict["verdict"], verdict["backend"]) == ("PASS", "compose")
        used = json.loads((folder / "results" / "latest" / "environment.json").read_text())["images"]
        commit = f"{where}/model-server:{REVISION[:12]}"
        wanted = {"stable": commit, "candidate": commit, "gateway": f"{where}/gateway:{version}"}
        for service, name in wanted.items():
            pulled = docker.run("image", "inspect", "--format", "{{.Id}}", name, timeout=30)
            assert used[service] == pulled.strip()
    finally:
        for name in docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", timeout=30).split():
            if name.startswith(where):
                docker.run("image", "rm", name, timeout=30)


@pytest.mark.parametrize(
    ("name", "base", "packages"),
    [
        ("model-server", "python", {"scikit-learn", "flask", "onnxruntime"}),
        # no Python in it
        ("gateway", "envoyproxy/envoy", set()),
    ],
)
def test_the_bill_of_materials_of_an_image(docker, images, tmp_path, name, base, packages):
    # loads a grammar of URLs for over a second, in every process that collects these tests
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    (image,) = own_images(docker, [name])
    path = write_sbom(docker, image, tmp_path)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    bill = json.loads(path.read_text())
    assert bill["metadata"]["component"]["name"] == f"loadproof/{name}"
    found = {component["name"].lower(): component for component in bill["components"]}
    assert packages <= set(found)
    assert re.match(r"pkg:deb/(debian|ubuntu)/libc6@", found["libc6"]["purl"])
    for package in packages:
        # what is pinned is what is there
        pinned = re.search(
            rf"^{package}==([^ ]+)", (ROOT / "requirements/model_server.txt").read_text(), re.M
        )
        assert found[package]["version"] == pinned[1]
        assert found[package]["licenses"]
    assert found[base]["type"] == "container"
