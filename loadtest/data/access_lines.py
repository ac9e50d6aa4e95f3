"""Access logs as text: when each line's request came, and by which method; what it sent they do not say."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

# every public server logs what scanners send, which has no method: `"\x16\x03" 400`, `"-" 408`
_ENVOY = re.compile(r'\[(?P<time>\d{4}-\d\d-\d\dT[^]\s]+)\] "(?:(?P<method>[A-Z]+) )?')
_COMBINED = re.compile(
    r'\S+ \S+ [^[]*\[(?P<time>\d\d/\w{3}/\d{4}(:\d\d){3} [+-]\d{4})\] "(?:(?P<method>[A-Z]+) )?'
)
# the second time is when the request came, the first when it was answered
_BALANCER = re.compile(
    r'(https?|h2|grpcs?) \d{4}-\S+ app/\S+ [^"]*"(?:(?P<method>[A-Z]+) )?[^"]*" .* '
    r'(?P<time>\d{4}-\d\d-\d\dT\S+Z) "'
)
# what `kubectl logs --prefix`, `docker compose logs` and a container runtime's files have before a line
_PREFIX = re.compile(r"\[pod/\S+\] |[\w.-]+ +\| |\d{4}-\d\d-\d\dT\S+ (stdout|stderr) [FP] ")
_GOREPLAY = re.compile(r"[123] \w{16,} \d+")


def access_log_of(line: str) -> Callable[[str], dict[str, Any]] | None:
    """What reads the lines of the access log that begins with this one; None: it is none.

    Known are the text formats that Envoy and Istio write unless told otherwise, the common and combined ones
    of nginx and Apache, and that of AWS's application load balancer.
    """
    for pattern in (_ENVOY, _COMBINED, _BALANCER):
        if pattern.match(line):
            return partial(_record, pattern)
    return None


def prefix_of(line: str) -> str | None:
    """What a tool put before the line of a server; None: nothing that is known."""
    found = _PREFIX.match(line)
    return found[0] if found else None


def is_goreplay(line: str) -> bool:
    """Whether a capture of GoReplay begins with this line."""
    return _GOREPLAY.match(line) is not None


def _record(pattern: re.Pattern[str], line: str) -> dict[str, Any]:
    """As Envoy's access log as JSON has it.

    Raises:
        ValueError: the line is not like the first one.
    """
    found = pattern.match(line)
    if found is None:
        raise ValueError("is no line of this access log")
    time = found["time"]
    if pattern is _COMBINED:
        time = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").isoformat()
    return {"start_time": time, "method": found["method"] or "-"}
