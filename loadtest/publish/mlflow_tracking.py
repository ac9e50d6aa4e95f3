"""A verdict as a run of an MLflow tracking server.

The server, and what it asks of whoever logs in, are MLflow's own environment variables::

    MLFLOW_TRACKING_URI=http://127.0.0.1:5000 loadproof publish results/latest --mlflow
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from shlex import quote
from typing import Any, NamedTuple

from loadtest.errors import TargetError, UsageError
from loadtest.judge.verdict import Verdict, Word
from loadtest.publish.destination import in_one_line, within
from loadtest.publish.stored_verdict import StoredVerdict, hosts_only

TRACKING_URI, EXPERIMENT_NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
EXPERIMENT = "loadproof"
"""The MLflow experiment, unless the environment names one."""
PATIENCE = 120.0
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Unless they are set. With its own 7 and 120 MLflow tries a server that is away for minutes."""
_ON_PASS = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]+)(?:=(?P<value>[^@]+))?@models:/(?P<model>[^/@:]+)/(?P<version>\d+)"
)
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9_\-. /]")
_LONGEST_VALUE, _LONGEST_KEY = 500, 250
_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 900, 100
"""What one request of MLflow's REST API takes."""
_ARTEFACTS = ("report.html", "verdict.json", "rates.json", "summary.md")
_RUN, _DIGEST = "loadproof.run", "loadproof.verdict_sha256"


class OnPass(NamedTuple):
    """What a registered version gets on PASS: an alias, or a tag where there is a ``value``.

    ``OnPass.parse("champion@models:/fraud/3")``, ``OnPass.parse("approved=yes@models:/fraud/3")``
    """

    name: str
    value: str | None
    model: str
    version: str

    @classmethod
    def parse(cls, text: str) -> OnPass:
        """Read ``ALIAS@models:/NAME/VERSION`` or ``TAG=VALUE@models:/NAME/VERSION``.

        Raises:
            UsageError: it reads otherwise.
        """
        match = _ON_PASS.fullmatch(text)
        if match is None:
            raise UsageError(
                f"--mlflow-on-pass {text!r}: write ALIAS@models:/NAME/VERSION, such as "
                "champion@models:/fraud/3, or TAG=VALUE@models:/NAME/VERSION"
            )
        return cls(**match.groupdict())

    def __str__(self) -> str:
        value = "" if self.value is None else f"={self.value}"
        return f"{self.name}{value}@models:/{self.model}/{self.version}"


class MlflowTracking:
    """Logs a verdict: parameters, metrics with the ends of their intervals, tags and artefacts.

    A verdict is logged once: publishing it again completes the MLflow run that it has.

    Args:
        client: an ``mlflow.MlflowClient``.
        entities: the module ``mlflow.entities``, or what has its ``Metric``, ``Param`` and ``RunTag``.
        experiment: the MLflow experiment; made where missing.
        on_pass: what registered versions get if the verdict is PASS.
        patience: seconds after which the server is given up.
    """

    name = "MLflow"

    def __init__(
        self,
        client: Any,
        entities: Any,
        experiment: str = EXPERIMENT,
        on_pass: Sequence[OnPass] = (),
        patience: float = PATIENCE,
    ) -> None:
        self._client, self._entities, self._experiment = client, entities, experiment
        self._on_pass, self._patience = on_pass, patience
        self.retry = " ".join(["--mlflow", *(f"--mlflow-on-pass {quote(str(one))}" for one in on_pass)])

    @classmethod
    def from_environment(
        cls, on_pass: Sequence[str] = (), environment: MutableMapping[str, str] = os.environ
    ) -> MlflowTracking:
        """The server that the environment names; nothing is asked of it yet.

        Raises:
            UsageError: it names none, MLflow is not installed, or ``on_pass`` cannot be read.
        """
        parsed = [OnPass.parse(text) for text in on_pass]
        uri = environment.get(TRACKING_URI)
        if not uri:
            raise UsageError(f"--mlflow: {TRACKING_URI} is not set; set it to the tracking server's URL")
        if find_spec("mlflow") is None:
            raise UsageError(
                "--mlflow: MLflow is not installed here; `pip install mlflow-skinny` installs it"
            )
        for name, value in _DEFAULTS.items():
            environment.setdefault(name, value)
        try:
            client, entities = import_module("mlflow").MlflowClient(uri), import_module("mlflow.entities")
        except Exception as error:
            raise UsageError(f"--mlflow: {in_one_line(error)}; correct {TRACKING_URI}") from None
        return cls(client, entities, environment.get(EXPERIMENT_NAME) or EXPERIMENT, parsed)

    def deliver(self, stored: StoredVerdict) -> str:
        """Log the verdict, and name the versions that passed; see ``Destination``."""
        return within(self._patience, self.name, lambda: self._log(stored))

    def _log(self, stored: StoredVerdict) -> str:
        run = self._run_of(stored)
        run_id, at = run.info.run_id, run.info.start_time
        made = self._entities
        logged = [made.Metric(name, value, at, 0) for name, value in metrics(stored).items()]
        for part in _parts(logged, _METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=part)
        asked = [made.Param(name, value) for name, value in params(stored).items()]
        for part in _parts(asked, _PARAMS_AT_ONCE):
            self._client.log_batch(run_id, params=part)
        self._client.log_batch(run_id, tags=[made.RunTag(*tag) for tag in tags(stored).items()])
        for name in _ARTEFACTS:
            if (stored.folder / name).is_file():
                self._client.log_artifact(run_id, str(stored.folder / name))
        seconds = sum(verdict.load.duration_s for _, verdict in stored.by_rate())
        self._client.set_terminated(run_id, "FINISHED", at + round(1000 * seconds))
        named = self._name_versions(stored, run_id)
        return f"MLflow: logged as run {run_id} of the experiment {self._experiment!r}{named}"

    def _run_of(self, stored: StoredVerdict) -> Any:
        experiment = self._client.get_experiment_by_name(self._experiment)
        experiment_id = (
            self._client.create_experiment(self._experiment)
            if experiment is None
            else experiment.experiment_id
        )
        own = f"tags.`{_RUN}` = '{stored.run}' and tags.`{_DIGEST}` = '{stored.digest}'"
        found = self._client.search_runs([experiment_id], own, max_results=1)
        if found:
            return found[0]
        return self._client.create_run(
            experiment_id,
            start_time=_began(stored.run),
            tags={_RUN: stored.run, _DIGEST: stored.digest},
            run_name=stored.run,
        )

    def _name_versions(self, stored: StoredVerdict, run_id: str) -> str:
        if not self._on_pass:
            return ""
        if stored.verdict.verdict is not Word.PASS:
            return f"; {stored.verdict.verdict}, so no version gets an alias or a tag"
        for one in self._on_pass:
            try:
                if one.value is None:
                    self._client.set_registered_model_alias(one.model, one.name, one.version)
                else:
                    self._client.set_model_version_tag(one.model, one.version, one.name, one.value)
            except Exception as error:
                raise TargetError(f"run {run_id} is logged, but not {one}: {in_one_line(error)}") from None
        return "; " + ", ".join(str(one) for one in self._on_pass)


def metrics(stored: StoredVerdict) -> dict[str, float]:
    """Each gate's estimate and the ends of its interval, and what each version did; only finite figures.

    Keys: ``p95.estimate``, ``p95.lower``, ``p95.upper``, ``p95.margin``; ``candidate/p99_ms``. At several
    rates each begins with its rate, such as ``rate_20/``.
    """
    found: dict[str, float | None] = {}
    for rate, verdict in stored.by_rate():
        at = "" if rate is None else f"rate_{rate:g}/"
        found |= {f"{at}{name}": value for name, value in _of_gates(verdict)}
        found |= {f"{at}{name}": value for name, value in _of_versions(verdict)}
        found |= {f"{at}load/{name}": value for name, value in verdict.load.model_dump().items()}
    return {
        _NOT_IN_A_KEY.sub("_", name)[:_LONGEST_KEY]: float(value)
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }


def _of_gates(verdict: Verdict) -> Iterator[tuple[str, float | None]]:
    seen: Counter[str] = Counter()
    for result in verdict.gates:
        gate = result.gate
        name = (
            gate.metric
            if gate.column is None
            else f"{gate.metric}.{gate.column}.{gate.value}".replace("/", "_")
        )
        seen[name] += 1
        if seen[name] > 1:  # two limits of one metric
            name = f"{name}.{seen[name]}"
        lower, upper = result.interval
        yield f"{name}.estimate", result.estimate
        yield f"{name}.lower", lower
        yield f"{name}.upper", upper
        yield f"{name}.margin", result.margin


def _of_versions(verdict: Verdict) -> Iterator[tuple[str, float | None]]:
    for role, summary in verdict.versions.items():
        for name, value in summary.latency_ms.model_dump().items():
            yield f"{role}/{name}_ms", value
        figures = summary.model_dump(exclude={"latency_ms", "cache"})
        for name, value in figures.items():
            if isinstance(value, int | float):
                yield f"{role}/{name}", value


def params(stored: StoredVerdict) -> dict[str, str]:
    """The resolved experiment, flat: ``load.rate``. Headers are left out; of a URL its host is left."""
    # a gate may change when a run is judged again, a parameter in MLflow never does
    left_out: Any = {"gates": True, "canary": True, "capacity": True, "target": {"headers"}}
    document = stored.experiment.model_dump(mode="json", exclude=left_out)
    return dict(_flat(document, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value not in (None, "", [], ()):
        text = hosts_only(value) if isinstance(value, str) else str(value)
        yield _NOT_IN_A_KEY.sub("_", name)[:_LONGEST_KEY], text[:_LONGEST_VALUE]


def tags(stored: StoredVerdict) -> dict[str, str]:
    """The verdict, its reason, and what became of each gate."""
    found = {
        "loadproof.verdict": str(stored.verdict.verdict),
        "loadproof.reason": stored.verdict.reason,
        "loadproof.backend": stored.verdict.backend,
    }
    results = [
        f"{result.verdict} {'' if rate is None else f'at {rate:g}/s '}{result.name}"
        for rate, verdict in stored.by_rate()
        for result in verdict.gates
    ]
    found |= {f"loadproof.gate.{number:02}": text for number, text in enumerate(results, 1)}
    return {name: text[:_LONGEST_VALUE] for name, text in found.items()}


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _began(run: str) -> int | None:
    """When a run began, in milliseconds since 1970; None where its folder was renamed."""
    try:
        began = datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return None
    return round(1000 * began.replace(tzinfo=UTC).timestamp())
