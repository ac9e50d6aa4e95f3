"""Samples: the raw record of a run, one per row that was sent, and their Parquet codec.

A request of several rows is as many samples, which share all that is about the request; ``first`` is one of
each.

Everything a verdict, a table or a chart says is derived from these columns. Samples travel from workers
to the master as Arrow IPC bytes and rest in ``samples.parquet``; a sample is never dropped, rounded or
aggregated on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loadtest.data.sample_checks import problem_of
from loadtest.data.sample_file import SampleFile, move_checked
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
        # of a request of several rows: the place of this one in it, from 0, and how many they are; else null
        pa.field("place", pa.int16()),
        pa.field("request_rows", pa.int16()),
        # the values of ``Data.outputs``, in their order; null where there are none, or no answer
        pa.field("outputs", pa.list_(pa.float64())),
        # with ``Load.timings``, where the request's time went: seconds of dns, connect, tls, send, wait and
        # receive, null for a part that it did not have; of a run without, null
        pa.field("timings", pa.list_(pa.float32())),
    ]
)
_LATER = (
    *("request_id", "baseline", "asked_before", "scores", "ranking", "place", "request_rows", "outputs"),
    "timings",
)
_Number = TypeVar("_Number", bound=np.generic)


class SampleSet:
    """An immutable set of samples, in an Arrow table of ``SCHEMA`` or in a file: its columns as NumPy arrays.

    A column of a file is read each time it is asked for.

    Example:
        >>> samples = SampleSet.read(Path("results/latest/samples.parquet"))
        >>> np.quantile(samples.of("candidate").latency, 0.99)  # seconds, from the intended send
    """

    def __init__(self, samples: pa.Table | SampleFile, digest: str | None = None) -> None:
        self._file = samples if isinstance(samples, SampleFile) else None
        if isinstance(samples, pa.Table):
            self.table = samples.combine_chunks()
        self.digest = digest or (self._file.digest if self._file else None)
        """SHA-256 of the file that these samples were read from, in hexadecimal; None: of no file."""

    @cached_property
    def table(self) -> pa.Table:
        """All columns, shape (samples,); of a file they are read when this is first asked for, and kept."""
        return self._file.table().combine_chunks() if self._file else SCHEMA.empty_table()

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
        """Check ``samples.parquet``, also against the checksum beside it where there is one.

        Raises:
            UsageError: the file is absent or no sample file, differs from what was written, or holds what
                cannot be.
        """
        try:
            samples = cls(SampleFile(path, SCHEMA, _LATER))
            wrong = problem_of(samples.parts, SCHEMA.names)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{path}: not a readable sample file ({reason})") from error
        if wrong:
            raise UsageError(f"{path}: no samples of a run: {wrong}")
        return samples

    def write(self, path: Path) -> None:
        """Write Parquet, whole or not at all, and beside it the checksum as ``sha256sum`` writes it."""
        partial = path.with_name(path.name + ".partial")
        pq.write_table(self.table, partial, compression="zstd")
        move_checked(partial, path)

    def __len__(self) -> int:
        return self._file.rows if self._file else int(self.table.num_rows)

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
        """The same samples without their lists of numbers or items, which who follows a run does not need."""
        table = self.table
        for name in ("scores", "ranking", "outputs", "timings"):
            place = SCHEMA.get_field_index(name)
            none = pa.nulls(len(self), SCHEMA.field(place).type)
            table = table.set_column(place, SCHEMA.field(place), none)
        return SampleSet(table, self.digest)

    def parts(self, *names: str) -> Iterator[pa.Table]:
        """These columns of all samples, in pieces that fit into memory; texts may be a dictionary."""
        read = self._file if "table" not in self.__dict__ else None
        return read.parts(names) if read else iter([self.table.select(names)])

    @property
    def several(self) -> bool:
        """Whether any request had several rows."""
        return any(chunk.null_count < len(chunk) for chunk in self.chunks("place"))

    def first(self) -> SampleSet:
        """One sample per request, that of its first row."""
        if not self.several:
            return self
        return self.where(self.array("place", lambda chunk: pc.fill_null(chunk, 0), np.int16) == 0)

    @property
    def timed(self) -> bool:
        """Whether any sample says where the time of its request went."""
        return any(chunk.null_count < len(chunk) for chunk in self.chunks("timings"))

    @property
    def scored(self) -> bool:
        """Whether any sample has scores."""
        return any(chunk.null_count < len(chunk) for chunk in self.chunks("scores"))

    def longest(self, name: str) -> int:
        """The most numbers that a sample has in a column of lists, ``scores`` or ``outputs``."""
        longest = (pc.max(pc.list_value_length(chunk)).as_py() or 0 for chunk in self.chunks(name))
        return int(max(longest, default=0))

    def where(self, mask: NDArray[np.bool_]) -> SampleSet:
        """The samples at which ``mask`` (shape: one per sample) is true."""
        return SampleSet(self.table.filter(pa.array(mask)))

    def is_role(self, role: Role) -> NDArray[np.bool_]:
        """Per sample: was it asked of ``role``."""

        def asked(chunk: pa.DictionaryArray) -> NDArray[np.bool_]:
            known = np.array([name == role for name in chunk.dictionary.to_pylist()], dtype=bool)
            return np.asarray(known[np.asarray(chunk.indices)])

        return self.array("role", asked, np.bool_)

    @property
    def row(self) -> NDArray[np.int32]:
        """Evaluation-set row of each sample."""
        return self.array("row", np.asarray, np.int32)

    @property
    def worker(self) -> NDArray[np.int16]:
        """Index of the worker that sent each sample."""
        return self.array("worker", np.asarray, np.int16)

    @property
    def scheduled_at(self) -> NDArray[np.float64]:
        """Intended sends, seconds since the run began."""
        return self.array("scheduled_at", np.asarray, np.float64)

    @property
    def sent_at(self) -> NDArray[np.float64]:
        """True sends, seconds since the run began."""
        return self.array("sent_at", np.asarray, np.float64)

    @property
    def done_at(self) -> NDArray[np.float64]:
        """Ends, seconds since the run began."""
        return self.array("done_at", np.asarray, np.float64)

    @property
    def latency(self) -> NDArray[np.float64]:
        """``done_at - scheduled_at`` in seconds: from the *intended* send, so that no stall can hide."""
        return self.done_at - self.scheduled_at

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Per sample: no usable answer came."""
        return self.array("error", pc.is_valid, np.bool_)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Per sample: the prediction equals the label; an error is a wrong answer."""
        return self.array("correct", lambda chunk: pc.fill_null(chunk, False), np.bool_)

    @property
    def mismatch(self) -> NDArray[np.bool_]:
        """Per sample: it has a baseline answer and differs from it."""
        return self.array("matches", lambda chunk: pc.invert(pc.fill_null(chunk, True)), np.bool_)

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Per sample: it has a baseline answer to be held against."""
        return self.array("matches", pc.is_valid, np.bool_)

    def errors(self, role: Role | None = None) -> dict[str, int]:
        """How many requests, to one role or to all, failed in which way: by the phrase of the error, the most
        frequent first."""
        kinds: Counter[str] = Counter()
        for part in self.parts("role", "error", "place"):
            failed = part.filter(
                pc.and_(pc.is_valid(part["error"]), pc.equal(pc.fill_null(part["place"], 0), 0))
            )
            if role is not None:
                failed = failed.filter(pc.equal(failed["role"].cast(pa.string()), role))
            kinds.update(failed["error"].cast(pa.string()).to_pylist())
        return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """One column, a piece after the other."""
        return (chunk for part in self.parts(name) for chunk in part[name].chunks)

    def array(self, name: str, convert: Callable[[pa.Array], Any], kind: type[_Number]) -> NDArray[_Number]:
        """One column, shape (samples,), each piece of it as ``convert`` makes it."""
        if (
            self._file is None and self.table[name].num_chunks == 1
        ):  # a view, where the piece is one of numbers
            return np.asarray(convert(self.table[name].chunk(0)))
        found, at = np.empty(len(self), kind), 0
        for chunk in self.chunks(name):
            found[at : at + len(chunk)] = np.asarray(convert(chunk))
            at += len(chunk)
        return found
