"""Runs that end as soon as they are decided: how often their analyses are wrong, all of them together.

Each simulated run is looked at from its 15th second to its 300th. The candidate is the same model; one that
is c times slower has every latency times c, which moves ln ratio by ln c and leaves its error alone. Beside
the analyses stands what one analysis after 60 s and after 300 s says on the same data, and what becomes of
the interval for one analysis when it is taken at every analysis.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration import until_decided_shares
from benchmarks.calibration.growing import AnalysisSeries, analyses_of
from benchmarks.calibration.simulator import HOSTS, Host, simulate
from benchmarks.calibration.until_decided_shares import (
    ALPHA,
    BLOCKS,
    DUET_RATE,
    LIMIT,
    SECONDS,
    discordant,
    ever,
    when,
)
from loadtest.judge.metric_tests import MIN_BEYOND
from loadtest.judge.paired_outcomes import STEADY_BLOCK
from loadtest.judge.significance import holm
from loadtest.stats.quantiles import LEVEL_BLOCKS
from loadtest.stats.sequential import anytime_p, level_at, paired_log_e

Floats = NDArray[np.float64]
MARGIN, RATE = 0.10, 200.0
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
CHUNK = 25


class Found(NamedTuple):
    """ln of a ratio (or level) at each analysis of each run, shape (runs, analyses), and of the truth.

    ``enough``: the analysis may speak, since enough separate latencies lie beyond the quantile.
    """

    value: Floats
    error: Floats
    freedom: Floats
    enough: NDArray[np.bool_]
    truth: float


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Latency on every host, answers, errors, and whole runs of five gates."""
    rows: list[dict[str, Any]] = []
    for host in HOSTS:
        ratios, levels = _simulate(host, runs, seed)
        rows += [_ratio_row(host, name, found) for name, found in ratios.items()]
        rows += [_level_row(host, name, found) for name, found in levels.items()]
        rows.append(_whole_runs(host, ratios, np.random.default_rng([seed, 8])))
    return [*rows, *until_decided_shares.measure(runs, seed)]


def _simulate(host: Host, runs: int, seed: int) -> tuple[dict[str, Found], dict[str, Found]]:
    rng = np.random.default_rng([seed, 10, *map(ord, host.name)])
    ratio: dict[str, list[AnalysisSeries]] = {name: [] for name in QUANTILES}
    level: dict[str, list[AnalysisSeries]] = {name: [] for name in QUANTILES}
    pooled = []
    for start in range(0, runs, CHUNK):
        batch = simulate(host, min(CHUNK, runs - start), LIMIT, RATE, rng)
        for at, stable, candidate in zip(*batch, strict=True):
            both = analyses_of(at, stable, candidate, QUANTILES, list(zip(SECONDS, BLOCKS, strict=True)))
            alone = analyses_of(at, None, candidate, QUANTILES, [(t, LEVEL_BLOCKS) for t in SECONDS])
            for name in QUANTILES:
                ratio[name].append(both[name])
                level[name].append(alone[name])
            pooled.append(np.quantile(candidate, np.linspace(0, 1, 2001)))
    truth = {n: float(np.log(np.quantile(np.concatenate(pooled), q))) for n, q in QUANTILES.items()}
    short = np.maximum(1.0, LEVEL_BLOCKS * STEADY_BLOCK / SECONDS) ** 2
    return (
        {name: _stack(analyses, 0.0, 1.0) for name, analyses in ratio.items()},
        {name: _stack(analyses, truth[name], short) for name, analyses in level.items()},
    )


def _stack(analyses: list[AnalysisSeries], truth: float, widened: Floats | float) -> Found:
    blocks = np.array([analysis.blocks for analysis in analyses], dtype=np.float64)
    error = np.array([analysis.error for analysis in analyses]) * widened
    enough = np.array([analysis.beyond for analysis in analyses]) >= MIN_BEYOND
    return Found(np.array([analysis.value for analysis in analyses]), error, blocks - 1, enough, truth)


def half_widths(found: Found, seconds: Floats = SECONDS) -> Floats:
    """What ``Level.interval`` lays on each side at each analysis; infinite where one may not speak."""
    level = np.array([level_at(t, ALPHA) for t in seconds])
    return np.where(found.enough, stats.t.isf(level, found.freedom / 2) * found.error, np.inf)


def _ratio_row(host: Host, name: str, found: Found) -> dict[str, Any]:
    half = half_widths(found)
    once = stats.t.isf(ALPHA, found.freedom) * found.error
    low, high = found.value - half, found.value + half
    margin, slower = math.log1p(MARGIN), math.log(1.2)
    row = {
        "table": "ratio",
        "what": f"{name}, {host.name}",
        "runs": len(low),
        "alarm": ever(low > 0),
        "wrong_pass": ever(high < 0),
        "coverage": 1 - ever((low > 0) | (high < 0)),
        "peeking": ever(found.value - once > 0),
        "pass_equal": when(high < margin),
        "fail_20": when(low + slower > margin),
    }
    for seconds in (60.0, 300.0):
        analysis = int(np.searchsorted(SECONDS, seconds))
        row[f"pass_equal_{seconds:.0f}"] = float(np.mean((found.value + once)[:, analysis] < margin))
        row[f"fail_20_{seconds:.0f}"] = float(np.mean((found.value - once)[:, analysis] + slower > margin))
    return row


def _level_row(host: Host, name: str, found: Found) -> dict[str, Any]:
    half = half_widths(found)
    off = found.value - found.truth
    once = (off + stats.t.isf(ALPHA, found.freedom) * found.error)[:, -1]
    return {
        "table": "level",
        "what": f"{name}, {host.name}",
        "runs": len(off),
        "wrong_fail": ever(off - half > 0),
        "wrong_pass": ever(off + half < 0),
        "wrong_pass_once": float(np.mean(once < 0)),
        **{f"within_{times}": when(off + half < math.log(times)) for times in (2, 4, 10)},
    }


def _whole_runs(host: Host, ratios: dict[str, Found], rng: np.random.Generator) -> dict[str, Any]:
    """Five gates without margin on equal versions: p50, p95, p99, 10% discordant answers, 1% errors."""
    runs = len(ratios["p50"].value)
    p_values = []
    for found in ratios.values():
        p = stats.t.sf(found.value / found.error, found.freedom / 2)
        p_values.append(_anytime(np.where(found.enough, p, 1.0)))
    pairs = np.round(SECONDS * DUET_RATE).astype(int)
    gained, lost = discordant(runs, pairs, 0.05, 0.05, rng)
    p_values.append(np.exp(-np.maximum(paired_log_e(gained, lost, pairs, 0.0), 0.0)))
    gained, lost = discordant(runs, pairs, 0.01, 0.01, rng)
    tango = (gained - lost) / np.sqrt(np.maximum(gained + lost, 1))
    p_values.append(_anytime(stats.norm.sf(tango)))
    smallest = np.stack([np.minimum.accumulate(p, axis=1)[:, -1] for p in p_values], axis=1)
    return {
        "table": "runs",
        "what": f"five gates without margin, {host.name}",
        "runs": runs,
        "fail": float(np.mean([any(holm(p.tolist(), ALPHA)) for p in smallest])),
        "any": float(np.mean((smallest <= ALPHA).any(axis=1))),
    }


def _anytime(p: Floats) -> Floats:
    found = [[anytime_p(float(one), t) for one, t in zip(run, SECONDS, strict=True)] for run in p]
    return np.array(found)


def tables(results: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Markdown tables by the name of their place in docs/statistics.md."""
    rows = results.get("until_decided", [])
    by: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault(row["table"], []).append(row)
    made = {}
    if ratio := by.get("ratio"):
        made["until-decided-ratio"] = _table(
            "latency|runs|alarm|wrong PASS at +10%|covers, all analyses|one analysis' interval at each: alarm"
            "|PASS if equal|after 60 s|after 300 s|FAIL at +20%|after 60 s|after 300 s",
            [
                [r["what"], str(r["runs"]), *_percents(r, "alarm", "wrong_pass", "coverage", "peeking"),
                 _time(r["pass_equal"]), *_percents(r, "pass_equal_60", "pass_equal_300"),
                 _time(r["fail_20"]), *_percents(r, "fail_20_60", "fail_20_300")]
                for r in ratio
            ],
        )  # fmt: skip
    if level := by.get("level"):
        made["until-decided-level"] = _table(
            "latency|runs|wrong FAIL at the bound|wrong PASS at the bound|one analysis at 300 s: wrong PASS"
            "|PASS at 2 times|4 times|10 times below the bound",
            [
                [r["what"], str(r["runs"]), *_percents(r, "wrong_fail", "wrong_pass", "wrong_pass_once"),
                 *(_time(r[f"within_{times}"]) for times in (2, 4, 10))]
                for r in level
            ],
        )  # fmt: skip
    if answers := by.get("answers"):
        made["until-decided-answers"] = _table(
            "answers|runs|covers, all analyses|PASS|after 60 s|after 300 s|FAIL|after 60 s|after 300 s",
            [
                [r["what"], str(r["runs"]), *_percents(r, "coverage"),
                 _time(r["passed"]), *_percents(r, "passed_60", "passed_300"),
                 _time(r["failed"]), *_percents(r, "failed_60", "failed_300")]
                for r in answers
            ],
        )  # fmt: skip
    if errors := by.get("errors"):
        made["until-decided-errors"] = _table(
            "errors of stable and candidate|runs|alarm without margin|PASS within 0.5 points|after 60 s"
            "|FAIL beyond 0.5 points|after 60 s",
            [
                [r["what"], str(r["runs"]), *_percents(r, "alarm"), _time(r["passed"]),
                 *_percents(r, "passed_60"), _time(r["failed"]), *_percents(r, "failed_60")]
                for r in errors
            ],
        )  # fmt: skip
    if whole := by.get("runs"):
        made["until-decided-runs"] = _table(
            "run|runs|FAIL, all analyses|any gate fails, uncorrected",
            [[r["what"], str(r["runs"]), *_percents(r, "fail", "any")] for r in whole],
        )
    return made


def _table(head: str, rows: list[list[str]]) -> str:
    names = head.split("|")
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percents(row: dict[str, Any], *names: str) -> list[str]:
    return [f"{100 * row[name]:.1f}%" for name in names]


def _time(found: dict[str, Any]) -> str:
    """Share of runs decided so, and after how long half and nine tenths of all runs were."""
    share = f"{100 * found['share']:.1f}%"
    if found["median"] is None:
        return share
    late = "" if found["p90"] is None else f", 90% {found['p90']:.0f} s"
    return f"{share}: median {found['median']:.0f} s{late}"
