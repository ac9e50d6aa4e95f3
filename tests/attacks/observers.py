"""What became of a lie that is told without a load: each observer is asked with an empty folder."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.__main__ import write_anything
from loadtest.data.baseline import Comparison
from loadtest.data.dataset import Dataset
from loadtest.data.local_errors import local_trouble
from loadtest.data.run_folder import RunFolder
from loadtest.data.samples import SampleSet
from loadtest.errors import GateError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.judge import judge
from loadtest.judge.run import VersionFacts
from loadtest.load.cluster.run_state import RunInProgress
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.sending.error_phrases import phrase_of
from loadtest.load.sending.http_client import Answer
from loadtest.load.sending.response import read_answer
from loadtest.load.sending.task_answers import TaskAnswers
from loadtest.report.number_format import MARKS
from tests.attacks.made_runs import Lie, fails, run_of
from tests.loadtest.load.cluster.test_load_summary import samples, summarised
from tests.loadtest.load.cluster.test_run_state import EXPERIMENT as ONE_MINUTE
from tests.loadtest.load.cluster.test_run_state import Clocks
from tests.loadtest.made_samples import Sample, sample_set

SEEN = tuple[str, str]
"""What became of it in a word or two, and what was said."""


def judged(gate: str, candidate: tuple[Lie, ...] = (), stable: tuple[Lie, ...] = (), **more) -> Callable:
    def observe(_: Path) -> SEEN:
        try:
            verdict = judge(run_of([gate], candidate, stable, **more))
        except GateError as error:
            return "exit code 2", str(error)
        return verdict.verdict.value, f"{verdict.reason} {verdict.gates[0].reason}"

    return observe


def parsed(gate: str, **data) -> Callable:
    """An experiment that is read, and not run."""

    def observe(_: Path) -> SEEN:
        whole = {"name": "m", "model": {"name": "m"}, "data": {"path": "m", **data}, "gates": [gate]}
        try:
            Experiment.parse(whole, "test")
        except UsageError as error:
            return "exit code 2", str(error)
        return "goes on", ""

    return observe


def answered(body: str, labels=("0", "1")) -> Callable:
    """An answer with status 200 to one row."""

    def observe(_: Path) -> SEEN:
        known = np.array(labels)
        rows = Dataset(Path("e"), np.zeros((len(known), 1)), ("x",), known, None, pa.table({}))
        answer = Answer(0.0, 1.0, 200, body.encode(), None, None)
        found = read_answer(answer, Role.CANDIDATE, KServeV1("m"), TaskAnswers(rows))
        return ("an error" if found.error else "an answer"), str(found.error)

    return observe


def of_its_own(error: Exception) -> Callable:
    """Two requests of the candidate end like this."""

    def observe(_: Path) -> SEEN:
        phrase = phrase_of(error)
        trouble = local_trouble({phrase: 2})
        facts = {"valid": trouble is None, "reason": trouble}
        return judged("error_rate <= stable + 1pp", (fails(0.002, phrase=phrase),), facts=facts)(Path())

    return observe


def half_sent(_: Path) -> SEEN:
    summary = summarised(samples(50), planned=100, scheduled=100, sent=50)
    return ("PASS" if summary.valid else "INVALID"), str(summary.reason)


def stored(change: Callable[[Sample], Sample]) -> Callable:
    """A file of two samples, of which one is not what it was, read as a run's are."""

    def observe(folder: Path) -> SEEN:
        one = Sample(0, "stable", 1.0, 1.0, 1.1, 200, None, "1", True, None, 0)
        pq.write_table(sample_set([one, change(one)]).table, folder / "samples.parquet")
        try:
            SampleSet.read(folder / "samples.parquet")
        except UsageError as error:
            return "exit code 2", str(error)
        return "judged", ""

    return observe


def of_another_run(folder: Path) -> SEEN:
    one = Sample(0, "stable", 1.0, 1.0, 1.1, 200, None, "1", True, None, 0)
    for name, set_ in (("a", [one]), ("b", [one, one._replace(role="candidate")])):
        (folder / name).mkdir()
        sample_set(set_).write(folder / name / "samples.parquet")
    (folder / "b" / "samples.parquet").replace(folder / "a" / "samples.parquet")
    try:
        SampleSet.read(folder / "a" / "samples.parquet")
    except UsageError as error:
        return "exit code 2", str(error)
    return "judged", ""


def swapped_beside_an_absurd_answer(_: Path) -> SEEN:
    """Neighbours' answers, 100 ± 10, are exchanged; one answer of 500 is 1e12."""
    known = 100 + 10 * np.sin(np.arange(500.0))
    known[7] = 1e12
    rows = Dataset(Path("e"), np.zeros((500, 1)), ("x",), known, None, pa.table({}))
    baseline = Comparison(rows, dict(enumerate(map(str, known))))
    said = pa.array([str(value) for value in np.roll(known, 1)])
    same = np.asarray(baseline.agrees(pa.array(np.arange(500)), said))
    return ("all are found" if not same.any() else f"{same.sum()} are not found"), ""


def latest(make: Callable[[Path], None]) -> Callable:
    """A whole run is published where ``latest`` is something else."""

    def observe(results: Path) -> SEEN:
        make(results / "latest")
        said: list[str] = []
        with RunFolder(results, "run") as folder:
            folder.write("verdict.json", "{}")
            kept = folder.publish(said.append)
        return ("the verdict stands" if (kept / "verdict.json").exists() else "lost"), " ".join(said)

    return observe


def ascii_terminal(_: Path) -> SEEN:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write_anything(stream)
    try:
        stream.write("".join(MARKS.values()) + " ± 12 µs\n")
    except UnicodeError as error:
        return "exit code 6", str(error)
    return "the verdict stands", ""


def stepped(step: float) -> Callable:
    """The coordinator's wall clock steps in the middle of the load."""

    def observe(_: Path) -> SEEN:
        clocks = Clocks()
        run = RunInProgress(ONE_MINUTE, ["w_0"], "", clock=lambda: clocks.monotonic, wall=lambda: clocks.wall)
        run.begin(0.5)
        clocks.pass_(30.5, step)
        run.give_up_late_workers()
        return ("it goes on" if abs(run.elapsed - 30) < 1e-6 and not run.sent.is_set() else "over"), ""

    return observe


def died(role: Role) -> dict:
    return {role: VersionFacts(died=f"{role} was killed by SIGKILL")}
