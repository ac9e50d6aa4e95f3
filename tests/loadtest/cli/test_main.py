"""How the command ends when something goes wrong: never with 1, which is FAIL, and never with a traceback."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.judging.run_of import write_run
from loadtest.__main__ import report_bug
from loadtest.cli.console import console, shown
from loadtest.cli.main import Verbs, app
from loadtest.errors import ExitCode, Interrupted, UsageError
from loadtest.workflows.stored_run import judge_run, open_run, write_reports

LOADPROOF = [sys.executable, "-m", "loadtest"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("main") / "run"
    write_run(folder, 3_000)
    return folder


@pytest.fixture(scope="module")
def judged(run):
    write_reports(run, stored := open_run(run), judge_run(stored))
    return run


@pytest.mark.parametrize("group", [[], ["canary"]])
def test_the_list_of_verbs_is_not_cut_at_80_columns(group):
    listed = (
        CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "80"}).output.partition("Commands:")[2]
    )
    assert len(listed.splitlines()) > 7
    assert "..." not in listed


def test_a_bug_is_one_line_with_a_file_that_holds_the_traceback(capsys):
    error = ValueError("two\nlines")
    error.add_note("what was measured is kept in here")
    assert report_bug(error) is ExitCode.BUG
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("loadproof: ValueError: two lines; this is a bug of Loadproof")
    assert said[1:] == ["loadproof: what was measured is kept in here"]
    file = Path(re.search(r"traceback is in (\S+);", said[0])[1])
    assert "ValueError: two\nlines" in file.read_text()
    file.unlink()


AT_IMPORT = "raise ArithmeticError('this is broken')\n"
AT_USE = f"def __getattr__(name):\n    {AT_IMPORT}"


@pytest.mark.parametrize(
    ("arguments", "library", "breaks"),
    [
        # in the verb
        (["judge", "{run}"], "tomllib", AT_USE),
        # while the command's libraries are imported
        (["worker", "--master", "127.0.0.1"], "typer", AT_USE),
        (["init", "nowhere"], "tomllib", AT_IMPORT),
        (["canary", "status"], "fcntl", AT_IMPORT),
        # past the command's libraries
        (["canary", "rollback"], "fcntl", AT_IMPORT),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_library_that_breaks_is_a_bug_wherever_it_is_used(tmp_path, run, arguments, library, breaks):
    (tmp_path / f"{library}.py").write_text(breaks)
    done = subprocess.run(
        [*LOADPROOF, *(argument.format(run=run) for argument in arguments)],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"loadproof: ArithmeticError: this is broken; this is a bug .* issue tracker", line)
    (file,) = tmp_path.glob("loadproof-bug-*.txt")
    assert f"traceback is in {file};" in line
    assert "Traceback" in file.read_text()


EACH = """
import sys
from typer.testing import CliRunner
from loadtest.cli.main import app
for verb in sys.argv[1:]:
    print(repr(CliRunner().invoke(app, verb.split()).exception))
"""


def test_no_verb_takes_a_bug_for_an_error_of_its_own(tmp_path, run):
    (tmp_path / "tomllib.py").write_text(AT_USE)
    verbs = ["compare", "capacity", f"diff {run} {run}", "live", "canary up", "canary run", "canary auto"]
    done = subprocess.run(
        [sys.executable, "-c", EACH, *verbs],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["ArithmeticError('this is broken')"] * len(verbs), done.stderr


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        # the verdict's own code, though nobody reads it
        (["judge", "{run}", "--gate", "error_rate <= 50%"], ExitCode.PASS, ""),
        # half of a document is none
        (["diff", "{run}", "{run}", "--json"], ExitCode.INTERRUPTED, "the output is no longer read"),
    ],
)
def test_a_reader_that_went_away_is_no_fail(tmp_path, run, arguments, code, says):
    out = closed_pipe()
    # Arrow takes its third of a second for no pandas, either
    (tmp_path / "pandas.py").write_text("import sys\nsys.stderr.write('imported')")
    done = subprocess.run(
        [*LOADPROOF, *(argument.format(run=run) for argument in arguments)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(out)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == bool(says)


def verbs(error):
    raising = typer.Typer(cls=Verbs)

    @raising.command()
    def one():
        raise error

    raising.command()(lambda: None)
    return CliRunner().invoke(raising, ["one"]).exception


def test_ctrl_c_is_told_with_what_was_noted_on_its_way():
    interrupt = KeyboardInterrupt()
    interrupt.add_note("what was measured is kept in here")
    said = verbs(interrupt)
    assert isinstance(said, Interrupted)
    assert str(said) == "interrupted; what was started is stopped; what was measured is kept in here"


def test_anything_else_passes():
    assert isinstance(verbs(ZeroDivisionError()), ZeroDivisionError)
    assert isinstance(verbs(OSError(errno.EIO, "no disk", "x")), OSError)
    assert isinstance(verbs(PermissionError(errno.EPERM, "no such call")), OSError)


LONG = "a" * 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        # a name that no file system takes was a bug of Loadproof, exit code 6
        (["--experiment", LONG], f"{LONG}.toml: File name too long; name another path"),
        (["--stable", LONG], f"{LONG}/model.toml: File name too long; name another path"),
        (["--results", f"{LONG}/x"], f"{LONG}/x: File name too long; name another path"),
        # an empty value is no default
        (["--duration", ""], "load.duration: '' is not a duration such as '250ms', '60s' or '2m'"),
        (["--duration", "", "--until-decided"], "load.duration: '' is not a duration such as"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path, arguments, says):
    data = tmp_path / "rows.csv"
    data.write_text("x,label\n1,a\n2,b\n")
    experiment = tmp_path / "mine.toml"
    experiment.write_text(
        f'name = "mine"\ngates = ["p50 <= 1s"]\n[model]\nname = "mine"\nfolder = "{tmp_path}"\n'
        f'[data]\npath = "{data}"\n[versions]\nstable = "v1"\ncandidate = "v1"\n'
    )
    said = CliRunner().invoke(app, ["compare", "--experiment", str(experiment), *arguments]).exception
    assert isinstance(said, UsageError)
    assert says in str(said)


@pytest.mark.parametrize("option", ["--price", "--at-rate"])
def test_a_number_without_end_starts_no_search(option):
    said = CliRunner().invoke(app, ["capacity", option, "inf"]).exception
    assert isinstance(said, UsageError)
    assert str(said) == f"{option} inf: give a finite number"


def test_a_path_that_may_not_be_looked_at_is_named():
    said = verbs(PermissionError(errno.EACCES, "Permission denied", "/root/runs"))
    assert isinstance(said, UsageError)
    assert str(said) == "/root/runs: Permission denied; name another path"


def test_the_exit_code_outlives_a_library_that_aborts_when_it_is_taken_down():
    program = (
        "import os, sys\n"
        "class Library:\n    def __del__(self):\n        os.abort()\n"
        "library = Library()\n"
        "sys.argv = ['loadproof', 'nosuch']\n"
        "from loadtest.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert "nosuch" in done.stderr


def test_names_in_brackets_are_printed_as_they_are(capsys):
    # rich takes [data] for a style, and leaves it out
    console.print("name it under [data] label")
    assert capsys.readouterr().out == "name it under [data] label\n"


def test_a_run_folder_is_shown_as_the_readme_shows_it():
    assert shown(Path.cwd() / "results" / "20261127T140309Z-compare") == "results/20261127T140309Z-compare"
    assert shown(Path("/elsewhere/run")) == "/elsewhere/run"


@pytest.mark.parametrize("page", ["", "nowhere/history.html"])
def test_a_page_that_cannot_be_written_needs_another_place(judged, tmp_path, page):
    """The remedy was to judge a run again."""
    said = CliRunner().invoke(app, ["report", str(judged.parent), "--output", str(tmp_path / page)]).exception
    assert isinstance(said, UsageError)
    assert re.search(r": (is a folder|its folder is not there); name another page with --output$", str(said))
