"""The public face: what ``from loadtest import ...`` gives, and that the docs' example of it runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loadtest
from benchmarks.judging.run_of import write_run

ROOT = Path(__file__).parents[2]
(SNIPPET,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "stored-runs.md").read_text(), re.S)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("face") / "results"
    write_run(folder / "before", 9_000)
    shutil.copytree(folder / "before", folder / "latest")
    return folder


@pytest.mark.parametrize("name", loadtest.__all__)
def test_every_name_is_there_and_lives_where_it_says(name):
    found = getattr(loadtest, name)
    assert found.__name__ == name
    assert name in dir(loadtest)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'loadtest' has no attribute 'run_open'"):
        loadtest.run_open  # noqa: B018 - asking is the test


def test_nothing_heavy_is_loaded_before_it_is_asked_for():
    """Services and a rollback import the package too."""
    code = "import sys, loadtest; print({'numpy', 'pyarrow', 'pydantic', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_example_in_the_docs_runs_on_a_stored_run(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent)
    names = {}
    exec(SNIPPET, names)
    # both versions got each of 9,000 arrivals
    assert "18,000 samples" in capsys.readouterr().out
    assert set(re.findall(r"import (.*)$", SNIPPET, re.M)[0].split(", ")) <= set(loadtest.__all__)
    assert names["stricter"].gates[0].name == "p95 <= stable + 1%"
    assert names["verdict"].gates[0].name != names["stricter"].gates[0].name
    assert {change.reading for change in names["changes"] if change.metric == "accuracy"} == {
        "no change seen"
    }


def test_a_folder_of_several_runs_says_which_to_open(results, tmp_path):
    shutil.copytree(results / "before", tmp_path / "rate-20")
    with pytest.raises(loadtest.UsageError, match=r"holds several runs; name one of them, such as .*rate-20"):
        loadtest.open_run(tmp_path)
