"""From the pages of metrics that services show when they are scraped: what was gained since the last page.

Directly from the services, once a second, and not from Prometheus: a rollback that waits for somebody else's
scrape interval is seconds late, and a lab without Prometheus can have a canary too. What users saw is counted
by the gateway, so the versions' CPU limits pay only for what they alone know: what became of their answers.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import deque
from collections.abc import Mapping, Sequence

from prometheus_client.samples import Sample

from contract.arms import BODY_CLASS, BODY_CLASSES, USER_GROUP, USER_GROUPS
from contract.metric_names import USER_OUTCOMES
from loadtest.canary.counts import Counts, Scrape
from loadtest.data.exposition import parse
from loadtest.experiment.role import ROLES, Role

GATEWAY = "gateway"
STATS = (
    "/stats/prometheus?filter=unpinned.[0-9].[0-9].upstream_rq_(.xx$|time)"
    "|(canary|repeated|fallback).*rq_retry_success$|canary.*ejections_active"
)
"""The path of the gateway's page, with nothing on it that is not read here."""

_XX = "envoy_cluster_unpinned_upstream_rq_xx"
_TIME = "envoy_cluster_unpinned_upstream_rq_time_bucket"
_SECOND = "envoy_cluster_upstream_rq_retry_success"
"""What a second try answered: stable's, or in its own arm the candidate's where it is the fallback."""
_EJECTED = "envoy_cluster_outlier_detection_ejections_active"
_MS = 1000.0
_RECENT = 10
"""Scrapes whose failures an ejection is judged by."""
_METRICS = re.compile(r"\s*([#a-zA-Z_:]|$)")
"""How a page of metrics begins."""
_LINES, _LINE = 1000, 1000
"""Lines of outcomes that a version's page may have, and characters of each: more hold the controller up."""

Key = tuple[str, ...]


class Meter:
    """Turns pages into scrapes; a service that was restarted counts from zero again, and loses nothing here.

    An ejection that is there at the first scrape is what an earlier canary left; it counts when it comes
    again. One does not count where stable failed, too, at most of what the candidate failed at: anybody can
    send five requests in a row that no version can answer.

    An error is what only a second try answered, in either arm. What nobody answers is nobody's: whoever may
    name users puts as many as they like into one arm, with rows that no version can answer.

    Of no more users than the gateway sent it requests is the candidate believed to know the outcome: what it
    tells beyond waits for them.

    Args:
        clusters: per role the gateway's clusters that carry its share of unpinned traffic; the candidate's
            is one.
    """

    def __init__(self, clusters: Mapping[Role, Sequence[str]]) -> None:
        self._clusters = clusters
        (self._canary,) = clusters[Role.CANDIDATE]
        self._seen: dict[Key, float] = {}
        self._known: set[str] = set()
        self._was_in = False
        self._recent: deque[tuple[float, float]] = deque(maxlen=_RECENT)
        self._counts_now: bool | None = None
        self._room = self._judged = self._wrong = 0.0

    def read(self, at: float, pages: Mapping[str, str | None], ready: Mapping[Role, bool]) -> Scrape:
        """The scrape of this moment.

        ``at`` is in seconds on the controller's clock. Pages are those of ``gateway``, ``stable`` and
        ``candidate``; None: it gave none.
        """
        values: dict[Key, float] = {}
        ejected = False
        missing = set()
        for source in (GATEWAY, *ROLES):
            page = pages.get(source)
            try:
                found = _read(source, page) if page is not None else None
            except ValueError:
                found = None
            if found is None:
                missing.add(source)
                continue
            gains = {key: value for key, value in found.items() if key[0] != _EJECTED}
            ejected |= bool(found.get((_EJECTED, self._canary)))
            values |= self._gained(source, gains)
        edges = sorted({float(key[2]) for key in values if key[0] == _TIME and key[2] != "+Inf"})
        counts = {
            role: self._counts(role, clusters, values, edges) for role, clusters in self._clusters.items()
        }
        counts[Role.CANDIDATE] = self._believed(counts[Role.CANDIDATE])
        told = self._tells(values, ejected=ejected) if GATEWAY not in missing else False
        if ejected and not told:
            # its share is stable's meanwhile: nothing of that is the candidate's
            counts[Role.CANDIDATE] = Counts(slower=[0.0] * len(edges))
        seconds = [edge / _MS for edge in edges]
        return Scrape(at, counts, seconds, dict(ready), told, frozenset(missing))

    def _believed(self, counts: Counts) -> Counts:
        """The candidate's counts with as many outcomes as its requests so far leave room for."""
        self._room += counts.requests
        self._judged += counts.judged
        self._wrong += counts.wrong
        judged = min(self._judged, self._room)
        wrong = self._wrong * judged / self._judged if judged else 0.0
        self._room -= judged
        self._judged -= judged
        self._wrong -= wrong
        return counts._replace(judged=judged, wrong=wrong)

    def _tells(self, values: Mapping[Key, float], *, ejected: bool) -> bool:
        """Whether the candidate is out, and for what it alone failed at; judged once for each ejection."""
        failed = values.get((_SECOND, self._canary), 0.0), values.get((_XX, self._canary, "5"), 0.0)
        self._recent.append(failed)
        self._was_in |= not ejected
        if not ejected:
            self._counts_now = None
        elif self._counts_now is None:
            own, both = (sum(column) for column in zip(*self._recent, strict=True))
            self._counts_now = self._was_in and not 0 < both >= own
        return bool(self._counts_now)

    def _gained(self, source: str, found: dict[Key, float]) -> dict[Key, float]:
        known, gained = source in self._known, {}
        for key, value in found.items():
            before = self._seen.get(key, 0.0 if known else value)
            # less than before: the service was restarted
            gained[key] = value - before if value >= before else value
        self._known.add(source)
        self._seen |= found
        return gained

    @staticmethod
    def _counts(
        role: Role, clusters: Sequence[str], values: Mapping[Key, float], edges: list[float]
    ) -> Counts:
        def all_of(name: str, *labels: str) -> float:
            return sum(values.get((name, cluster, *labels), 0.0) for cluster in clusters)

        def latencies(*counted: str) -> list[float]:
            row = [0.0] * (1 + len(edges))
            for cluster in clusters:
                timed = values.get((_TIME, cluster, "+Inf", *counted), 0.0)
                if not timed:
                    continue
                within = (values.get((_TIME, cluster, _text(edge), *counted), timed) for edge in edges)
                slower = (max(timed - count, 0.0) for count in within)
                row = [a + b for a, b in zip(row, (timed, *slower), strict=True)]
            return row

        errors = all_of(_SECOND)
        groups = [
            [latencies(str(group), str(size)) for size in range(BODY_CLASSES)] for group in range(USER_GROUPS)
        ]
        timed, *slower = (sum(column) for column in zip(*itertools.chain(*groups), strict=True))
        judged, wrong = (sum(values.get((USER_OUTCOMES, role, o), 0.0) for o in os) for os in _OUTCOMES)
        return Counts(
            # what the second try answered may be counted before it has ended
            requests=max(all_of(_XX, "2"), errors),
            errors=errors,
            judged=judged,
            wrong=wrong,
            timed=timed,
            slower=slower,
            groups=groups,
        )


_OUTCOMES = (("correct", "incorrect"), ("incorrect",))


def _text(edge: float) -> str:
    return f"{edge:g}"


def _read(source: str, page: str) -> dict[Key, float]:
    """The counters of a page that matter, by name and labels.

    Only the gateway tells what it counted, and a version nothing but its own users' outcomes: its page may be
    made to look like the gateway's.

    Raises:
        ValueError: it is no page of metrics, or tells what no counter can be.
    """
    found: dict[Key, float] = {}
    for sample in parse(page if source == GATEWAY else _outcomes(page)):
        key = _of_gateway(sample) if source == GATEWAY else _of_version(source, sample)
        if key is None:
            continue
        if not (math.isfinite(sample.value) and sample.value >= 0):
            raise ValueError(f"{sample.name} is {sample.value}")
        found[key] = found.get(key, 0.0) + sample.value
    return found


def _outcomes(page: str) -> str:
    """The lines of a version's page that tell of outcomes.

    Raises:
        ValueError: it is no page of metrics, or they are too many.
    """
    if not _METRICS.match(page):
        raise ValueError("no page of metrics")
    lines = [line for line in page.splitlines() if line.startswith(USER_OUTCOMES)]
    if len(lines) > _LINES or any(len(line) > _LINE for line in lines):
        raise ValueError(f"more than {_LINES} lines of outcomes, or a longer one than {_LINE} characters")
    return "".join(f"{line}\n" for line in lines)


def _of_version(source: str, sample: Sample) -> Key | None:
    # whom the other version's failure brought is no evidence; a server without arms tells of its own
    if sample.name != USER_OUTCOMES or sample.labels.get("arm", source) != source:
        return None
    return (USER_OUTCOMES, source, sample.labels.get("outcome", ""))


def _of_gateway(sample: Sample) -> Key | None:
    labels = sample.labels
    cluster = labels.get("envoy_cluster_name", "")
    # the parser ends the names of all counters so; Envoy's own do not
    name = sample.name.removesuffix("_total")
    if name == _XX:
        return (_XX, cluster, labels.get("envoy_response_code_class", ""))
    if name == _TIME:
        edge = labels.get("le", "")
        counted = labels.get(USER_GROUP, ""), labels.get(BODY_CLASS, "")
        return (_TIME, cluster, edge if edge == "+Inf" else _text(float(edge)), *counted)
    return (name, cluster) if name in (_SECOND, _EJECTED) else None
