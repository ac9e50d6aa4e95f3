"""A ``docker`` command that answers from files and writes down what it was asked and given to read."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.images.build import Image
from loadtest.lab.compose.docker_cli import Docker

REVISION = "0123456789abcdef0123456789abcdef01234567"
PROGRAM = """#!/bin/sh
cd {folder}
printf '%s\\n' "$*" >> asked
case "$1" in
  image) [ "$2" = rm ] || cat labels ;;
  login) cat > token; ls "$DOCKER_CONFIG" > login-folder; printf %s "$DOCKER_CONFIG" > config ;;
  push) [ "$DOCKER_CONFIG" = "$(cat config 2> /dev/null)" ] || echo "push: not logged in" >> asked
        [ ! -e refusal ] || { cat refusal >&2; exit 1; } ;;
  buildx) cat builder ;;
  info) cat store ;;
esac
"""


@dataclass(frozen=True)
class FakeDocker:
    client: Docker
    folder: Path

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def answer(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


@pytest.fixture
def docker(tmp_path):
    program = tmp_path / "docker"
    program.write_text(PROGRAM.replace("{folder}", str(tmp_path)))
    program.chmod(0o755)
    fake = FakeDocker(Docker(str(program)), tmp_path)
    prefix = "org.opencontainers.image."
    fake.answer("labels", json.dumps({f"{prefix}version": "0.1.0", f"{prefix}revision": REVISION}))
    return fake


@pytest.fixture
def image():
    return Image("gateway", "gateway", "loadproof/gateway:0.1.0", Path("services/gateway/Dockerfile"))
