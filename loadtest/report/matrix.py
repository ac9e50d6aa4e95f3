"""A matrix of counts as SVG: the stronger a cell, the larger its share of its line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from loadtest.report.svg import WIDTH

_LETTER = 7.0
"""Units of width of a letter at the page's size of text in charts."""
_LONGEST = 14
_DARKEST = 0.5
"""Opacity of a full cell: darker, and its figure cannot be read."""
_ROW = 26


def matrix(
    label: str, lines: Sequence[str], columns: Sequence[str], counts: NDArray[np.float64], kind: str
) -> Markup:
    """One matrix; its cells say their count, or where that does not fit their share of the line in per cent.

    ``label`` says what it shows, for those who cannot see it. Lines come from above, ``counts`` have the
    shape (lines, columns), and ``kind`` is the class of the cells: ``stable`` or ``candidate``.
    """
    left = 10 + _LETTER * max(len(short(name)) for name in lines)
    width = (WIDTH - left - 4) / len(columns)
    longest = max(len(short(name)) for name in columns)
    upright = _LETTER * longest + 4 > width
    top = _LETTER * longest + 26 if upright else 40.0
    of_line = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    in_full = _counts_fit(counts, width)
    parts = [_text(2, 12, "label ↓  answer →", "start")]
    for i, name in enumerate(columns):
        middle = left + (i + 0.5) * width
        turned = f' transform="rotate(-90 {middle + 4:.1f} {top - 6:.1f})"' if upright else ""
        at = middle + 4 if upright else middle
        parts.append(_text(at, top - 6, short(name), "start" if upright else "middle", turned))
    for i, line in enumerate(lines):
        y = top + i * _ROW
        parts.append(_text(left - 6, y + 17, short(line), "end"))
        for j, column in enumerate(columns):
            x, count, share = left + j * width, counts[i, j], of_line[i, j]
            text = f"{count:,.0f}" if in_full else f"{100 * share:.0f}"
            shown = _text(x + width / 2, y + 17, text, "middle", ' class="ink"') if count >= 0.5 else ""
            title = f"label {line}, answer {column}: {count:,.0f} rows, {share:.1%} of the label's"
            parts.append(
                f'<rect class="cell {kind}" x="{x:.1f}" y="{y}" width="{width - 2:.1f}" height="{_ROW - 2}" '
                f'fill-opacity="{_DARKEST * share:.3f}"><title>{escape(title)}</title></rect>{shown}'
            )
    height = top + len(lines) * _ROW + 4
    return Markup(  # noqa: S704 - numbers, and texts that are escaped
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _counts_fit(counts: NDArray[np.float64], width: float) -> bool:
    """Whether every count can be written into a cell of ``width``."""
    return _LETTER * len(f"{counts.max(initial=0.0):,.0f}") + 4 <= width


def short(name: str, most: int = _LONGEST) -> str:
    """A name in at most ``most`` letters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def short_apart(names: Sequence[str], most: int) -> list[str]:
    """Names in at most ``most`` letters: their beginnings, or their ends where two begin alike."""
    shown = [short(name, most) for name in names]
    if len(set(shown)) == len(set(names)):
        return shown
    return [name if len(name) <= most else "…" + name[1 - most :] for name in names]


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
