"""Faults on demand, to see what a canary does about them: off unless the server was started with them.

``PUT /faults`` with a list replaces what is injected; ``[]`` heals. The gateway forwards no such path::

    [{"kind": "slowed", "share": 0.05, "delay": 0.3}, {"kind": "failing", "share": 0.5}]

They act where a sick version would be sick, so that its metrics, its answers and its feedback tell of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.faults import MAX_DELAY, SERVER_FAULTS
from contract.label_text import label_text
from services.model_server.errors import RequestError
from services.model_server.ranked import RANKING

_KINDS = ", ".join(SERVER_FAULTS)
_KEYS = {"kind", "share", "delay"}
_NUMBERS = (int, float)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        kind: one of ``SERVER_FAULTS``.
        share: the share of requests (``wrong``: of rows) to hit, above 0 and up to 1.
        delay: seconds that ``slowed`` waits.
    """

    kind: str
    share: float
    delay: float


class Faults:
    """What is injected now; thread-safe, as the list is replaced whole. ``chance`` is uniform on [0, 1)."""

    def __init__(
        self,
        classes: Sequence[Any] | None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._classes = classes
        self._chance = chance
        self._sleep = sleep
        self._faults: tuple[Fault, ...] = ()

    def replace(self, document: object) -> list[dict[str, Any]]:
        """Inject what a document says and nothing else, and return it as it is understood.

        Raises:
            RequestError: 400, it is no list of faults; nothing changes.
        """
        if not isinstance(document, list):
            raise RequestError(
                400, f"faults must be a list of objects with a kind of {', '.join(SERVER_FAULTS)}"
            )
        self._faults = tuple(_fault(part) for part in document)
        return [asdict(fault) for fault in self._faults]

    def before(self) -> None:
        """Inject what happens before the model runs.

        Raises:
            RequestError: 500, it fails.
        """
        for fault in self._faults:
            if fault.kind == "slowed" and self._chance() < fault.share:
                self._sleep(fault.delay)
            elif fault.kind == "failing" and self._chance() < fault.share:
                raise RequestError(500, "an injected fault: this version fails on purpose")

    def after(self, results: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Inject wrong predictions into the results of a request: ``predict``, an array of one per row."""
        share = max((fault.share for fault in self._faults if fault.kind == "wrong"), default=0.0)
        if not share:
            return results
        given = results["predict"]
        wrong = [self._another(label) if self._chance() < share else label for label in given]
        if RANKING in results:
            results = {**results, RANKING: _led_by(wrong, given, results[RANKING])}
        # an array of text is as wide as its longest: another label may be longer
        return {**results, "predict": np.array(wrong, None if given.dtype.kind == "U" else given.dtype)}

    def _another(self, prediction: Any) -> Any:
        if self._classes:
            known = list(self._classes)
            place = known.index(prediction) if prediction in known else -1
            return known[(place + 1) % len(known)]
        if isinstance(prediction, np.number):
            return -prediction - 1
        return "wrong"


def _led_by(labels: list[Any], before: NDArray[Any], lists: NDArray[Any]) -> NDArray[Any]:
    """The same lists; where a label is another than before, that one is their first item."""
    made = np.empty(len(lists), dtype=object)
    made[:] = [
        items if label == was else [label_text(label), *(item for item in items if item != label_text(label))]
        for label, was, items in zip(labels, before, lists, strict=True)
    ]
    return made


def _fault(part: object) -> Fault:
    if not isinstance(part, dict) or part.get("kind") not in SERVER_FAULTS or set(part) - _KEYS:
        raise RequestError(400, f"a fault has a kind of {_KINDS}, a share and a delay: {part!r}")
    share, delay = part.get("share", 1), part.get("delay", 0)
    if type(share) not in _NUMBERS or not 0 < share <= 1:
        raise RequestError(400, f"the share of a fault is above 0 and up to 1, not {share!r}")
    if type(delay) not in _NUMBERS or not 0 <= delay <= MAX_DELAY:
        raise RequestError(400, f"the delay of a fault is 0 to {MAX_DELAY:g} seconds, not {delay!r}")
    return Fault(part["kind"], float(share), float(delay))
