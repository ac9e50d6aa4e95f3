"""Amazon's registry: repositories that scan what comes in and keep their tags, and a login of some hours.

The token goes to ``docker login`` through its standard input and into a configuration folder that lives as
long as the push: it is never printed, and never in an argument, which other users of a machine can read.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.images.build import Image
from deploy.images.push import push
from loadtest.errors import LabError, UsageError
from loadtest.lab.compose.docker_cli import Docker


def open_ecr(region: str) -> Any:
    """Amazon's client for a region, with the credentials that its own tools use.

    Raises:
        UsageError: boto3 is not installed.
    """
    try:
        import boto3
    except ImportError:
        raise UsageError("boto3 is not installed: run make push-ecr, which installs it") from None
    return boto3.client("ecr", region_name=region)


def push_to_ecr(
    docker: Docker, client: Any, images: Sequence[Image], prefix: str, say: Callable[[str], None]
) -> str:
    """Make what is missing, log in, push; the registry's path, for ``LOADPROOF_IMAGES``.

    The repositories' names begin with ``prefix``: ``loadproof`` for ``loadproof/model-server``.

    Raises:
        LabError: Amazon or the registry refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        kept = {image.name: _prepare(client, f"{prefix}/{image.name}", say) for image in images}
        (told,) = client.get_authorization_token()["authorizationData"]
    except (BotoCoreError, ClientError) as error:
        raise LabError(f"ECR: {' '.join(str(error).split())}") from None
    host = told["proxyEndpoint"].partition("://")[2]
    user, _, token = base64.b64decode(told["authorizationToken"]).decode().partition(":")
    with _logged_in(docker, host, user, token) as environment:
        push(docker, images, f"{host}/{prefix}", say, kept=kept, environment=environment)
    return f"{host}/{prefix}"


def _prepare(client: Any, repository: str, say: Callable[[str], None]) -> frozenset[str]:
    """A repository that scans and keeps its tags; returns the tags it has."""
    try:
        client.create_repository(
            repositoryName=repository,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
        say(f"made the repository {repository}")
        return frozenset()
    except client.exceptions.RepositoryAlreadyExistsException:
        client.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
        client.put_image_scanning_configuration(
            repositoryName=repository, imageScanningConfiguration={"scanOnPush": True}
        )
    pages = client.get_paginator("list_images").paginate(
        repositoryName=repository, filter={"tagStatus": "TAGGED"}
    )
    return frozenset(found["imageTag"] for page in pages for found in page["imageIds"])


@contextmanager
def _logged_in(docker: Docker, host: str, user: str, token: str) -> Iterator[dict[str, str]]:
    """Variables under which ``docker`` is logged in, until the block ends."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with tempfile.TemporaryDirectory(prefix="loadproof-login-") as folder:
        # the Engine that the person chose, and nothing of a keychain, where the token would outlive this
        context = _context(own / "config.json")
        (Path(folder) / "config.json").write_text(json.dumps({"currentContext": context} if context else {}))
        if (own / "contexts").is_dir():
            (Path(folder) / "contexts").symlink_to((own / "contexts").resolve())
        environment = {"DOCKER_CONFIG": folder}
        docker.run(
            *("login", "--username", user, "--password-stdin", host),
            timeout=60,
            stdin=token.encode(),
            environment=environment,
        )
        yield environment


def _context(config: Path) -> str:
    try:
        return str(json.loads(config.read_text()).get("currentContext", ""))
    except (OSError, ValueError):
        return ""
