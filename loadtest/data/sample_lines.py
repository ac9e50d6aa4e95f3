"""Samples as lines of text: while a run lasts, the load generator prints them between its live figures.

Whoever follows the run reads what ``sample_line`` wrote with ``read_line``.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import pyarrow as pa

from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError

_KEY, _FACTS = "samples", "facts"


def sample_line(samples: bytes, facts: dict[str, Any] | None = None) -> str:
    """One line from what ``SampleSet.to_bytes`` gave: ``{"samples": "<base64>"}``, with what holds then."""
    line: dict[str, Any] = {_KEY: base64.b64encode(samples).decode("ascii")}
    return json.dumps(line if facts is None else line | {_FACTS: facts})


def read_kept(line: str) -> tuple[bytes, dict[str, Any]] | None:
    """What ``sample_line`` made a line of samples and facts of; None: it is none."""
    if not line.startswith(f'{{"{_KEY}"'):
        return None
    content = json.loads(line)
    return base64.b64decode(content[_KEY]), content.get(_FACTS, {})


def read_line(line: str, *, lists: bool = False) -> SampleSet | dict[str, Any] | None:
    """What a line of a load generator holds: samples, live figures, or None where it is neither.

    Args:
        line: without its end.
        lists: keep the scores and rankings of samples; hardly any gate on them is judged before the end.

    Raises:
        UsageError: it says that it holds samples and does not.
    """
    if not line.startswith("{"):
        return None
    try:
        content: dict[str, Any] = json.loads(line)
        if _KEY not in content:
            return content
        samples = SampleSet.from_bytes(base64.b64decode(content[_KEY]))
        return samples if lists else samples.without_lists()
    except (ValueError, TypeError, binascii.Error, pa.ArrowException) as error:
        raise UsageError(f"a line of the load generator cannot be read ({error})") from error
