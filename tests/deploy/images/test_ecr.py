"""Amazon's calls against moto's server, over HTTP; the docker command is a fake."""

import base64
import json
import os
import urllib.request
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from deploy.images.ecr import open_ecr, push_to_ecr
from loadtest.errors import LabError

COMMIT = "0123456789ab"
REPOSITORY = "team/gateway"


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """No account of whoever runs these tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def ecr(server, monkeypatch):
    urllib.request.urlopen(
        urllib.request.Request(f"{server}/moto-api/reset", method="POST"), timeout=60
    ).close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return open_ecr("eu-central-1")


def described(ecr):
    (repository,) = ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    return repository["imageTagMutability"], repository["imageScanningConfiguration"]["scanOnPush"]


def test_makes_what_is_missing_and_pushes_there(ecr, docker, image):
    said = []
    registry = push_to_ecr(docker.client, ecr, [image], "team", said.append)
    assert registry == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team"
    assert described(ecr) == ("IMMUTABLE", True)
    assert said[0] == f"made the repository {REPOSITORY}"
    pushes = [line for line in docker.asked if line.startswith("push")]
    assert pushes == [f"push --quiet {registry}/gateway:{tag}" for tag in (COMMIT, "0.1.0")]


def test_the_token_is_read_and_nowhere_else(ecr, docker, image, capfd):
    said = []
    push_to_ecr(docker.client, ecr, [image], "team", said.append)
    (data,) = ecr.get_authorization_token()["authorizationData"]
    token = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
    assert (docker.folder / "token").read_text() == token
    (login,) = (line for line in docker.asked if line.startswith("login"))
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert login == f"login --username AWS --password-stdin {host}"
    everything = "\n".join([*docker.asked, *said, *capfd.readouterr()])
    assert token not in everything
    # ... and what docker keeps of a login is gone
    assert not Path((docker.folder / "config").read_text()).exists()


def test_a_repository_that_was_there_is_set_right(ecr, docker, image):
    ecr.create_repository(repositoryName=REPOSITORY)
    assert described(ecr) == ("MUTABLE", False)
    push_to_ecr(docker.client, ecr, [image], "team", lambda _: None)
    assert described(ecr) == ("IMMUTABLE", True)


def test_a_tag_that_was_there_stays(ecr, docker, image):
    ecr.create_repository(repositoryName=REPOSITORY)
    manifest = "application/vnd.docker.distribution.manifest.v2+json"
    ecr.put_image(
        repositoryName=REPOSITORY,
        imageManifest=json.dumps({"schemaVersion": 2, "mediaType": manifest, "layers": []}),
        imageManifestMediaType=manifest,
        imageTag="0.1.0",
    )
    said = []
    push_to_ecr(docker.client, ecr, [image], "team", said.append)
    assert said[-1].endswith(":0.1.0 is there already, and tags are immutable: it stays")
    assert [line.rpartition(":")[2] for line in docker.asked if line.startswith("push")] == [COMMIT]


def test_no_credentials(server, docker, image):
    # a session of its own: boto3 keeps the credentials of the first
    client = boto3.Session().client("ecr", region_name="eu-central-1", endpoint_url=server)
    with pytest.raises(LabError, match="ECR: Unable to locate credentials"):
        push_to_ecr(docker.client, client, [image], "team", lambda _: None)
    assert docker.asked == []
