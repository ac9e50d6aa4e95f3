"""A version's refusal, with what the evaluation set has to do with it."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from contract.text_columns import name_file
from loadtest.data.dataset import Dataset
from loadtest.data.written_numbers import if_numbers
from loadtest.workflows.new_experiment import by_option


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
