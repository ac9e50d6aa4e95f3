"""Samples: the raw record of a run, one row per request, and their Parquet codec.

Everything a verdict, a table or a chart says is derived from these columns. Samples travel from workers
to the master as Arrow IPC bytes and rest in ``samples.parquet``; a sample is never dropped, rounded or
aggregated on the way. While a run lasts the load generator prints them in lines, ``sample_line``, between its
live figures, and whoever follows the run reads them with ``read_line``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loadtest.data.sample_checks import problem
from loadtest.errors import UsageError
from loadtest.experiment.role import Role

_CODES = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    [
        # index of the evaluation-set row that was sent
        pa.field("row", pa.int32(), nullable=False),
        # the role that was asked (or, unpinned, that answered): stable, candidate or control
        pa.field("role", _CODES, nullable=False),
        # seconds since the run began: intended send, true send, and the last byte of the answer or giving up
        pa.field("scheduled_at", pa.float64(), nullable=False),
        pa.field("sent_at", pa.float64(), nullable=False),
        pa.field("done_at", pa.float64(), nullable=False),
        # of HTTP; 0 when no HTTP answer came
        pa.field("status", pa.int16(), nullable=False),
        # null for a usable answer, else a short stable phrase: timeout, connection refused, http 503, ...
        pa.field("error", pa.dictionary(pa.int32(), pa.string())),
        # the answer as text; null when there was no usable one
        pa.field("prediction", pa.string()),
        # prediction equals label; False for an error; null where correctness is not yes or no
        pa.field("correct", pa.bool_()),
        # the answer equals the one that this version gave to the row without load; False, too, for one
        # that came broken; null when there is no such baseline answer or no answer
        pa.field("matches", pa.bool_()),
        # index of the worker that sent it
        pa.field("worker", pa.int16(), nullable=False),
        # its x-request-id, where it failed or did not match; null for all others, or ids would fill the file
        pa.field("request_id", pa.string()),
        # the answer to the row without load, where it did not match, else null
        pa.field("baseline", pa.string()),
        # this version was asked for the row before the load, so that a cache may hold its answer; null where
        # it was asked in the warm-up alone, or where it is not known
        pa.field("asked_before", pa.bool_()),
        # probabilities in the order of ``Dataset.classes``, or one score; null where no gate needs them
        pa.field("scores", pa.list_(pa.float32())),
        # of a ranking, the items of the answer, the best first; null where there is no answer
        pa.field("ranking", pa.list_(pa.string())),
    ]
)
_LATER = ("request_id", "baseline", "asked_before", "scores", "ranking")
_KEY, _FACTS = "samples", "facts"


class SampleSet:
    """An immutable set of samples: an Arrow table of ``SCHEMA`` with NumPy views of its columns.

    Example:
        >>> samples = SampleSet.read(Path("results/latest/samples.parquet"))
        >>> np.quantile(samples.of("candidate").latency, 0.99)  # seconds, from the intended send
    """

    def __init__(self, table: pa.Table, digest: str | None = None) -> None:
        self.table = table.combine_chunks()
        self.digest = digest
        """SHA-256 of the file that these samples were read from, in hexadecimal; None: of no file."""

    @classmethod
    def empty(cls) -> SampleSet:
        """No samples."""
        return cls(SCHEMA.empty_table())

    @classmethod
    def concat(cls, sets: Iterable[SampleSet]) -> SampleSet:
        """Join several sets, in the order given."""
        tables = [s.table for s in sets]
        return cls(pa.concat_tables(tables).unify_dictionaries()) if tables else cls.empty()

    @classmethod
    def from_bytes(cls, data: bytes) -> SampleSet:
        """Decode what ``to_bytes`` encoded."""
        # small pieces, and beside a running load: waiting for other threads would hold the load up
        return cls(pa.ipc.open_stream(data, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all())

    def to_bytes(self) -> bytes:
        """Encode as an Arrow IPC stream, for the way from a worker to the master."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with pa.ipc.new_stream(sink, SCHEMA, options=options) as writer:
            writer.write_table(self.table.cast(SCHEMA))
        return bytes(sink.getvalue())

    @classmethod
    def read(cls, path: Path) -> SampleSet:
        """Read ``samples.parquet``, against the checksum beside it where there is one.

        Raises:
            UsageError: the file is absent or no sample file, differs from what was written, or holds what
                cannot be.
        """
        try:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            stated = _stated(path)
            if stated not in (None, digest):
                raise UsageError(
                    f"{path}: not what was measured, its SHA-256 is not the one in {checksum_of(path).name}; "
                    "take the file from a copy of the run, or measure again"
                )
            table = pq.read_table(pa.BufferReader(content))
            for name in _LATER:  # absent in older runs
                if name not in table.column_names:
                    table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
            samples = cls(table.select(SCHEMA.names).cast(SCHEMA), digest)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{path}: not a readable sample file ({reason})") from error
        if wrong := problem(samples.table):
            raise UsageError(f"{path}: no samples of a run: {wrong}")
        return samples

    def write(self, path: Path) -> None:
        """Write Parquet, whole or not at all, and beside it the checksum as ``sha256sum`` writes it."""
        partial = path.with_name(path.name + ".partial")
        pq.write_table(self.table, partial, compression="zstd")
        move_checked(partial, path)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def of(self, role: Role) -> SampleSet:
        """The samples of one version."""
        return self.where(self.is_role(role))

    def later(self, seconds: float) -> SampleSet:
        """The same samples, every moment ``seconds`` later."""
        table = self.table
        for name in ("scheduled_at", "sent_at", "done_at"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), pc.add(table[name], seconds))
        return SampleSet(table)

    def without_lists(self) -> SampleSet:
        """The same samples with neither scores nor rankings, which whoever follows a run does not need."""
        table = self.table
        for name in ("scores", "ranking"):
            place = SCHEMA.get_field_index(name)
            none = pa.nulls(len(self), SCHEMA.field(place).type)
            table = table.set_column(place, SCHEMA.field(place), none)
        return SampleSet(table, self.digest)

    @property
    def scored(self) -> bool:
        """Whether any sample has scores."""
        return bool(self.table["scores"].null_count < len(self))

    @property
    def scores_each(self) -> int:
        """The most scores that a sample has."""
        return int(pc.max(pc.list_value_length(self.table["scores"])).as_py() or 0)

    def where(self, mask: NDArray[np.bool_]) -> SampleSet:
        """The samples at which ``mask`` (shape: one per sample) is true."""
        return SampleSet(self.table.filter(pa.array(mask)))

    def is_role(self, role: Role) -> NDArray[np.bool_]:
        """Per sample: was it asked of ``role``."""
        return self._numpy(pc.equal(self.table["role"].cast(pa.string()), role))

    @cached_property
    def row(self) -> NDArray[np.int32]:
        """Evaluation-set row of each sample."""
        return self._numpy(self.table["row"])

    @cached_property
    def scheduled_at(self) -> NDArray[np.float64]:
        """Intended sends, seconds since the run began."""
        return self._numpy(self.table["scheduled_at"])

    @cached_property
    def sent_at(self) -> NDArray[np.float64]:
        """True sends, seconds since the run began."""
        return self._numpy(self.table["sent_at"])

    @cached_property
    def done_at(self) -> NDArray[np.float64]:
        """Ends, seconds since the run began."""
        return self._numpy(self.table["done_at"])

    @cached_property
    def latency(self) -> NDArray[np.float64]:
        """``done_at - scheduled_at`` in seconds: from the *intended* send, so that no stall can hide."""
        return self.done_at - self.scheduled_at

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """Per sample: no usable answer came."""
        return self._numpy(pc.is_valid(self.table["error"]))

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Per sample: the prediction equals the label; an error is a wrong answer."""
        return self._numpy(pc.fill_null(self.table["correct"], False))

    @cached_property
    def mismatch(self) -> NDArray[np.bool_]:
        """Per sample: it has a baseline answer and differs from it."""
        return self._numpy(pc.invert(pc.fill_null(self.table["matches"], True)))

    def errors(self) -> dict[str, int]:
        """How many samples failed in which way, by the phrase of the error, the most frequent first."""
        kinds = pc.value_counts(self.table["error"].cast(pa.string()).drop_null()).to_pylist()
        return {k["values"]: k["counts"] for k in sorted(kinds, key=lambda k: (-k["counts"], k["values"]))}

    @staticmethod
    def _numpy(column: Any) -> NDArray[Any]:
        return np.asarray(
            column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
        )


def checksum_of(path: Path) -> Path:
    """The file beside a sample file that holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


def move_checked(partial: Path, path: Path) -> None:
    """Move a sample file that is whole to its name, and write the checksum beside it."""
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # without the old one until the new file is there: a checksum of other samples would refuse them
    checksum_of(path).unlink(missing_ok=True)
    partial.replace(path)
    checksum_of(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def _stated(path: Path) -> str | None:
    """The SHA-256 that stands beside a sample file; None: none does, as in older runs."""
    try:
        return (checksum_of(path).read_text(encoding="utf-8").split() or [""])[0]
    except FileNotFoundError:
        return None


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
