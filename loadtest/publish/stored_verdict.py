"""What other tools are told of a run: its verdict, read from its folder, and the document made of it.

The document holds figures and the names that the experiment gives: no row, no answer, no user or request id,
and of a URL no more than its host.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from loadtest.data.run_folder import EXPERIMENT, RATES, VERDICT
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.rate_sweep import RatesVerdict
from loadtest.judge.verdict import GateResult, Verdict

_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/?#@]*@)?([^\s/?#@,;]*)[^\s,;)]*", re.IGNORECASE)
_QUOTED = re.compile(r"""(?<!\w)(['"`]).*?\1(?!\w)""")


class StoredVerdict(NamedTuple):
    """The verdict that lies in a run folder: ``read_verdict("results/latest")``.

    ``digest`` is the SHA-256 of the file that holds it: a run that is judged anew has another.
    """

    folder: Path
    experiment: Experiment
    verdict: Verdict | RatesVerdict
    digest: str

    @property
    def run(self) -> str:
        """The name of the run: that of its folder."""
        return self.folder.name

    def by_rate(self) -> Iterator[tuple[float | None, Verdict]]:
        """The verdict at each rate, in arrivals per second; one at None where the run has one rate."""
        if isinstance(self.verdict, RatesVerdict):
            yield from ((at.rate, at.verdict) for at in self.verdict.rates)
        else:
            yield None, self.verdict


def read_verdict(run: Path) -> StoredVerdict:
    """Read the verdict of a run folder, such as ``results/latest``, as it was written.

    Raises:
        UsageError: the folder holds no whole run, or its files are damaged.
    """
    folder = Path(os.path.realpath(run))
    kind: type[Verdict | RatesVerdict] = RatesVerdict if (folder / RATES).is_file() else Verdict
    path = folder / (RATES if kind is RatesVerdict else VERDICT)
    try:
        content = path.read_bytes()
        verdict = kind.model_validate_json(content)
    except OSError:
        raise UsageError(
            f"{run}: holds no verdict ({VERDICT}); `loadproof judge {run} --write` makes one"
        ) from None
    except (ValidationError, ValueError, RecursionError):
        raise UsageError(f"{path}: not readable; `loadproof judge {run} --write` writes it again") from None
    experiment = Experiment.load_file(str(folder / EXPERIMENT))
    return StoredVerdict(folder, experiment, verdict, hashlib.sha256(content).hexdigest())


def document(stored: StoredVerdict) -> dict[str, Any]:
    """The verdict as other tools receive it (schema 1); docs/integrations.md describes each key."""
    verdict, versions = stored.verdict, stored.experiment.versions
    return {
        "schema": 1,
        "run": stored.run,
        "experiment": verdict.experiment,
        "backend": verdict.backend,
        "stable": redacted(versions.stable),
        "candidate": redacted(versions.candidate),
        "verdict": str(verdict.verdict),
        "exit_code": int(verdict.verdict.exit_code),
        "reason": redacted(verdict.reason),
        "gates": [_gate(rate, gate) for rate, at in stored.by_rate() for gate in at.gates],
    }


def _gate(rate: float | None, gate: GateResult) -> dict[str, Any]:
    return {
        "gate": gate.name,
        "at_rate": rate,
        "verdict": str(gate.verdict),
        "stable": gate.stable,
        "candidate": gate.candidate,
        "value_unit": gate.value_unit,
        "estimate": gate.estimate,
        "interval": list(gate.interval),
        "margin": gate.margin,
        "unit": gate.unit,
        "confidence": gate.confidence,
    }


def redacted(text: str) -> str:
    """A text without what it quotes (answers, labels), and with no more of a URL than its host."""
    return _QUOTED.sub(r"\1…\1", hosts_only(text))


def hosts_only(text: str) -> str:
    """A text whose URLs are cut to their hosts: a path or a query may be a secret."""
    return _URL.sub(r"\1\2", text)
