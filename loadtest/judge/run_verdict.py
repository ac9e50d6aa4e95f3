"""The run's word from its gates' words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtest.judge.gate_test import Judged
from loadtest.judge.significance import holm
from loadtest.judge.verdict import Word

RUN_LONGER = "; run longer"
"""What may prove a gate that fails on its own."""


def together(judged: Sequence[Judged], alpha: float) -> tuple[Word, str]:
    """The run's word from its gates'."""
    count = len(judged)
    estimated = [j for j in judged if not j.known]
    proven = holm([j.p_harm for j in estimated], alpha)
    sure = {id(j) for j, is_sure in zip(estimated, proven, strict=True) if is_sure}
    failed = [j for j in judged if j.result.verdict is Word.FAIL and (j.known or id(j) in sure)]
    if failed:
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Word.FAIL, f"{failed[0].name}: {failed[0].result.reason}{others}"
    open_ = [j for j in judged if j.result.verdict is not Word.PASS]
    if not open_:
        which = "the gate is" if count == 1 else f"all {count} gates are"
        return Word.PASS, f"{which} met with {1 - alpha:.0%} confidence"
    alone = [j for j in open_ if j.result.verdict is Word.FAIL]
    if alone:
        name, rows = alone[0].name, alone[0].all_rows
        more_rows = f"; only more rows may prove it, as all {rows or 0:,} distinct ones were sent"
        remedy = more_rows if rows else RUN_LONGER
        why = f"{name} fails on its own, but with {count} gates one fails by chance too often"
        return Word.INCONCLUSIVE, f"{why}: not proven after Holm's correction{remedy}"
    names = ", ".join(j.name for j in open_)
    if len(open_) == 1:
        return Word.INCONCLUSIVE, f"{names}: {open_[0].result.reason}"
    seconds = [j.seconds for j in open_]
    if all(s is not None for s in seconds):
        longest = max(s for s in seconds if s is not None)
        return Word.INCONCLUSIVE, f"undecided: {names}; about {math.ceil(longest):,} s more would settle them"
    return Word.INCONCLUSIVE, f"undecided: {names}; their own lines say what would settle each"
