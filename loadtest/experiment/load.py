"""The load of an experiment: how many arrivals come when, and which version gets them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from loadtest.errors import ExperimentError
from loadtest.experiment.part import Part
from loadtest.experiment.role import ROLES, ROLES_WITH_CONTROL, Role
from loadtest.experiment.units import PositiveSeconds, Rates, RowsPerRequest, Seconds

SHORTEST_PHASE = 5.0
"""Seconds."""
SHAPES = ("rate", "rates", "duration", "phases")
"""Keys that say when arrivals come, as a log to replay does."""
MOST_ROWS = 1_000_000_000
"""In a run: what is sent when is drawn before the load, and held in memory."""
MOST_WORKERS = 256
_AS_SHOWN = 1e-5
"""Relative difference of a number that was shown with six digits and read back."""


class Phase(Part):
    """A part of the load with a rate of its own: ``Phase(duration="20s", rate=20, to=100)``.

    Phases follow one another in the order of the file, and make up the measured load: steps of `rate`, a ramp
    by `to`, a spike by a short phase between two others.
    """

    name: str = Field(default="", max_length=40)
    """What the report calls it; if absent, its number."""
    duration: PositiveSeconds
    """How long it lasts; at least 5 s, so that two time blocks fit in."""
    rate: float = Field(ge=0)
    """Arrivals per second, at its start if there is a `to`; 0: a pause."""
    to: float | None = Field(default=None, ge=0)
    """Arrivals per second at its end; between, the rate changes evenly. If absent: as at its start."""

    @field_validator("duration")
    @classmethod
    def _holds_two_blocks(cls, duration: float) -> float:
        if duration < SHORTEST_PHASE:
            raise ValueError(f"a phase lasts at least {SHORTEST_PHASE:g} s, so that two time blocks fit in")
        return duration

    @property
    def end_rate(self) -> float:
        """Arrivals per second at its end."""
        return self.rate if self.to is None else self.to

    def expected(self, seconds: float) -> float:
        """How many arrivals are expected in its first ``seconds``."""
        return seconds * (self.rate + (self.end_rate - self.rate) * seconds / (2 * self.duration))


def _of_phases(given: dict[str, Any]) -> tuple[float, float]:
    """The arrivals expected in all phases, and the seconds they last; of none, an experiment's defaults."""
    phases = given.get("phases") or (Phase(duration=60.0, rate=50.0),)  # absent where it does not validate
    return sum(p.expected(p.duration) for p in phases), sum(p.duration for p in phases)


def _mean_rate(given: dict[str, Any]) -> float:
    arrivals, seconds_ = _of_phases(given)
    return arrivals / seconds_


class Load(Part):
    """The traffic: ``Load(rate=50, duration="60s")`` is Poisson arrivals at 50 a second."""

    traffic: Literal["duet", "canary", "shadow", "stable", "candidate"] = "duet"
    """`duet`: each arrival sends its row to both versions. `canary` and `shadow`: each arrival is a user's
    request, and the gateway chooses the version. `stable`, `candidate`: only that version gets the load."""
    phases: tuple[Phase, ...] = ()
    """Parts with rates of their own, instead of `rate` and `duration`, which then follow from them."""
    replay: Path | None = None
    """A log of requests to replay, instead of `rate` and `duration`: each is sent when the log sent it."""
    replay_labels: Path | None = None
    """Labels that came later than the log: a file that names its requests by their ids (load.md)."""
    replay_from: Seconds = 0.0
    """How far into the log the replay begins."""
    replay_for: PositiveSeconds | None = None
    """How much of the log to replay. If absent: up to its end."""
    speed_up: float = Field(default=1.0, ge=0.01, le=1000)
    """How many times as fast as the log; `2` halves every gap between two requests."""
    split_rows: bool = False
    """Of a replay: send every row of a logged request of several as a request of its own, at its instant."""
    rate: float = Field(default_factory=_mean_rate, gt=0)
    """Arrivals per second."""
    rates: Rates = ()
    """Several rates, one after the other, instead of `rate`."""
    duration: PositiveSeconds = Field(default_factory=lambda given: _of_phases(given)[1])
    """Length of the measured load."""
    rows_per_request: RowsPerRequest = ((1, 1.0),)
    """How many rows a request has: a number, or sizes with weights such as `{1 = 0.7, 8 = 0.2, 64 = 0.1}`, of
    which each request gets one at random. Latency and errors are per request, quality is per row."""
    until_decided: bool = False
    """End as soon as every gate is decided, corrected for the repeated analyses; `duration` is the limit."""
    restarts: int = Field(default=1, ge=1)
    """How many times to deploy both versions; the spread between deployments then counts in the verdict."""
    control: bool = False
    """Deploy stable a second time and send it every row too, in `duet` traffic. Every gate is then shown for
    control against stable as well, and a run in which these two differ by more than a margin is INVALID."""
    warmup: Seconds = 5.0
    """Load before the measurement starts; it is not counted, but its errors are shown."""
    baseline: Seconds | None = None
    """The most time to spend on baseline answers: each version answers every row once, a random half of them
    before the load and the others after it. 0: none. If absent: half of `duration`."""
    timeout: PositiveSeconds = 2.0
    """An answer that takes longer is an error and counts as wrong."""
    max_lag: PositiveSeconds = 0.05
    """If the generator sends later than this at the 99th percentile, the run is INVALID."""
    seed: int = Field(default=1, ge=0)
    """The same seed gives the same arrivals and rows."""
    workers: int = Field(default=1, ge=1, le=MOST_WORKERS)
    """Processes of the load generator."""
    trace: bool = False
    """Send a W3C `traceparent` with every request, marked as sampled: servers that trace then record each of
    them, which takes them time. The report names the traces of the slowest and of the mismatched requests."""
    timings: bool = False
    """Record where the time of each request went: DNS, connect, TLS, send, wait and receive. The report shows
    their quantiles, and the parts of the slowest requests."""
    users: int = Field(default=10_000, ge=1)
    """In `canary` and `shadow` traffic: how many users there are."""
    feedback_delay: Seconds = 5.0
    """In `canary` and `shadow` traffic: the mean time after which a user reports the true outcome."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who gets the rows: stable, candidate, and control where there is one."""
        return ROLES_WITH_CONTROL if self.control else ROLES

    @property
    def most_rows(self) -> int:
        """Rows of the largest requests."""
        return self.rows_per_request[-1][0]

    @property
    def mean_rows(self) -> float:
        """Rows of a request on average."""
        return sum(n * weight for n, weight in self.rows_per_request) / sum(
            w for _, w in self.rows_per_request
        )

    @property
    def expected_rows(self) -> int:
        """Rows that are expected to be sent, in the warm-up and after it."""
        return math.ceil(self._expected_rows)

    @property
    def _expected_rows(self) -> float:
        arrivals = self.first_rate * self.warmup + self.expected(self.duration)
        most = max(self.rates, default=0.0) * (self.warmup + self.duration)
        return self.mean_rows * max(arrivals, most)

    @property
    def refuses_capacity(self) -> str:
        """Why no capacity can be found with such a load; empty: it can."""
        if self.shape:
            return f"capacity looks for one constant rate; leave out {self.shape}"
        if self.most_rows > 1:
            return (
                "capacity counts requests of one row, so that its rates compare; leave out [load] "
                "rows_per_request"
            )
        return ""

    def check_request_sizes(self, rows: int) -> None:
        """Refuse requests of more rows than there are to choose from.

        Raises:
            ExperimentError: they have more.
        """
        if self.most_rows > max(rows - 1, 1):
            raise ExperimentError(
                f"[load] rows_per_request is up to {self.most_rows:,}, and the evaluation set has {rows:,} "
                "rows: a request must leave at least one out; make it smaller, or bring more rows"
            )

    @property
    def baseline_time(self) -> float:
        """Seconds that asking for baseline answers may take."""
        return self.duration / 2 if self.baseline is None else self.baseline

    @property
    def first_rate(self) -> float:
        """Arrivals per second in the warm-up, and when the measurement starts."""
        return self.phases[0].rate if self.phases else self.rate

    @property
    def phase_ends(self) -> tuple[float, ...]:
        """When each phase ends, seconds since the measurement began; none where the rate does not change."""
        return tuple(itertools.accumulate(phase.duration for phase in self.phases))

    def expected(self, until: float) -> float:
        """How many arrivals are expected in the first ``until`` seconds of the measured load."""
        if not self.phases:
            return self.rate * until
        begins = (end - phase.duration for end, phase in zip(self.phase_ends, self.phases, strict=True))
        return sum(
            phase.expected(min(max(until - begin, 0.0), phase.duration))
            for begin, phase in zip(begins, self.phases, strict=True)
        )

    @property
    def shape(self) -> str:
        """The key that makes the rate change; empty: none does."""
        if self.replay is not None:
            return "[load] replay"
        return "[[load.phases]]" if self.phases else ""

    @model_validator(mode="after")
    def _rows_fit_in_memory(self) -> Self:
        rows = self._expected_rows
        if not rows <= MOST_ROWS:
            raise ValueError(
                f"{rows:.3g} rows in one run are more than {MOST_ROWS:,}; lower the rate or the duration"
            )
        return self

    @model_validator(mode="after")
    def _phases_make_rate_and_duration(self) -> Self:
        if not self.phases:
            return self
        if not self.rate:
            raise ValueError("no phase has arrivals; give one of them a rate above 0")
        arrivals, lasts = _of_phases({"phases": self.phases})
        for key, made in (("rate", arrivals / lasts), ("duration", lasts)):
            if not math.isclose(getattr(self, key), made, rel_tol=_AS_SHOWN):
                raise ValueError(f"[[load.phases]] make the {key} {made:g}; leave {key} out, or the phases")
        return self

    @model_validator(mode="after")
    def _log_makes_rate_and_duration(self) -> Self:
        if self.replay is None:
            for key in ("replay_labels", "replay_from", "replay_for", "speed_up", "split_rows"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key} is about a log; name it under replay")
        elif not self.phases and (own := self.model_fields_set & {"rate", "duration"}):
            # a replay that is resolved has the phases that the log showed, and what follows from them
            raise ValueError(f"{min(own)} follows from the log of a replay; leave it out")
        return self

    @model_validator(mode="after")
    def _control_goes_with(self) -> Self:
        if self.control and self.traffic != "duet":
            raise ValueError(
                f"control does not go with traffic {self.traffic}: only in a duet does every version get "
                "every row; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _several_rows_go_with(self) -> Self:
        if self.most_rows == 1:
            return self
        for name, (given, why) in {
            f"traffic {self.traffic}": (
                self.traffic in ("canary", "shadow"),
                "each request is a user's, who reports one outcome",
            ),
            # of a resolved replay they are those of the log
            "replay": (bool(self.replay and not self.phases), "a log says what each request sends"),
            "trace": (self.trace, "the ids of a trace are computed from one row"),
        }.items():
            if given:
                raise ValueError(f"rows_per_request does not go with {name}: {why}; leave one of them out")
        return self

    @model_validator(mode="after")
    def _shape_goes_alone(self) -> Self:
        if not self.shape:
            return self
        for name, (given, why) in {
            "rates": (bool(self.rates), "each of them is one constant rate"),
            "until_decided": (
                self.until_decided,
                "an analysis before the end has not seen all of the traffic",
            ),
            "restarts": (self.restarts > 1, "deployments are compared at one constant rate"),
        }.items():
            if given:
                raise ValueError(f"{name} and {self.shape} do not go together: {why}; leave one of them out")
        return self
