"""Texts that look the same and are not: other blanks, other forms of a letter, letters of another script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_SAME = 0.5
"""Share of the places of two texts that must agree for other letters to be look-alikes."""


def same_letters(text: str) -> str:
    """A text without what nobody sees: blanks at its ends, kinds of blanks, composed and decomposed forms.

    Of a compatible form, such as a digit of full width, the usual one (Unicode Standard Annex 15, NFKC).
    """
    return " ".join(unicodedata.normalize("NFKC", text).split())


def told_apart(answers: Iterable[str], labels: Iterable[str]) -> tuple[str, str]:
    """Both lists, quoted; where one could be taken for the other, with the codes of letters beyond ASCII."""
    both = (list(answers), list(labels))
    alike = any(_alike(answer, label) for answer in both[0] for label in both[1])
    quote = ascii if alike else repr
    one, other = (", ".join(quote(text) for text in texts) for texts in both)
    return one, other


def _alike(one: str, other: str) -> bool:
    if one == other or (one.isascii() and other.isascii()):
        return False
    if same_letters(one) == same_letters(other):
        return True
    agree = sum(a == b for a, b in zip(one, other, strict=False))
    return len(one) == len(other) and agree >= _SAME * len(one)
