"""Samples on their way through a pipe while a run lasts, a line at a time.

A line is one JSON object, ``{"samples": "<base64 of SampleSet.to_bytes()>"}``. The load generator prints
such lines between its live figures; whoever follows a run reads them.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import pyarrow as pa

from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError

_KEY = "samples"


def sample_line(samples: bytes) -> str:
    """One line from what ``SampleSet.to_bytes`` gave."""
    return json.dumps({_KEY: base64.b64encode(samples).decode("ascii")})


def read_line(line: str) -> SampleSet | dict[str, Any] | None:
    """What a line of a load generator holds: samples, live figures, or None where it is neither.

    Raises:
        UsageError: it says that it holds samples and does not.
    """
    if not line.startswith("{"):
        return None
    try:
        content: dict[str, Any] = json.loads(line)
        return SampleSet.from_bytes(base64.b64decode(content[_KEY])) if _KEY in content else content
    except (ValueError, TypeError, binascii.Error, pa.ArrowException) as error:
        raise UsageError(f"a line of the load generator cannot be read ({error})") from error
