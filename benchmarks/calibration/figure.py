"""The figure of docs/statistics.md: how often each way of deciding calls a copy of the same version worse."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from benchmarks.calibration.bars import Results

# Okabe and Ito's colours, told apart by every kind of colour vision; shapes tell them apart in grey
_STYLES = {
    "ours": ("#0072b2", "circle"),
    "Mann-Whitney": ("#e69f00", "square"),
    "independent bootstrap": ("#009e73", "diamond"),
    "p99 over 1.1 times": ("#cc79a7", "triangle"),
}
_LEVEL = 0.05
_WIDTH, _LEFT, _TOP, _ROW, _PANEL, _GAP = 900, 150, 76, 26, 330, 60


class _Row(NamedTuple):
    label: str
    rates: dict[str, float]


def false_alarms(results: Results) -> str:
    """An SVG with two panels: one look at the end of a run, and a look again and again."""
    panels = [("looked at once, at the end", _once(results)), ("looked at again and again", _peeked(results))]
    height = _TOP + _ROW * max(len(rows) for _, rows in panels) + 56
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="12">',
        "<title>False alarms: how often each method calls a copy of the same version worse</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
    ]
    for i, (title, rows) in enumerate((title, rows) for title, rows in panels if rows):
        parts += _panel(_LEFT + i * (_PANEL + _GAP), title, rows, labelled=i == 0)
    return "\n".join([*parts, "</svg>", ""])


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


def _legend() -> list[str]:
    parts, x = (
        [f'<text x="{_LEFT}" y="20" font-weight="600">False alarms on two copies of one version</text>'],
        _LEFT,
    )
    for name, (colour, shape) in _STYLES.items():
        parts.append(_mark(x + 6, 38, colour, shape))
        parts.append(f'<text x="{x + 18}" y="42" fill="#333333">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    return parts


def _panel(left: float, title: str, rows: list[_Row], *, labelled: bool) -> list[str]:
    bottom = _TOP + _ROW * len(rows)
    parts = [f'<text x="{left}" y="{_TOP - 10}" fill="#333333">{escape(title)}</text>']
    for tick in (0, 25, 50, 75, 100):
        x = left + _PANEL * tick / 100
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#e0e0e0"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#333333">{tick}%</text>'
        )
    level = left + _PANEL * _LEVEL
    parts.append(
        f'<line x1="{level:.1f}" x2="{level:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#555555" '
        'stroke-dasharray="3 3"/>'
    )
    parts.append(f'<text x="{level:.1f}" y="{bottom + 36}" fill="#555555">5%: what was promised</text>')
    for i, row in enumerate(rows):
        y = _TOP + _ROW * (i + 0.5)
        if labelled:
            parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>')
        for name, rate in row.rates.items():
            parts.append(_mark(left + _PANEL * rate, y, *_STYLES[name]))
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
