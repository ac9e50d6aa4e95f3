"""A verdict on the page of a GitHub job: the summary, and an annotation per gate that does not pass.

Annotations are workflow commands: lines on standard output that the runner reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from loadtest.errors import TargetError, UsageError
from loadtest.judge.verdict import Word
from loadtest.publish.stored_verdict import StoredVerdict

SUMMARY = "GITHUB_STEP_SUMMARY"
MOST = 10
"""What GitHub shows of each kind per step."""
LARGEST = 2**20
"""Bytes of a step's summary; of a longer one GitHub shows nothing."""
_CUT = "\n\nCut here, as GitHub shows no summary above 1 MiB; `report.html` has the rest.\n"
_LEVELS = {Word.FAIL: "error", Word.INVALID: "error", Word.INCONCLUSIVE: "warning"}


class GithubJob:
    """Writes into the job that runs: ``GithubJob(Path(os.environ["GITHUB_STEP_SUMMARY"]), print)``."""

    name, retry = "GitHub", "--github"

    def __init__(self, summary: Path, write: Callable[[str], object]) -> None:
        self._summary, self._write = summary, write

    @classmethod
    def from_environment(
        cls, write: Callable[[str], object] = print, environment: Mapping[str, str] = os.environ
    ) -> GithubJob:
        """The job that the environment names.

        Raises:
            UsageError: this is no GitHub job.
        """
        if not environment.get(SUMMARY):
            raise UsageError(f"--github: {SUMMARY} is not set; it is in each step of a GitHub job")
        return cls(Path(environment[SUMMARY]), write)

    def deliver(self, stored: StoredVerdict) -> str:
        """Append summary.md to the job's summary and write the annotations; see ``Destination``."""
        for line in job_annotations(stored):
            self._write(line)
        try:
            text = (stored.folder / "summary.md").read_text(encoding="utf-8")
            with self._summary.open("a", encoding="utf-8") as page:
                page.write(_fitting(text, LARGEST - page.tell()))
        except OSError as error:
            raise TargetError(f"{error.filename}: {error.strerror}") from None
        return f"GitHub: the job's summary has the verdict ({stored.verdict.verdict})"


def _fitting(text: str, room: int) -> str:
    """Its lines that fit into so many bytes, and one that says so where some do not."""
    if len(text.encode()) <= room:
        return text
    kept = text.encode()[: max(room - len(_CUT), 0)].rpartition(b"\n")[0]
    return kept.decode() + _CUT


def job_annotations(stored: StoredVerdict) -> Iterator[str]:
    """Workflow commands: the verdict unless it is PASS, then its gates that do not, the failed ones first."""
    verdict = stored.verdict
    if verdict.verdict is Word.PASS:
        return
    yield _command(_LEVELS[verdict.verdict], f"{verdict.verdict}: {verdict.experiment}", verdict.reason)
    left = {"error": MOST - 1, "warning": MOST - 1}
    for word in (Word.FAIL, Word.INCONCLUSIVE):
        for rate, at in stored.by_rate():
            for gate in at.gates:
                level = _LEVELS[word]
                if gate.verdict is word and left[level]:
                    left[level] -= 1
                    where = "" if rate is None else f" at {rate:g}/s"
                    yield _command(level, f"{gate.verdict}{where}: {gate.name}", gate.reason)


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(message)}"


def _escaped(text: str) -> str:
    """As the runner's own toolkit escapes: a message cannot end its line, nor begin a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
