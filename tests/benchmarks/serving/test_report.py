"""The docs hold the tables of the stored results; the search finds a server's true limit."""

import pytest

from benchmarks.serving import report
from benchmarks.serving.measure import OBJECTIVE, highest_rate
from benchmarks.serving.sender import Outcome
from benchmarks.serving.servers import SERVERS


def test_the_tables_in_the_docs_are_those_of_the_results():
    page = report.DOCS.read_text()
    for name, table in report.tables().items():
        assert report.filled(page, name, table) == page
        assert table in page


def test_a_table_goes_into_its_own_place():
    rest = "b\n<!-- y: make bench -->\n<!-- end of y -->\n"
    page = f"a\n<!-- x: make bench -->\nold\n<!-- end of x -->\n{rest}"
    filled = f"a\n<!-- x: make bench -->\n\n| new |\n\n<!-- end of x -->\n{rest}"
    assert report.filled(page, "x", "| new |") == filled


@pytest.mark.skipif(not report.RESULTS.exists(), reason="no whole run is stored")
def test_every_server_of_every_round_is_there():
    cells = report.stored()["cells"]
    expected = {(server.name, model) for server in SERVERS for model in server.models}
    for number in {cell["round"] for cell in cells}:
        assert {(c["server"], c["model"]) for c in cells if c["round"] == number} == expected


@pytest.mark.parametrize("limit", [3.0, 50.0, 89.0, 104.0])
def test_the_search_closes_in_on_the_limit(limit):
    def trial(rate, _):
        met = rate <= limit
        return Outcome(seconds=1, sent=100, latencies=[OBJECTIVE / 2 if met else 5 * OBJECTIVE] * 100)

    found, tried = highest_rate(trial, 100.0)
    assert found <= limit
    assert limit - found < 7
    assert len(tried) == 5


def test_a_close_miss_gets_a_second_try():
    seeds = []

    def trial(rate, seed):
        seeds.append(seed)
        # the machine paused in the first trial of each rate
        return Outcome(seconds=1, sent=100, latencies=[OBJECTIVE * (1.5 if seed % 2 == 0 else 0.5)] * 100)

    assert highest_rate(trial, 100.0)[0] > 90
    assert len(seeds) == 10


def test_wrong_answers_are_not_met():
    outcome = Outcome(seconds=1, sent=1000, failed=2, latencies=[0.01] * 998)
    assert highest_rate(lambda *_: outcome, 100.0)[0] == 0
