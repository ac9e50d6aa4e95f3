import re
from html.parser import HTMLParser

import pytest

from loadtest.config import Experiment
from loadtest.report.html import to_html
from loadtest.sample import Sample, SampleSet

SAMPLES = SampleSet.from_samples(
    Sample(i, version, i / 10, i / 10, i / 10 + 0.005 * (1 + i % 7), 200, None, "a", True, None, 0)
    for i in range(50)
    for version in ("stable", "candidate")
)


@pytest.fixture
def page(verdict) -> str:
    return to_html(verdict, Experiment.load_file("compare"), SAMPLES, {"backend": "local"})


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import""", page)


def test_it_is_well_formed_and_escapes_reasons(page):
    HTMLParser().feed(page)
    assert "because of p99 &lt;= 250ms | &lt;b&gt;" in page
    assert "<b>" not in page


def test_both_versions_are_drawn(page):
    lines = re.findall(r'<polyline points="([^"]+)"', page)
    assert len(lines) == 2
    assert all(len(line.split()) > 100 for line in lines)


def test_a_run_without_samples_still_has_a_report(verdict):
    page = to_html(verdict, Experiment.load_file("compare"), SampleSet.from_samples([]), {})
    assert "FAIL" in page
    assert "<svg" not in page
