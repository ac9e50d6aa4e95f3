import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slices import Slice
from loadtest.judge.verdict import SliceSearch, WorseSlice
from loadtest.report.html import to_html
from tests.loadtest.made_samples import Sample, sample_set

EXPERIMENT = Experiment.load_file("compare")
SLICES = [Slice("all rows", 100, 1, 0, 2, "pp"), Slice("segment=<new>", 10, -5, -9, -1, "pp")]


def run(seconds: int) -> Run:
    samples = sample_set(
        Sample(i, version, i / 10, i / 10, i / 10 + 0.005 * (1 + i % 7), 200, None, "a", True, None, 0)
        for i in range(10 * seconds)
        for version in ("stable", "candidate")
    )
    rows = 10 * seconds
    dataset = Dataset(
        Path("rows"), np.zeros((rows, 1)), ("x",), np.full(rows, "a"), None, pa.table({"x": np.zeros(rows)})
    )
    load = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=seconds)
    return Run.gather(EXPERIMENT, dataset, samples, RunFacts(backend="local", load=load))


@pytest.fixture
def page(verdict) -> str:
    return to_html(verdict, run(60), {"backend": "local"}, lambda _: SLICES)


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.findall(r"""(?:src|href)\s*=(?!"data:,")|url\(|@import""", page)


def test_it_is_well_formed_and_escapes_reasons(page):
    HTMLParser().feed(page)
    assert "because of p99 &lt;= 250ms | &lt;b&gt;" in page
    assert "<b>" not in page
    assert "segment=&lt;new&gt;" in page


def test_the_verdict_and_why_come_first(page):
    text = re.sub(r"<[^>]+>", " ", page[page.index("<main>") :])
    assert re.search(r"^\s*✗ FAIL\s+accuracy is worse\s+Candidate\s+v2\s+beside stable\s+v1", text)


def test_every_picture_says_what_it_shows(page):
    assert re.findall("<h2>(.*?)</h2>", page) == [
        "Gates", "Confusion matrix: stable", "Confusion matrix: candidate",
        "Latency", "Shift of latency", "Latency over time", "Throughput and errors",
        "Versions", "Quality by slice",
    ]  # fmt: skip
    assert (
        page.count("<svg") == len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+"', page)) == 6 + 2 + 2
    )


def test_a_run_without_samples_still_has_a_report(verdict):
    page = to_html(verdict, run(0), {})
    assert "FAIL" in page
    assert "<figure>" not in page


def test_a_section_that_fails_says_so_and_takes_no_other_with_it(verdict):
    def broken(_: Run) -> list[Slice]:
        raise ZeroDivisionError("a slice of\nnothing")

    page = to_html(verdict, run(60), {}, broken)
    assert "Quality by slice: not shown, it could not be made (ZeroDivisionError: a slice of nothing)" in page
    assert "accuracy is worse" in page
    assert page.count("<figure>") == 6


def test_worse_slices_are_a_table_a_sentence_or_the_reason_why_not(verdict):
    one = WorseSlice(name="<new>", rows=120, stable=0.9, candidate=0.6, worse=40, better=2, chance=1e-6)
    pages = [
        to_html(verdict.model_copy(update={"worse_slices": search}), run(60), {})
        for search in (
            SliceSearch(slices=3400, rows=900, found=(one,), more=1234),
            SliceSearch(slices=3400, rows=900),
            SliceSearch(skipped="it has no labels"),
        )
    ]
    for page, said in zip(
        pages, ("&lt;new&gt;", "none of 3,400 slices", "Not searched: it has no labels."), strict=True
    ):
        assert "Where is it worse?" in page
        assert said in page
    assert ["1,234 more" in page for page in pages] == [True, False, False]
    assert "< 0.01%" not in pages[0]
    assert "&lt; 0.01%" in pages[0]
