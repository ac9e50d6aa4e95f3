"""The figure of docs/statistics.md: how often each way of deciding calls a copy of the same version worse."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from benchmarks.calibration.bars import Results

# Okabe and Ito's colours, told apart by every kind of colour vision; shapes tell them apart in grey
_METHODS = {
    "ours": ("#0072b2", "circle"),
    "Mann-Whitney": ("#e69f00", "square"),
    "independent bootstrap": ("#009e73", "diamond"),
    "p99 over 1.1 times": ("#cc79a7", "triangle"),
}
_QUANTILES = {
    "p50": ("#0072b2", "circle"),
    "p95": ("#56b4e9", "square"),
    "p99": ("#d55e00", "diamond"),
}
_LEVEL = 0.05
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _GAP = 960, 110, 24, 84, 26, 40


class _Row(NamedTuple):
    label: str
    rates: dict[str, float]


class _Panel(NamedTuple):
    title: str
    styles: dict[str, tuple[str, str]]
    rows: list[_Row]
    level: bool


def false_alarms(results: Results) -> str:
    """An SVG: false alarms looked at once, then at every analysis, and what our own gates find."""
    panels = [
        _Panel("A copy called worse: one analysis", _METHODS, _once(results), True),
        _Panel("A copy called worse: at any analysis", _METHODS, _peeked(results), True),
        _Panel("Ours: 20% slower, found", _QUANTILES, _power(results), False),
    ]
    # one label serves the rows of all panels
    labels = list(dict.fromkeys(row.label for panel in panels for row in panel.rows))
    panels = [panel._replace(rows=_in_order(panel.rows, labels)) for panel in panels if panel.rows]
    height = _TOP + _ROW * max(len(panel.rows) for panel in panels) + 52
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    width = (_WIDTH - _LEFT - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="12">',
        "<title>False alarms of each method on two copies of one version, and the power of our gates</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for i, panel in enumerate(panels):
        parts += _draw(_LEFT + i * (width + _GAP), width, panel, labelled=i == 0)
    return "\n".join([*parts, "</svg>", ""])


def _in_order(rows: list[_Row], labels: list[str]) -> list[_Row]:
    rates = {row.label: row.rates for row in rows}
    return [_Row(label, rates.get(label, {})) for label in labels]


def _once(results: Results) -> list[_Row]:
    return [
        _Row(
            f"{r['host']}, {r['seconds']:.0f} s",
            {
                "ours": r["alarm"],
                "Mann-Whitney": r["mann_whitney"],
                "independent bootstrap": r["bootstrap"],
            },
        )
        for r in results.get("latency", [])
        if r["quantile"] == "p99" and r["seconds"] in (60, 300)
    ]


def _peeked(results: Results) -> list[_Row]:
    names = {
        "our always-valid sequence": "ours",
        "Mann-Whitney": "Mann-Whitney",
        "independent bootstrap": "independent bootstrap",
        "over 1.1 times in the last 30 s": "p99 over 1.1 times",
    }
    rows: dict[str, dict[str, float]] = {}
    for r in results.get("peeking", []):
        if r["what"].startswith("duet") and r["method"] in names:
            label = r["what"].removeprefix("duet, ").removesuffix(", p99")
            rows.setdefault(label, {})[names[r["method"]]] = r["peeked"]
    return [_Row(label, rates) for label, rates in rows.items()]


def _power(results: Results) -> list[_Row]:
    rows: dict[str, dict[str, float]] = {}
    for r in results.get("latency", []):
        if r["seconds"] in (60, 300):
            rows.setdefault(f"{r['host']}, {r['seconds']:.0f} s", {})[r["quantile"]] = r["finds_20"]
    return [_Row(label, rates) for label, rates in rows.items()]


def _draw(left: float, width: float, panel: _Panel, *, labelled: bool) -> list[str]:
    bottom = _TOP + _ROW * len(panel.rows)
    parts = [f'<text x="{left:.1f}" y="18" font-weight="600">{escape(panel.title)}</text>']
    used = [name for name in panel.styles if any(name in row.rates for row in panel.rows)]
    for i, name in enumerate(used):
        x, y = left + 6 + 0.63 * width * (i % 2), 38 + 18 * (i // 2)
        parts.append(_mark(x, y, *panel.styles[name]))
        parts.append(f'<text x="{x + 12:.1f}" y="{y + 4}">{escape(name)}</text>')
    for tick in (0, 25, 50, 75, 100):
        x = left + width * tick / 100
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#e0e0e0"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick}%</text>')
    if panel.level:
        x = left + width * _LEVEL
        line = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"'
        parts.append(f'<line {line} stroke="#555555" stroke-dasharray="3 3"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 36}" fill="#555555">5%: what was promised</text>')
    for i, row in enumerate(panel.rows):
        y = _TOP + _ROW * (i + 0.5)
        if labelled:
            parts.append(
                f'<text x="{left - 12:.1f}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>'
            )
        parts += [_mark(left + width * rate, y, *panel.styles[name]) for name, rate in row.rates.items()]
    return parts


def _mark(x: float, y: float, colour: str, shape: str) -> str:
    r = 5.0
    match shape:
        case "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
        case "square":
            points = [(-r, -r), (r, -r), (r, r), (-r, r)]
        case "diamond":
            points = [(0, -r - 1.5), (r + 1.5, 0), (0, r + 1.5), (-r - 1.5, 0)]
        case _:
            points = [(0, -r - 1), (r + 1, r), (-r - 1, r)]
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)
    return f'<polygon points="{corners}" fill="{colour}"/>'
