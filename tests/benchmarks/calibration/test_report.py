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


def test_every_panel_of_the_figure_has_its_marks_on_the_row_of_the_label():
    latency = [
        {
            "host": h,
            "seconds": s,
            "quantile": "p99",
            "alarm": 0.0,
            "mann_whitney": 0.0,
            "bootstrap": 0.0,
            "finds_20": 0.0,
        }
        for h, s in (("calm", 60), ("rough", 300))
    ]
    peeking = [
        {"what": f"duet, {where}, p99", "method": "Mann-Whitney", "peeked": rate}
        for where, rate in (("rough, 300 s", 1.0), ("calm, 60 s", 0.0))
    ]
    svg = false_alarms({"latency": latency, "peeking": peeking})
    (label,) = re.findall(r'y="([\d.]+)" text-anchor="end">rough, 300 s<', svg)
    squares = re.findall(r'<polygon points="([\d.]+),([\d.]+) [^"]*" fill="#e69f00"', svg)
    rightmost = max(squares, key=lambda corner: float(corner[0]))
    # the text's baseline is 4 below the row's middle, the square's corner 5 above it
    assert float(rightmost[1]) + 5 == float(label) - 4


def test_the_page_says_of_each_bar_whether_it_is_met(results):
    page = PAGE.read_text()
    for bar in bars(results):
        assert f"| {bar.name} | {bar.wanted} | {bar.measured} |" in page


def test_what_a_test_with_a_known_deviation_finds():
    # 1.645 deviations are the threshold, so a difference of as many is found in half of the runs
    assert could_find(0.0953102 / 1.6448536) == pytest.approx(0.5, abs=1e-4)
