"""The versions of a model, as a process of the model server describes each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from contract.text_columns import name_file
from contract.version_folder import requirements_file
from loadtest.data.dataset import Dataset
from loadtest.data.written_numbers import if_numbers
from loadtest.errors import ModelError
from loadtest.lab.interface import VersionPython
from loadtest.workflows.new_experiment import by_option

_ROOT = Path(__file__).parents[2]

Ask = Callable[[Path, str], subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Described:
    """What a version reports about itself; see ``services.model_server.describe``."""

    version: str
    wrote: bool
    task: str
    columns: list[str]
    predictions: list[Any]
    output: str
    outputs: list[str]
    classes: list[str]
    classes_said: bool
    classes_missing: str
    categories: Any
    notes: list[str]


def ask_process(python: Path, asked: str) -> subprocess.CompletedProcess[str]:
    """What ``services.model_server.describe`` says to ``asked``, in a process of its own."""
    return run_module(python, "describe", asked=asked)


def run_module(
    python: Path, module: str, *arguments: str, asked: str = ""
) -> subprocess.CompletedProcess[str]:
    """A module of the model server, run by an interpreter, with ``asked`` on its standard input."""
    # an environment of its own holds packages, and none of our code
    ours = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [str(python), "-m", f"services.model_server.{module}", *arguments],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ours},
    )


def describe_each(
    folder: Path,
    asked: Mapping[str, Any],
    dataset: Dataset,
    say: Callable[[str], None],
    python_of: VersionPython,
    ask: Ask,
) -> list[Described]:
    """Every version as it describes itself, on its own packages where it names any, in the order of names."""
    own = [path.name for path in folder.glob("*") if requirements_file(path).is_file()]
    found = _describe({**asked, "elsewhere": own}, Path(sys.executable), dataset, ask)
    for place, version in [(place, one["version"]) for place, one in enumerate(found) if len(one) == 1]:
        python = python_of(folder / version, say)
        found[place : place + 1] = _describe({**asked, "only": version}, python, dataset, ask)
    return [Described(**one) for one in found]


def _describe(asked: Mapping[str, Any], python: Path, dataset: Dataset, ask: Ask) -> list[dict[str, Any]]:
    try:
        answers = output_of(ask(python, json.dumps(asked)))
    except ModelError as error:
        raise ModelError(of_the_rows(str(error), dataset)) from None
    return [json.loads(line) for line in answers.splitlines()]


def of_the_rows(refusal: str, dataset: Dataset) -> str:
    """A version's refusal, the columns that it did not get, and what is wrong with cells."""
    left_out = "; ".join(by_option(n) for n in dataset.notes if n.startswith(("not sent: ", "no column ")))
    said = _with_left_out(name_file(refusal, dataset.file), left_out)
    said += _of_numbers(said, dataset)
    if any(why == "has no values" and name in refusal for name, why in dataset.left_out.items()):
        said += "; a column has a type once one of its cells has a value: fill one, or fit without it"
    return said


def _with_left_out(said: str, left_out: str) -> str:
    """A refusal and the columns that are not sent, before its remedy: they may be what is missing."""
    cause, _, remedy = said.rpartition("; ")
    inside = remedy.count("(") != remedy.count(")")
    return "; ".join(filter(None, (said, left_out) if inside else (cause, left_out, remedy)))


def _of_numbers(said: str, dataset: Dataset) -> str:
    """What to do if a version fails on text that it takes as numbers; empty: it does not."""
    if "fails on " not in said and "BYTES" not in said:
        return ""
    sent = zip(dataset.sent.column_names, dataset.sent.columns, strict=True)
    texts = {name: cells for name, cells in sent if pa.types.is_string(cells.type)}
    if remedy := if_numbers(texts, dataset.file):
        return f"; {remedy}"
    found = re.search(r"could not convert string to float: (?:'([^']*)'|\"([^\"]*)\")", said)
    holds = [
        name for name, cells in texts.items() if found and pc.index(cells, found[1] or found[2]).as_py() >= 0
    ]
    return f"; it stands in {', '.join(map(repr, holds))}: write numbers there" if holds else ""


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a module of the model server wrote; its last line of trouble is the error."""
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelError(last[0].removeprefix("model-server: "))
    return done.stdout
