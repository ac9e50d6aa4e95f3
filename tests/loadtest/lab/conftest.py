import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.lab.compose.docker_cli import Docker


@dataclass(frozen=True)
class FakeDocker:
    """A ``docker`` command that answers from a table and writes down what it was asked."""

    client: Docker
    log: Path

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def fake_docker(tmp_path):
    """``fake_docker({"version": "28.0.0", "pull": (1, "no route")})``.

    The first key that occurs in a command answers it: with text and code 0, or with a code and an error text.
    """

    def make(answers: dict[str, str | tuple[int, str]]) -> FakeDocker:
        log = tmp_path / "asked"
        cases = []
        for key, answer in answers.items():
            code, text = answer if isinstance(answer, tuple) else (0, answer)
            stream = 2 if code else 1
            cases.append(
                f"*{shlex.quote(key)}*) printf '%s\\n' {shlex.quote(text)} >&{stream}; exit {code};;"
            )
        program = tmp_path / "docker"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$*" >> {shlex.quote(str(log))}\ncase "$*" in\n'
            + "\n".join(cases)
            + "\nesac\n"
        )
        program.chmod(0o755)
        return FakeDocker(Docker(str(program)), log)

    return make
