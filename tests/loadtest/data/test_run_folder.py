import json
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtest.data.run_folder import RunFolder, find_run, remove_abandoned, require_writable, write_file
from loadtest.data.samples import SampleSet
from loadtest.errors import LabError, LoadproofError, UsageError

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_appears_whole_under_its_name_and_latest_points_at_it(tmp_path):
    results = tmp_path / "results"
    with RunFolder(results, "compare", NOW) as folder:
        folder.write("verdict.json", {"verdict": "PASS"})
        assert names(results) == {".20260304T050607Z-compare.partial"}
        final = folder.publish()
    assert final == results / "20260304T050607Z-compare"
    assert names(results) == {final.name, "latest"}
    assert json.loads((results / "latest" / "verdict.json").read_text()) == {"verdict": "PASS"}


def test_two_runs_in_one_second_do_not_meet_and_latest_is_the_newer(tmp_path):
    finals = []
    for _ in range(2):
        with RunFolder(tmp_path, "compare", NOW) as folder:
            finals.append(folder.publish())
    assert finals[1].name == finals[0].name + "-2"
    assert (tmp_path / "latest").resolve() == finals[1]


@pytest.mark.parametrize(
    ("stands", "why"),
    [
        (lambda latest: (latest / "mine").mkdir(parents=True), "is no link but a folder; move it away"),
        # an empty one would be replaced by a rename of a folder, not of a link
        (lambda latest: latest.mkdir(), "is no link but a folder; move it away"),
        # a rename of a link would replace a file
        (lambda latest: latest.write_text("mine"), "is no link but a file; move it away"),
    ],
)
def test_a_latest_that_cannot_be_replaced_costs_a_line_and_no_run(tmp_path, stands, why):
    stands(tmp_path / "latest")
    said = []
    with RunFolder(tmp_path, "compare", NOW) as folder:
        final = folder.publish(said.append)
    assert said == [f"{tmp_path / 'latest'} does not point at this run: it {why}; the run is in {final}"]
    assert names(tmp_path) == {final.name, "latest"}


@pytest.mark.parametrize(
    "target",
    [
        # of a run that was deleted
        "20260101T000000Z-gone",
        # nothing that could be followed
        "latest",
    ],
)
def test_a_latest_that_leads_nowhere_is_pointed_at_the_run(tmp_path, target):
    (tmp_path / "latest").symlink_to(target)
    with RunFolder(tmp_path, "compare", NOW) as folder:
        final = folder.publish()
    assert (tmp_path / "latest").resolve() == final


def test_a_run_that_breaks_before_it_measured_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="broke"), RunFolder(tmp_path, "compare", NOW):
        raise ValueError("broke")
    assert names(tmp_path) == set()


KILLED = (
    "import os, signal, sys; from pathlib import Path; from loadtest.data.run_folder import RunFolder; "
    "folder = RunFolder(Path(sys.argv[1]), 'compare'); "
    "[folder.write(*f'{name}=x'.split('=')[:2]) for name in sys.argv[2:]]; "
    "os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        # nothing was measured
        (["experiment.toml", "environment.json"], False),
        # the file for its samples was made
        (["experiment.toml", "samples.stream="], False),
        # something was, or may have been
        (["experiment.toml", "samples.stream"], True),
        (["experiment.toml", "state.json"], True),
    ],
)
def test_the_folder_of_a_killed_command_goes_with_the_next_unless_it_measured(tmp_path, files, kept):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *files], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    said = []
    with RunFolder(tmp_path, "other", NOW) as lives:
        # the next command removed it at once, and one that lives keeps its own
        remove_abandoned(tmp_path, said.append)
        assert names(tmp_path) == {lives.path.name} | ({left.name} if kept else set())
        assert said == []
    assert lives.path.exists()
    remove_abandoned(tmp_path, said.append)
    assert said == [f"a command was killed before it measured anything; removed its folder {lives.path}"]


def swept_when(moment, results, said):
    """A results folder that another command sweeps when a run's folder is ``made``, or being ``left``."""
    moments = [moment]

    class Swept(type(results)):
        def _sweep(self, now):
            if self.name.endswith(".partial") and now in moments:
                moments.remove(now)
                remove_abandoned(results, said.append)

        def mkdir(self, *args, **kwargs):
            super().mkdir(*args, **kwargs)
            self._sweep("made")

        def rglob(self, pattern):
            self._sweep("left")
            return super().rglob(pattern)

    return Swept(results)


@pytest.mark.parametrize(
    ("moment", "name", "removed"),
    [
        # before it is locked
        ("made", "20260304T050607Z-compare-2", 1),
        # while what is in it is removed
        ("left", "20260304T050607Z-compare", 0),
    ],
)
def test_another_command_looks_for_abandoned_folders_meanwhile(tmp_path, moment, name, removed):
    said = []
    folder = RunFolder(swept_when(moment, tmp_path, said), "compare", NOW)
    assert folder.name == name
    with pytest.raises(ValueError, match="broke"), folder:
        raise ValueError("broke")
    assert len(said) == removed
    assert names(tmp_path) == set()


def test_a_run_that_breaks_after_it_measured_keeps_the_samples_and_says_where(tmp_path):
    folder = RunFolder(tmp_path, "compare", NOW)
    folder.write("samples.parquet", "measured")
    with pytest.raises(ValueError, match="broke") as caught, folder:
        raise ValueError("broke")
    assert caught.value.__notes__ == [f"what was measured is kept in {folder.path}"]
    assert (folder.path / "samples.parquet").read_text() == "measured"


def test_a_run_that_was_ended_before_its_first_answer_leaves_nothing(tmp_path):
    """What the generator left was an empty file, and the message called it measured."""
    folder = RunFolder(tmp_path, "compare", NOW)
    SampleSet.empty().write(folder.path / "samples.parquet")
    folder.write("load.json", {})
    with pytest.raises(KeyboardInterrupt) as caught, folder:
        raise KeyboardInterrupt
    assert not hasattr(caught.value, "__notes__")
    assert names(tmp_path) == set()


def test_a_results_folder_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another --results"):
        RunFolder(tmp_path / "file", "compare", NOW)


def test_what_takes_no_folders_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    require_writable(tmp_path / "new" / "results")
    assert names(tmp_path) == {"file"}
    for results in (tmp_path / "file", tmp_path / "file" / "results"):
        with pytest.raises(
            UsageError, match=rf"{results}: cannot write the run there \({tmp_path}/file is no f"
        ):
            require_writable(results)
    # nobody may make a folder there, though root's permissions do not say so
    with pytest.raises(UsageError, match=r"/proc/results: cannot write the run there \("):
        require_writable(Path("/proc/results"))


def test_a_full_disk_is_named_with_the_remedy(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(LabError, match=r"full: No space left on device; make room"):
        write_file(tmp_path, "full", "x" * 10)
    # what is no file is written to, and never replaced
    assert Path("/dev/full").is_char_device()


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    write_file(tmp_path, "verdict.json", "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(LabError, match=r"verdict\.json: File too large; make room"):
            write_file(tmp_path, "verdict.json", "x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"verdict.json": "before"}


def test_a_file_that_cannot_be_made_is_named_with_another_remedy(tmp_path):
    (tmp_path / "report.html.partial").mkdir()
    with pytest.raises(LoadproofError, match=r"report\.html: Is a directory; make it writable, then try$"):
        write_file(tmp_path, "report.html", "x", "try")


def test_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_file(tmp_path, "x.json", {"p99": float("nan")})


def test_a_folder_that_is_no_run_is_named(tmp_path):
    (tmp_path / "latest").symlink_to("latest")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "latest"):
        with pytest.raises(UsageError, match=f"{path}: no run folder"):
            find_run(path)


def test_of_several_runs_a_whole_one_is_named(tmp_path):
    for name, file in ((".a.partial", "samples.stream"), ("b", "samples.parquet")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    with pytest.raises(UsageError, match=r"holds several runs; name one of them, such as .*/b$"):
        find_run(tmp_path)
