"""The summary, and annotations that no text can turn into other commands."""

import pytest

from loadtest.errors import TargetError, UsageError
from loadtest.judge.verdict import Word
from loadtest.publish.github import LARGEST, MOST, GithubJob, job_annotations
from loadtest.publish.stored_verdict import read_verdict
from tests.loadtest.publish.conftest import made_verdict


def test_pass_has_a_summary_and_no_annotation(store, tmp_path):
    folder, page, said = store(), tmp_path / "page.md", []
    (folder / "summary.md").write_text("## PASS\n")
    page.write_text("of an earlier step\n")
    GithubJob.from_environment(said.append, {"GITHUB_STEP_SUMMARY": str(page)}).deliver(read_verdict(folder))
    assert page.read_text() == "of an earlier step\n## PASS\n"
    assert said == []


def test_a_summary_is_no_longer_than_github_takes(store, tmp_path):
    folder, page = store(), tmp_path / "page.md"
    (folder / "summary.md").write_text("## PASS\n" + "| ✓ | slice |\n" * 80_000)
    page.write_text("of an earlier step of the same job\n")
    GithubJob(page, [].append).deliver(read_verdict(folder))
    text = page.read_text()
    assert LARGEST - 100 < page.stat().st_size <= LARGEST
    assert text.startswith("of an earlier step of the same job\n## PASS\n")
    assert text.endswith(
        "| ✓ | slice |\n\nCut here, as GitHub shows no summary above 1 MiB; `report.html` has the rest.\n"
    )


@pytest.mark.parametrize(
    ("word", "level", "gates"),
    [(Word.FAIL, "error", 3), (Word.INCONCLUSIVE, "warning", 3), (Word.INVALID, "error", 0)],
)
def test_annotations(store, word, level, gates):
    lines = list(job_annotations(read_verdict(store(verdict=made_verdict(word, "50% of it,\nall: bad")))))
    assert lines[0] == f"::{level} title={word}%3A compare::50%25 of it,%0Aall: bad"
    assert len(lines) == 1 + gates
    assert not gates or lines[1] == f"::{level} title={word}%3A p95 <= stable + 10%25::why"


def test_no_more_than_github_shows_and_no_line_of_anybody_else(store):
    verdict = made_verdict(Word.FAIL, "x\r\n::set-output name=a::b")
    lines = list(job_annotations(read_verdict(store(verdict=verdict, rates=(10, 20, 30, 40)))))
    assert len(lines) == MOST
    assert lines[4].startswith("::error title=FAIL at 20/s%3A p95")
    assert all("\n" not in line and "\r" not in line for line in lines)


def test_what_is_not_there(store, tmp_path):
    with pytest.raises(UsageError, match="GITHUB_STEP_SUMMARY is not set"):
        GithubJob.from_environment(print, {})
    with pytest.raises(TargetError, match=r"summary\.md: No such file"):
        GithubJob(tmp_path / "page", print).deliver(read_verdict(store()))
