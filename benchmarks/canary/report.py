"""From results.json to the tables of docs/canary.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "canary.md"
RESULTS = Path(__file__).with_name("results.json")

_WORDS = {
    "killed": "killed (SIGKILL)",
    "paused": "paused (SIGSTOP)",
    "failing": "failing, half of its answers",
    "slowed": "slowed by 3 s",
}


def read() -> dict[str, Any]:
    """What was measured last, part by part."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def keep(results: dict[str, Any]) -> None:
    """Store the results, and put their tables into the page."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = PAGE.read_text()
    for name, table in tables(results).items():
        text = filled(text, name, table)
    PAGE.write_text(text)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Markdown by the name of its place."""
    makers = {"rollbacks": _rollbacks, "faults": _faults, "shadow": _shadow, "half_sent": _half_sent}
    makers["random_kills"] = _random_kills
    return {name: make(results) for name, make in makers.items() if name in results}


def filled(text: str, name: str, table: str) -> str:
    """The page with one table in its place, between its two comments."""
    place = re.compile(rf"(<!-- {name}: make bench -->\n).*?(<!-- end of {name} -->)", re.S)
    return place.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


def _rollbacks(results: dict[str, Any]) -> str:
    r = results["rollbacks"]
    ms = r["ms"]
    what = (
        f"{r['rollbacks']} rollbacks from {r['from_percent']}%, at {r['rate']:g} requests per second; "
        f"{r['by_candidate']:,} of {r['requests']:,} requests were answered by the candidate, and "
        f"{r['failed'] or 'none'} failed ({results['machine']})."
    )
    lines = [
        what,
        "",
        "| milliseconds from the command to | median | 95% | longest |",
        "|---|---|---|---|",
        _row("the last send of a request that the candidate answered", ms["sent"]),
        _row("the candidate's answer to it", ms["answered"]),
        _row("the candidate's last answer to a request that was in flight at the command", ms["in_flight"]),
        _row("the gateway's confirmation of the new routes", ms["confirmed"]),
    ]
    if c := results.get("commands"):
        lines += [
            _row("the end of `loadproof canary rollback`, as a separate process", c["ms"]["whole"]),
            _row("the candidate's last answer, with that process", c["ms"]["answered"]),
            _row("for comparison: the end of `python -c pass`", c["ms"]["python"]),
        ]
    return "\n".join(lines)


def _row(what: str, ms: dict[str, float]) -> str:
    return f"| {what} | {ms['median']:.0f} | {ms['p95']:.0f} | {ms['max']:.0f} |"


def _faults(results: dict[str, Any]) -> str:
    rows = [
        f"| {_WORDS[r['kind']]} | {r['requests']:,} | {r['failed']} | {r['late']} | {r['longest_s']:.2f} s |"
        for r in results["faults"]
    ]
    head = ["| fault | requests after it | failed | over 0.5 s | longest |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _shadow(results: dict[str, Any]) -> str:
    r = results["shadow"]
    what = (
        f"{r['pairs']} pairs of blocks at {r['rate']:g} requests per second, with a shadow whose "
        f"candidate takes {r['delay_s']:g} s, and without, in turn; {r['failed'] or 'no'} requests failed."
    )
    return _pairs(r, what, "shadow")


def _half_sent(results: dict[str, Any]) -> str:
    r = results["half_sent"]
    what = (
        f"{r['pairs']} pairs of blocks at {r['rate']:g} requests per second, with {r['half_sent']} half-sent "
        f"requests of a stranger, and without, in turn; {r['failed']} of the users' "
        f"{r['requests']:,} requests failed, {r['failed_meanwhile']} of them meanwhile."
    )
    return _pairs(r, what, "stranger")


def _random_kills(results: dict[str, Any]) -> str:
    failures = "failed in flight | failed while the gateway was down | other failures"
    head = f"| backend | minutes | rate | killed | requests | {failures} | wrong splits | set again |"
    lines = [head, "|---" * 10 + "|"]
    for backend, r in results["random_kills"].items():
        kills = ", ".join(f"{service} {times}" for service, times in r["kills"].items())
        failed = " | ".join(f"{r['failed'][name]:,}" for name in ("in_flight", "gateway_down", "others"))
        lines.append(
            f"| {backend} | {r['minutes']:g} | {r['rate']:g} | {kills} | {r['requests']:,} | {failed} | "
            f"{len(r['wrong'])} | {len(r['decisions'])} |"
        )
    return "\n".join(lines)


def _pairs(r: dict[str, Any], what: str, name_of_it: str) -> str:
    rows = [
        f"| {name} | {r[name]['without_ms']:.2f} ms | {r[name]['with_ms']:.2f} ms | {r[name]['ratio']:.3f} | "
        f"{r[name]['interval'][0]:.3f} to {r[name]['interval'][1]:.3f} |"
        for name in ("p50", "p99")
    ]
    head = [
        f"| users' latency | without {name_of_it} | with {name_of_it} | ratio | 95% interval |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([what, "", *head, *rows])
