"""The docs show what was measured: tables and figure are those that the stored results give."""

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.calibration.__main__ import RESULTS, SECTIONS
from benchmarks.calibration.bars import bars, could_find
from benchmarks.calibration.figure import false_alarms
from benchmarks.calibration.report import FIGURE, PAGE, filled, read, tables


@pytest.fixture(scope="module")
def results():
    return read(RESULTS)


def test_what_is_stored_are_sections(results):
    assert {*SECTIONS, "live"} >= set(results) >= {"latency", "levels", "peeking", "shares", "live"}


def test_the_tables_of_the_page_are_current(results):
    page = PAGE.read_text()
    assert filled(page, tables(results)) == page
    assert set(re.findall(r"<!-- ([a-z-]+): python -m", page)) == set(tables(results))


def test_the_figure_is_current_and_small(results):
    assert FIGURE.read_text() == false_alarms(results)
    assert FIGURE.stat().st_size < 200_000
    assert ET.parse(FIGURE).getroot().tag.endswith("svg")


def test_the_page_says_of_each_bar_whether_it_is_met(results):
    page = PAGE.read_text()
    for bar in bars(results):
        assert f"| {bar.name} | {bar.wanted} | {bar.measured} |" in page


def test_what_a_test_with_a_known_deviation_finds():
    # 1.645 deviations are the threshold, so a difference of as many is found in half of the runs
    assert could_find(0.0953102 / 1.6448536) == pytest.approx(0.5, abs=1e-4)
