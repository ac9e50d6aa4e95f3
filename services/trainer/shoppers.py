"""The shop's customers, simulated: who they are, what they buy next, and what that sale earns.

The taste is hidden from the models and not linear. It has four parts: a share that grows evenly with the
numbers, habits that only show where two of them meet, a ladder (whoever has spent more before buys higher up
the price list; new customers stand on none), and what is usual in a city, a segment, on a device. As in any
shop, not every cell is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.trainer.demo import Rows

PRODUCTS = np.array(["map", "bottle", "socks", "lamp", "stove", "boots", "jacket", "tent"])
"""What the shop sells, by rising price."""

_MARGINS = np.array([3.0, 5.0, 6.0, 11.0, 19.0, 38.0, 46.0, 85.0])  # euros that one sale earns

NUMBERS = (
    "age",
    "income",  # thousand euros a year
    "household",
    "spend",  # euros in this shop so far
    "days_since_order",
    "session_minutes",
    "pages_viewed",
    "discount_share",  # of the pages viewed
    "temperature",  # where the shopper is, degrees Celsius
    "wind",  # km/h
    "distance",  # to the next hills, km
)

TEXTS = ("device", "segment", "city")

_SEGMENTS, _SEGMENT_SHARES = np.array(["new", "returning", "loyal"]), (0.35, 0.55, 0.10)
_DEVICES, _DEVICE_SHARES = np.array(["phone", "desktop", "tablet"]), (0.55, 0.35, 0.10)
_CITIES = np.array(
    ["Basel", "Berlin", "Bern", "Freiburg", "Graz", "Hamburg", "Innsbruck", "Lyon", "Munich", "Oslo", "Turin"]
)
_UNKNOWN = {"age": 0.12, "income": 0.25, "city": 0.06}  # the share of cells that nobody filled in

_TYPICAL = {  # centre and spread of the features that the even part and the habits look at
    "age": (38, 12),
    "income": (33, 15),
    "household": (2.2, 1.1),
    "session_minutes": (8, 6),
    "pages_viewed": (8, 6),
    "discount_share": (0.4, 0.2),
    "temperature": (12, 8),
    "wind": (15, 8),
    "distance": (18, 18),
}
_HABITS = (
    ("age", "temperature"),
    ("household", "wind"),
    ("discount_share", "income"),
    ("distance", "temperature"),
    ("session_minutes", "age"),
)
_TOP_SPEND = 1500.0  # euros after which a shopper stands at the top of the ladder
_EVEN, _HABIT, _LADDER, _USUAL, _WHIM = 0.7, 2.3, 1.3, 1.1, 0.65  # weights; whim is what no model can know


def simulate(count: int, rng: np.random.Generator) -> Rows:
    """Draw shoppers and what each bought next; ``others``: ``value``, in euros."""
    segment = rng.choice(_SEGMENTS, count, p=_SEGMENT_SHARES)
    device = rng.choice(_DEVICES, count, p=_DEVICE_SHARES)
    new, loyal = segment == "new", segment == "loyal"
    minutes = rng.gamma(2.0, np.where(device == "desktop", 6.0, 3.0))
    numbers = {
        "age": rng.gamma(9.0, 4.2, count).clip(16, 90).round(),
        "income": rng.lognormal(3.4, 0.45, count),
        "household": 1.0 + rng.poisson(1.2, count),
        "spend": np.where(new, 0, rng.lognormal(np.where(loyal, 6.3, 4.4), np.where(loyal, 0.5, 0.9))),
        "days_since_order": np.where(new, np.nan, rng.exponential(np.where(loyal, 30.0, 120.0))),
        "session_minutes": minutes,
        "pages_viewed": 1.0 + rng.poisson(0.9 * minutes),
        "discount_share": rng.beta(2.0, 3.0, count),
        "temperature": rng.normal(12.0, 8.0, count),
        "wind": rng.gamma(3.0, 5.0, count),
        "distance": rng.lognormal(2.5, 0.9, count),
    }
    texts = {"device": device, "segment": segment, "city": rng.choice(_CITIES, count)}
    liking = _taste(numbers, texts) + _WHIM * rng.gumbel(size=(count, len(PRODUCTS)))
    bought = liking.argmax(axis=1)
    features = pd.DataFrame({**texts, **numbers}, columns=[*TEXTS, *NUMBERS])
    for column, share in _UNKNOWN.items():
        features.loc[rng.random(count) < share, column] = None
    return Rows(features, PRODUCTS[bought], {"value": _MARGINS[bought] * rng.lognormal(0.0, 0.3, count)})


def _taste(numbers: dict[str, NDArray[np.float64]], texts: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """How much each shopper likes each product, shape (shoppers, products)."""
    weights = np.random.default_rng(7)  # the taste belongs to the shop: it is the same for every seed
    scaled = {
        name: np.tanh((numbers[name] - centre) / spread / 1.5) for name, (centre, spread) in _TYPICAL.items()
    }
    rungs = np.arange(len(PRODUCTS))
    even = np.column_stack(list(scaled.values())) @ weights.normal(size=(len(scaled), len(rungs)))
    meetings = np.column_stack([np.tanh(3 * scaled[one] * scaled[other]) for one, other in _HABITS])
    habits = meetings @ weights.normal(size=(len(_HABITS), len(rungs)))
    spend = numbers["spend"][:, None]
    rung = np.log1p(spend) / np.log1p(_TOP_SPEND) * rungs[-1]
    ladder = np.where(spend > 0, -((rungs - rung) ** 2), 0.0)
    usual = np.zeros_like(ladder)
    for column, kinds in (("city", _CITIES), ("segment", _SEGMENTS), ("device", _DEVICES)):
        usual += weights.normal(size=(len(kinds), len(rungs)))[
            (texts[column][:, None] == kinds).argmax(axis=1)
        ]
    taste: NDArray[np.float64] = _EVEN * even + _HABIT * habits + _LADDER * ladder + _USUAL * usual
    return taste
