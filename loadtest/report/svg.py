"""Charts as SVG text: two axes, and lines, bands and marks between them.

Static on purpose: they print, open offline, and follow the page's light or dark colours, since every shape
carries a class (``stable``, ``candidate``, ``grid``) and no colour of its own. ::

    chart = Chart("Latency", LogAxis.around(values, "ms"), Axis.linear(0, 1, "share"))
    chart.line(x, y, "stable")
    html = chart.render()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 480, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 10, 22, 34
_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """One axis: where it begins and ends, its ticks and what they say.

    Args:
        low: value at its beginning.
        high: value at its end.
        ticks: where the grid lines are, with their texts.
        name: what it shows, with the unit.
        scale: from values to the scale on which the axis is even (a logarithm, say).
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    name: str
    scale: Callable[[Floats], Floats] = np.asarray

    def place(self, values: ArrayLike) -> Floats:
        """Values as shares of the axis's length; what lies beyond its ends is put there."""
        low, high = (float(self.scale(np.array(end, dtype=np.float64))) for end in (self.low, self.high))
        inside = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        return (self.scale(inside) - low) / (high - low)

    @classmethod
    def linear(cls, low: float, high: float, name: str, show: Callable[[float], str] = "{:g}".format) -> Axis:
        """From ``low`` to ``high``, both rounded outwards to ticks of 1, 2 or 5 times a power of ten."""
        step = _step((high - low) / _TICKS if high > low else 1.0)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        ticks = [(i * step, show(round(i * step, 12))) for i in range(first, last + 1)]
        return cls(first * step, last * step, ticks, name)

    @classmethod
    def log(cls, low: float, high: float, name: str, show: Callable[[float], str] = "{:g}".format) -> Axis:
        """From the power of ten below ``low`` (positive) to the one above ``high``."""
        first = math.floor(math.log10(low) + 1e-9)
        last = max(math.ceil(math.log10(high) - 1e-9), first + 1)
        parts = (1, 2, 5) if last - first <= 2 else (1,)
        ticks = [10.0**d * p for d in range(first, last + 1) for p in parts if 10.0**d * p <= 10.0**last]
        return cls(10.0**first, 10.0**last, [(t, show(t)) for t in ticks], name, np.log10)

    @classmethod
    def tail(cls, low: float, high: float, name: str) -> Axis:
        """Quantiles, with every nine of the tail as wide as the one before."""
        marks = (0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
        ticks = [(q, f"p{100 * q:g}") for q in marks if low <= q <= high]
        return cls(low, high, ticks, name, lambda q: -np.log10(1 - q))


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


@dataclass
class Chart:
    """A chart in the making.

    Args:
        label: what it shows, for those who cannot see it.
        x: the axis from left to right.
        y: the axis from the bottom up.
        height: in the units in which it is 480 wide.
    """

    label: str
    x: Axis
    y: Axis
    height: int = HEIGHT
    _parts: list[str] = field(default_factory=list)

    def line(self, x: ArrayLike, y: ArrayLike, kind: str) -> None:
        """A line through points; a nan in ``y`` breaks it."""
        across, up = self._across(x), self._up(y)
        known = np.isfinite(np.asarray(y, dtype=np.float64))
        for piece in np.split(np.arange(len(across)), np.flatnonzero(~known)):
            points = [i for i in piece if known[i]]
            if len(points) > 1:
                self._parts.append(
                    f'<polyline class="{kind}" points="{_points(across[points], up[points])}"/>'
                )
            elif points:
                self._dot(across[points[0]], up[points[0]], kind, 2, None)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> None:
        """The area between two lines."""
        across = self._across(x)
        there, back = _points(across, self._up(high)), _points(across[::-1], self._up(low)[::-1])
        self._parts.append(f'<polygon class="band {kind}" points="{there} {back}"/>')

    def whiskers(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> None:
        """An upright from ``low`` to ``high`` at each ``x``: intervals."""
        for at, below, above in zip(self._across(x), self._up(low), self._up(high), strict=True):
            self._parts.append(
                f'<line class="{kind} whisker" x1="{at:.1f}" x2="{at:.1f}" '
                f'y1="{below:.1f}" y2="{above:.1f}"/>'
            )

    def dots(self, x: ArrayLike, y: ArrayLike, kind: str, titles: Iterable[str]) -> None:
        """Points; the titles show when a pointer rests on them."""
        across, up = self._across(x), self._up(y)
        for at_x, at_y, title in zip(across, up, titles, strict=True):
            self._dot(at_x, at_y, kind, 3.5, title)

    def bars(self, x: ArrayLike, y: ArrayLike, width: float, kind: str) -> None:
        """Bars from the bottom, ``width`` wide in values of the x axis; those of height 0 are left out."""
        values, heights = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        shown = heights > 0
        left, right = self._across(values[shown] - width / 2), self._across(values[shown] + width / 2)
        bottom = float(self._up(self.y.low))
        for a, b, top in zip(left, right, self._up(heights[shown]), strict=True):
            self._parts.append(
                f'<rect class="{kind}" x="{a:.1f}" y="{top:.1f}" width="{max(b - a, 1):.1f}" '
                f'height="{max(bottom - top, 1):.1f}"/>'
            )

    def across(self, y: float, kind: str, text: str = "") -> None:
        """A level from the left to the right, with a word on it."""
        at = float(self._up(y))
        self._parts.append(
            f'<line class="{kind}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        if text:
            self._text(WIDTH - _RIGHT, at - 4, text, "end")

    def upright(self, x: float, kind: str, text: str = "") -> None:
        """A level from the bottom to the top, with a word beside it."""
        at = float(self._across(x))
        bottom = self.height - _BOTTOM
        self._parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        if text:
            late = at > WIDTH * 0.75
            self._text(at + (-5 if late else 5), _TOP + 12, text, "end" if late else "start")

    def note(self, x: float, y: float, text: str) -> None:
        """A word centred below a point."""
        self._text(float(self._across(x)), float(self._up(y)) + 12, text, "middle")

    def render(self) -> Markup:
        """The whole chart, for an HTML page."""
        shapes, self._parts = self._parts, []
        bottom = self.height - _BOTTOM
        for value, text in self.x.ticks:
            at = float(self._across(value))
            self._parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
            self._text(at, bottom + 15, text, "end" if at > WIDTH - 30 else "middle")
        for value, text in self.y.ticks:
            at = float(self._up(value))
            self._parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            )
            self._text(_LEFT - 7, at + 4, text, "end")
        self._text(2, 12, self.y.name, "start")
        self._text(WIDTH - _RIGHT, self.height - 3, self.x.name, "end")
        body = "".join([*self._parts, *shapes])
        return Markup(  # noqa: S704 - numbers, and texts that are escaped
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.label)}">'
            f"{body}</svg>"
        )

    def _across(self, values: ArrayLike) -> Floats:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * self.x.place(values)

    def _up(self, values: ArrayLike) -> Floats:
        bottom = self.height - _BOTTOM
        return bottom - (bottom - _TOP) * self.y.place(values)

    def _dot(self, x: float, y: float, kind: str, radius: float, title: str | None) -> None:
        inside = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{inside}</circle>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str) -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')


def _points(x: Floats, y: Floats) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
