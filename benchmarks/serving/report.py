"""From results.json to the tables of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving.models import MODELS
from benchmarks.serving.servers import ROOT, SERVERS

RESULTS = Path(__file__).parent / "results.json"
STRESS = Path(__file__).parent / "stress.json"
PIPELINES = Path(__file__).parent / "pipelines.json"
DOCS = ROOT / "docs" / "performance.md"
_PEER = "mlserver"


def machine() -> dict[str, Any]:
    """This machine, as the docs describe it."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }


def stored() -> dict[str, Any]:
    """The results of the last whole run."""
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    return results


def tables() -> dict[str, str]:
    """Markdown by the name of its place in the docs, from what was measured."""
    made = {}
    if RESULTS.exists():
        results = stored()
        made["serving"] = "\n".join([_setting(results), "", *_rows(results)])
    if STRESS.exists():
        stress = json.loads(STRESS.read_text())
        overload = [*_overload(stress["overload"]), ""] if "overload" in stress else []
        made["stress"] = "\n".join([*overload, *_others(stress)])
    if PIPELINES.exists():
        made["pipelines"] = "\n".join(_pipelines(json.loads(PIPELINES.read_text())))
    return made


def _pipelines(results: dict[str, Any]) -> list[str]:
    lines = []
    if cells := results.get("cells"):
        lines += [
            _setting(results),
            "",
            (
                "| pipeline, server | busy, req/s | busy, p99 ms | highest rate at p99 <= 100 ms "
                "| that, times MLServer's busy rate |"
            ),
            "|---|---|---|---|---|",
        ]
        for model, title in results["models"].items():
            of_model = [cell for cell in cells if cell["model"] == model]
            peer = {c["round"]: c["closed"]["rps"] for c in of_model if c["server"] == _PEER}
            for server, name in results["servers"].items():
                own = [cell for cell in of_model if cell["server"] == server]
                ratios = [c["highest_rate"] / peer[c["round"]] for c in own if peer.get(c["round"])]
                lines.append(
                    f"| {title}: {name} | {spread([c['closed']['rps'] for c in own])} "
                    f"| {spread([c['closed']['p99_ms'] for c in own])} "
                    f"| {spread([c['highest_rate'] for c in own])} "
                    f"| {spread(ratios, 1) if ratios else '–'} |"
                )
        lines.append("")
    if answers := results.get("answers"):
        lines += ["| our server, without a CPU limit | answers under load | that differ |", "|---|---|---|"]
        for model, count in answers.items():
            title = results["models"][model]
            lines.append(f"| {title} | {sum(count.values()):,} | {count['different']:,} |")
        lines.append("")
    return lines[:-1]


def _overload(cells: list[dict[str, Any]]) -> list[str]:
    titles = MODELS | {"boosting": "boosting over histograms, 200 trees"}
    lines = [
        "| model | capacity, req/s | goodput at 3 times | p99, ms | 503s | 503s: p50, p99 | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        how = ", compiled" if cell["server"].endswith("onnx") else ""
        within = f"{cell['refusal_p50_ms']:.0f}, {cell['refusal_p99_ms']:.0f}" if cell["refused"] else "–"
        before, after = cell["memory_mib"]
        lines.append(
            f"| {titles[cell['model']]}{how} | {cell['capacity_rps']:,.0f} | {cell['goodput_share']:.0%} "
            f"| {cell['answer_p99_ms']:.0f} | {cell['refused']:,} | {within} | {before}, {after} |"
        )
    return lines


def _others(stress: dict[str, Any]) -> list[str]:
    lines = []
    if compared := stress.get("mismatches"):
        answers = compared["same"] + compared["different"]
        lines.append(
            f"- {answers:,} answers in batches of {compared['rows_a_batch']:.1f} rows: "
            f"{compared['different']} differ from the row's baseline answer."
        )
    if lone := stress.get("lone"):
        low, high = lone["spread"]
        lines.append(
            f"- A lone request through batching takes {lone['ratio'] - 1:.1%} more than the "
            f"{lone['without_us']:.0f} microseconds without "
            f"(80% of blocks: {low - 1:+.1%} to {high - 1:+.1%})."
        )
    return lines


def _setting(results: dict[str, Any]) -> str:
    on = results["machine"]
    rounds = len({cell["round"] for cell in results["cells"]})
    return (
        f"{on['processor']}, {on['cores']} cores, {on['memory_gib']} GiB, Linux {on['kernel']}, "
        f"Python {on['python']}; each server limited to {results['cpus']:g} CPU, {results['connections']} "
        f"connections, one row per request; {rounds} rounds: median (lowest to highest)."
    )


def _rows(results: dict[str, Any]) -> list[str]:
    lines = [
        "| model, server | busy, req/s | busy, p99 ms | highest rate at p99 <= 100 ms | times MLServer |",
        "|---|---|---|---|---|",
    ]
    for model, title in (*MODELS.items(), ("none", "no model")):
        peer = {c["round"]: c for c in _cells(results, _PEER, model)}
        for server in SERVERS:
            cells = _cells(results, server.name, model)
            if not cells:
                continue
            ratios = [
                cell["highest_rate"] / peer[cell["round"]]["highest_rate"]
                for cell in cells
                if cell["round"] in peer and peer[cell["round"]]["highest_rate"]
            ]
            lines.append(
                f"| {title}: {server.title} | {spread([c['closed']['rps'] for c in cells])} "
                f"| {spread([c['closed']['p99_ms'] for c in cells])} "
                f"| {spread([c['highest_rate'] for c in cells])} "
                f"| {spread(ratios, 1) if ratios else '–'} |"
            )
    return lines


def _cells(results: dict[str, Any], server: str, model: str) -> list[dict[str, Any]]:
    return [c for c in results["cells"] if (c["server"], c["model"]) == (server, model)]


def spread(values: list[float], digits: int = 0) -> str:
    """The median of some rounds, and from where to where they lie."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def write() -> None:
    """Put the tables into their places in the docs."""
    text = DOCS.read_text()
    for name, table in tables().items():
        text = filled(text, name, table)
    DOCS.write_text(text)


def filled(text: str, name: str, table: str) -> str:
    """The page with one table in its place, between its two comments."""
    place = re.compile(rf"(<!-- {name}: make bench -->\n).*?(<!-- end of {name} -->)", re.S)
    return place.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)
