"""The history of a results folder: what is listed, what is drawn, and what may be deleted."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.errors import UsageError
from loadtest.judge.history import ListedGate, ListedRun
from loadtest.report.history import Row, figures, gate_chart, history_to_html, marks
from loadtest.workflows.history import read_history, remove, to_remove

NOW = datetime(2026, 11, 27, tzinfo=UTC)
TOML = 'name = "{}"\n[versions]\nstable = "v1"\ncandidate = "v2"\n'
OF_A_MODEL = TOML.format("compare") + '[model]\nname = "{}"\n'


def gate(name="p95 <= stable + 10%", word="PASS", ends=(1.0, 3.0), **more):
    return {
        "name": name, "verdict": word, "estimate": 2.0, "interval": ends, "margin": 10.0, "unit": "%",
    } | more  # fmt: skip


def verdict(word="PASS", gates=(), **more):
    return {"verdict": word, "reason": "because", "gates": gates, "load": {"duration_s": 8.0}} | more


def run(results, name, files, experiment="compare"):
    folder = results / name
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text(TOML.format(experiment))
    for file, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def old(folder):
    """Make a folder one that nothing was written to for an hour before NOW."""
    for path in folder.iterdir():
        os.utime(path, (NOW.timestamp() - 3600,) * 2)


WHOLE = {"samples.parquet": "x", "load.json": "{}", "verdict.json": verdict(gates=[gate()])}
FOLDERS = [
    # a run
    ("20261101T000000Z-compare", WHOLE, ("whole", "compare", "PASS", "")),
    # a person renamed it
    ("before the fix", WHOLE, ("whole", "compare", "PASS", "")),
    # several rates, whose samples lie deeper
    (
        "20261101T000000Z-rates",
        {"rates.json": verdict("FAIL", rates=[{"rate": 20, "verdict": verdict(gates=[gate(word="FAIL")])}])},
        ("whole", "rates", "FAIL", "p95 <= stable + 10% at 20/s: +2.00% (+1.00% to +3.00%)"),
    ),
    # capacity has no duration, and limits
    (
        "20261101T000000Z-compare-capacity",
        {"capacity.json": {"verdict": "FAIL", "reason": "r", "gates": [gate(word="FAIL", cpus=0.5)]}},
        ("whole", "capacity", "FAIL", "p95 <= stable + 10% on 0.5 CPUs: +2.00% (+1.00% to +3.00%)"),
    ),
    # a canary ends without a verdict
    ("20261101T000000Z-canary", {"state.json": "{}"}, ("whole", "canary", None, "")),
    # a gate of another release that parses no more
    (
        "20261101T000000Z-older",
        {"verdict.json": verdict("FAIL", [gate("older == 0", "FAIL", (None, None), unit="")])},
        ("whole", "compare", "FAIL", "older == 0: 2"),
    ),
    # killed: the samples are in the stream
    (".20261101T000000Z-compare.partial", {"samples.stream": "x"}, ("cut off", "compare", None, "")),
    # damaged verdicts: no JSON, not an object, a word and a figure that there are not
    ("20261101T000000Z-a", {"verdict.json": "{"}, ("unreadable", None, None, "")),
    ("20261101T000000Z-b", {"verdict.json": "[]"}, ("unreadable", None, None, "")),
    ("20261101T000000Z-c", {"verdict.json": verdict("GOOD")}, ("unreadable", None, None, "")),
    (
        "20261101T000000Z-d",
        {"verdict.json": verdict(gates=[gate(estimate=float("nan"))])},
        ("unreadable", None, None, ""),
    ),
    ("20261101T000000Z-e", {"verdict.json": "[" * 100_000}, ("unreadable", None, None, "")),
    # an editor put a byte order mark before both files
    (
        "20261101T000000Z-g",
        {
            "experiment.toml": "\ufeff" + TOML.format("compare"),
            "verdict.json": "\ufeff" + json.dumps(verdict("FAIL", [gate(word="FAIL")])),
        },
        ("whole", "compare", "FAIL", "p95 <= stable + 10%: +2.00% (+1.00% to +3.00%)"),
    ),
    # what a terminal obeys, and what it cannot show
    (
        "20261101T000000Z-h",
        {"verdict.json": verdict("FAIL", [gate("p95\x1b[31m <= 9ms", "FAIL", (None, None), unit="\ud800")])},
        ("whole", "compare", "FAIL", "p95 [31m <= 9ms: 2.00 ?"),
    ),
    # a figure that no axis holds
    (
        "20261101T000000Z-i",
        {"verdict.json": verdict("FAIL", [gate(word="FAIL", ends=(-1e308, 1e308), estimate=2.0)])},
        ("whole", "compare", "FAIL", ANY),
    ),
    # not an object where one should be
    ("20261101T000000Z-j", {"verdict.json": verdict() | {"load": "long"}}, ("unreadable", None, None, "")),
    ("20261101T000000Z-k", WHOLE | {"experiment.toml": "versions = 1"}, ("unreadable", None, None, "")),
    # an experiment that is no TOML
    ("20261101T000000Z-f", WHOLE | {"experiment.toml": "= ="}, ("unreadable", None, None, "")),
]


@pytest.mark.parametrize(("name", "files", "expected"), FOLDERS, ids=lambda value: str(value)[:40])
def test_what_a_folder_is(tmp_path, name, files, expected):
    old(run(tmp_path, name, files))
    (one,) = read_history(tmp_path, NOW)
    shown = figures(one) if one.verdict == "FAIL" else ""
    assert (one.state, one.kind, one.verdict, shown) == expected
    assert bool(one.reason) == (one.state == "unreadable" or one.verdict is not None)
    assert history_to_html([one], tmp_path, tmp_path / "history.html").encode()


def test_a_run_that_was_copied_under_another_name_began_when_its_load_did(tmp_path):
    began = datetime(2026, 10, 3, 12, tzinfo=UTC)
    run(tmp_path, "a copy", WHOLE | {"load.json": {"began_at": began.timestamp()}})
    (one,) = read_history(tmp_path, NOW)
    assert one.began == began


def test_samples_without_their_experiment_are_not_left_out(tmp_path):
    folder = run(tmp_path, "a copy", WHOLE)
    (folder / "experiment.toml").unlink()
    (one,) = read_history(tmp_path, NOW)
    assert (one.state, one.reason) == ("unreadable", "experiment.toml: it is missing")


def test_a_partial_folder_that_was_just_written_is_under_way(tmp_path):
    run(tmp_path, ".20261101T000000Z-compare.partial", {"samples.stream": "x"})
    (one,) = read_history(tmp_path, datetime.now(UTC))
    assert one.state == "unfinished"
    assert to_remove(tmp_path, [one], datetime.now(UTC), timedelta(0), 0) == []


@pytest.mark.parametrize(("hours", "goes"), [(2, False), (25, True)])
def test_a_folder_that_is_not_whole_goes_when_no_run_can_last_so_long(tmp_path, hours, goes):
    old(run(tmp_path, ".20261126T000000Z-compare.partial", {"samples.stream": "x"}))
    now = datetime(2026, 11, 26, tzinfo=UTC) + timedelta(hours=hours)
    (one,) = read_history(tmp_path, NOW + timedelta(hours=1))
    assert one.state == "cut off"
    assert (to_remove(tmp_path, [one], now, timedelta(hours=1)) == [one]) == goes


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match="nothing: No such file"):
        read_history(tmp_path / "nothing", NOW)
    with pytest.raises(UsageError, match="before: is a run itself; name the folder that holds it"):
        read_history(run(tmp_path, "before", WHOLE), NOW)


@pytest.fixture
def results(tmp_path):
    """Three runs of 20 days, a note of a person, a damaged run, and ``latest`` at the oldest."""
    for day in (1, 10, 20):
        run(tmp_path, f"202610{day:02}T000000Z-compare", WHOLE)
    run(tmp_path, "20261002T000000Z-compare", {"verdict.json": "{"})
    (tmp_path / "notes").mkdir()
    (tmp_path / "latest").symlink_to("20261001T000000Z-compare")
    return tmp_path


RETENTION = [
    # nothing is that old
    (timedelta(days=90), None, []),
    # latest's target and the damaged one are older, and stay
    (timedelta(days=40), None, [10]),
    (timedelta(days=1), None, [10, 20]),
    # by size: everything that may go
    (None, 0, [10, 20]),
    # all fits
    (None, 10**6, []),
]


@pytest.mark.parametrize(("age", "size", "days"), RETENTION)
def test_what_is_removed(results, age, size, days):
    gone = to_remove(results, read_history(results, NOW), NOW, age, size)
    assert [one.began.day for one in gone] == days
    remove(results, gone)
    left = {path.name for path in results.iterdir()}
    assert {"notes", "latest", "20261001T000000Z-compare", "20261002T000000Z-compare"} <= left
    assert len(left) == 6 - len(days)


def test_a_latest_that_leads_to_itself_keeps_no_run(results):
    (results / "latest").unlink()
    (results / "latest").symlink_to("latest")
    gone = to_remove(results, read_history(results, NOW), NOW, timedelta(days=1))
    assert [one.began.day for one in gone] == [1, 10, 20]


def test_of_too_many_the_oldest_goes(results):
    runs = read_history(results, NOW)
    size = sum(one.size_bytes for one in runs) - 1
    assert [one.began.day for one in to_remove(results, runs, NOW, None, size)] == [10]


def test_nothing_goes_without_yes(results):
    asked = ["runs", str(results), "--delete-older-than", "1d"]
    before = sorted(results.iterdir())
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert f"2 runs would be deleted from {results}; add --yes" in done.output
    assert sorted(results.iterdir()) == before
    assert CliRunner().invoke(app, [*asked, "--yes"]).exit_code == 0
    assert len(before) - len(list(results.iterdir())) == 2


@pytest.mark.parametrize(
    "options", [["--yes"], ["--delete-older-than", "soon"], ["--delete-beyond", "5"]], ids=" ".join
)
def test_a_request_that_is_not_clear_deletes_nothing(results, options):
    done = CliRunner().invoke(app, ["runs", str(results), *options])
    assert isinstance(done.exception, UsageError)
    assert options[0] in str(done.exception)


def test_json_lists_every_run(results):
    done = CliRunner().invoke(app, ["runs", str(results), "--json"])
    assert [one["state"] for one in json.loads(done.output)] == ["whole", "unreadable", "whole", "whole"]


def test_the_page_has_a_section_per_experiment_and_a_dot_per_run(results):
    run(results, "20261103T000000Z-other", WHOLE, experiment="<b>other</b>")
    (results / "20261010T000000Z-compare" / "report.html").write_text("")
    assert CliRunner().invoke(app, ["report", str(results)]).exit_code == 0
    page = (results / "history.html").read_text()
    assert page.count('<circle class="dot PASS"') == 4
    assert "<h2>compare</h2>" in page
    assert "<h2>&lt;b&gt;other&lt;/b&gt;</h2>" in page
    assert "v2 beside v1, PASS; p95 &lt;= stable + 10%: +2.00% (+1.00% to +3.00%)" in page
    assert 'href="./20261010T000000Z-compare/report.html"' in page
    assert "http" not in page


def test_the_page_says_which_runs_a_chart_leaves_out(tmp_path):
    huge = verdict(gates=[gate(ends=(1.0, 1e300)), gate("mae <= 9", estimate=1e80, unit="")])
    for day, said in enumerate([WHOLE["verdict.json"], huge, huge], start=1):
        run(tmp_path, f"2026110{day}T000000Z-compare", WHOLE | {"verdict.json": said})
    page = history_to_html(read_history(tmp_path, NOW), tmp_path, tmp_path / "history.html")
    left_out = "(not drawn, with a figure of 1e+75 or more: runs 2, 3)</figcaption>"
    assert f"<code>p95 &lt;= stable + 10%</code> {left_out}<svg" in page
    # none of it can be drawn
    assert f"<code>mae &lt;= 9</code> {left_out}</figure>" in page


def test_two_models_under_one_name_are_no_series(tmp_path):
    for day, model in enumerate(("shop", "other", "shop"), start=1):
        toml = {"experiment.toml": OF_A_MODEL.format(model)}
        run(tmp_path, f"2026110{day}T000000Z-compare", WHOLE | toml)
    run(tmp_path, "20261104T000000Z-compare", WHOLE)  # of a release that did not say
    page = history_to_html(read_history(tmp_path, NOW), tmp_path, tmp_path / "history.html")
    titles = re.findall("<h2>(.*)</h2>", page)
    assert titles == ["compare, model shop", "compare, model other", "compare, model –"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        # a mark each
        (["PASS"] * 45, ["PASS"] * 45),
        # two have to share one: the worse of them, halfway between
        (["PASS"] * 44 + ["INVALID", "INCONCLUSIVE", "PASS", "FAIL"], ["PASS"] * 22 + ["INVALID", "FAIL"]),
    ],
)
def test_of_runs_without_room_for_a_mark_each_the_worst_has_it(words, shown):
    about = {"name": "x", "state": "whole", "began": NOW, "size_bytes": 0}
    points = [
        (Row(number, ListedRun(**about), ""), ListedGate(**gate(word=word)))
        for number, word in enumerate(words, start=1)
    ]
    placed = marks(points, len(words))
    assert [word for _, word in placed] == shown
    step = len(words) / len(shown)
    assert [place for place, _ in placed] == [step * n + (step + 1) / 2 for n in range(len(shown))]


@pytest.mark.parametrize("ends", [(-5.0, 1e6), (-5.0, None), (None, None)])
def test_no_interval_hides_a_mark(ends):
    about = {"name": "x", "state": "whole", "began": NOW, "size_bytes": 0}
    gates = [gate(), gate(ends=ends, estimate=40.0), gate(estimate=8_000.0, ends=(7_000.0, 9e5))]
    points = [(Row(i, ListedRun(**about), ""), ListedGate(**one)) for i, one in enumerate(gates, start=1)]
    chart = gate_chart(points, len(points))
    marks_end = max(float(y) for y in re.findall(r'y="([0-9.]+)" text-anchor="middle">✓', chart))
    tops = [
        float(point.split(",")[1])
        for line in re.findall(r'<polyline class="PASS" points="([^"]+)"', chart)
        for point in line.split()
    ]
    assert min(tops) > marks_end
