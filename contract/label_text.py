"""Labels are text, by one rule: for labels in a file, answers, feedback and shadow records.

::

    7   7.0   "7"   "7.0"   "7.00"        7         a plain decimal number, however it is typed or padded
    7.5   "7.5"   "7.50"                  7.5
    -0.0   "-0"                           0
    True   "True"   "TRUE"   "true"       true
    "01"   "1E2"   "0x1F"   "06:30"       as they are written, like all other text, blanks included

The rule goes by no type, because CSV, JSON and pandas change types on the way: ``7`` becomes ``7.0`` as soon
as one cell of its column is empty. Text is never read as a float, so ids of any length survive.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)
_TRUTHS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}


def label_text(value: object) -> str:
    """The text that stands for a label or an answer; equal labels have equal texts, and no others.

    Args:
        value: text, a number or a truth value, Python's own or NumPy's.

    Raises:
        ValueError: it is none of these, or a number that is not finite.
    """
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)  # not that of a subclass
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no label")
        # beyond 1e16 a float is written with an exponent, an integer is not
        return str(int(value)) if value.is_integer() else float.__repr__(value)
    if isinstance(value, Decimal) and value.is_finite():
        return _plain(f"{value:f}")
    # NumPy's scalars know Python's equivalent
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        return label_text(item())
    raise ValueError(f"{value if value is None else type(value).__name__} is no label")


def _plain(text: str) -> str:
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return _TRUTHS.get(text) or str(text)
    sign, whole, fraction = found.groups()
    fraction = (fraction or "").rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return number if number == "0" else sign + number
