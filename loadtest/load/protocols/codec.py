"""The contract of a protocol: a row becomes the body of a request, the body of an answer a prediction.

::

    @register("mine")
    @dataclass(frozen=True)
    class Mine(Codec):
        model: str
        path = "/predict"

        def encode(self, row): return orjson.dumps({"model": self.model, "row": row})
        def decode(self, body): return prediction(body, "label")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.data.ranking_text import ranking_text
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.target import Target
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.json_answers import Scores, part, rows_of, scored, single
from loadtest.load.protocols.named_values import named_values
from loadtest.load.protocols.ranked_items import ranked_items

PROTOCOLS: dict[str, type[Codec]] = {}
"""Every protocol's codec by the protocol's name."""


class NoScores(ExperimentError):  # noqa: N818 - it says what there is
    """Answers have no scores; whoever needs them knows what to do without."""


@dataclass(frozen=True)
class Codec(ABC):
    """What the load side needs to know of a protocol; subclasses are frozen dataclasses of texts.

    Args:
        scores: how to read the scores of answers; None: nobody needs them.
        ranking: the output that is a ranked list; empty: the answer itself; None: answers are no rankings.
        named: outputs whose values are read; the first one is the prediction, where the answer has no other.
    """

    scores: ClassScores | None = field(default=None, kw_only=True)
    ranking: str | None = field(default=None, kw_only=True)
    named: tuple[str, ...] = field(default=(), kw_only=True)
    protocol: ClassVar[str]
    transport: ClassVar[str] = "http"
    """What carries bodies: ``http`` or ``grpc``."""
    typed: ClassVar[bool] = False
    """Whether ``encode`` takes the cells as the file has them; else those of a matrix as floats."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """The keys of ``[target]`` that only some protocols take, of which this is one."""
    remedy: ClassVar[str] = "name another --protocol"
    """What to do where the server answers, but not so."""
    scores_remedy: ClassVar[str] = "let it answer with probabilities"
    """What to do where the answers hold no scores."""

    @classmethod
    def check_target(cls, target: Target) -> None:
        """Refuse, before anything is asked, what an experiment says and this protocol cannot do.

        Raises:
            ExperimentError: a key is missing, too many, or not readable.
        """
        for key in ("path", "body", "answer", "scores", "encoding", "method"):
            if getattr(target, key) is not None and key not in cls.takes:
                raise ExperimentError(
                    f"[target] {key}: the protocol {cls.protocol} has its own; leave it out, or write "
                    'protocol = "template"'
                )

    @classmethod
    def for_target(
        cls,
        target: Target,
        model: str,
        features: Sequence[str],
        ask: Callable[[str], Any],
    ) -> Self:
        """The codec for one server of a target; arguments and errors are those of ``for_model``."""
        cls.check_target(target)
        return cls.for_model(model, features, ask)

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """The codec for a model on a server; here for protocols whose only argument is the model's name.

        Args:
            model: what the server calls it.
            features: names of the feature columns, in the order in which they are sent.
            ask: gives the decoded JSON that the server answers to a GET of a path.

        Raises:
            TargetError: the server does not answer, or the model takes what this codec cannot send.
            ExperimentError: the model takes other features than the evaluation set has.
        """
        return cls(model)  # type: ignore[call-arg, arg-type]

    @property
    @abstractmethod
    def path(self) -> str:
        """Where requests go, below the target's base URL."""

    @property
    def content_type(self) -> str:
        """Of the bodies; empty: requests have none."""
        return "application/json"

    @property
    def method(self) -> str:
        """Of the requests for predictions."""
        return "POST"

    @property
    def in_query(self) -> bool:
        """Whether what ``encode`` makes is no body, and belongs into the URL, after its question mark."""
        return False

    def check(self, dataset: Dataset) -> None:
        """Make sure that every cell of the evaluation set arrives as it is; JSON takes all but infinity.

        Raises:
            UsageError: one does not; the message names the column.
        """
        if dataset.matrix is not None:
            return
        for name, cells in zip(dataset.names, dataset.sent.columns, strict=True):
            if pa.types.is_floating(cells.type) and pc.any(pc.is_inf(cells)).as_py():
                raise DatasetError(
                    f"{dataset.path}: column {name!r} has infinite cells, which JSON cannot say; "
                    "send finite numbers"
                )

    def body_of(self, dataset: Dataset, row: int) -> bytes:
        """The body of the request for a row of the evaluation set."""
        return self.encode(self.cells_of(dataset, row))

    def cells_of(self, dataset: Dataset, row: int) -> list[Any]:
        """A row of the evaluation set, as ``encode`` takes it."""
        return dataset.typed_row(row) if self.typed else dataset.row(row)

    @abstractmethod
    def encode(self, row: Sequence[Any]) -> bytes:
        """The body of the request for one row, which is as ``Dataset.row`` gives it, or ``typed_row``."""

    @abstractmethod
    def decode(self, body: bytes) -> str:
        """The prediction in the body of an answer, as ``label_text`` writes it.

        Raises:
            ValueError: it is not an answer to one row; NoAnswer where it reports an error instead.
        """

    def check_several(self, rows: int) -> None:  # noqa: ARG002 - what takes several, takes any number
        """Make sure that a request can have several rows.

        Raises:
            ExperimentError: it cannot.
        """
        if type(self).encode_rows is Codec.encode_rows:
            raise ExperimentError(
                f"the protocol {self.protocol} sends one row per request; leave out [load] rows_per_request"
            )

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """The body of the request for several rows, each as ``encode`` takes it."""
        (row,) = rows
        return self.encode(row)

    def read_rows(self, body: bytes, count: int) -> list[tuple[str, Scores | None]]:
        """As ``read``, of the answer to ``count`` rows, in their order.

        Raises:
            ValueError: as ``read``, or there are more answers, or fewer.
        """
        return [self.read_row(row) for row in rows_of(self.answers(body), count)]

    def answers(self, body: bytes) -> Any:  # noqa: ARG002 - see ``read_rows``
        """Of the body of an answer to several rows the decoded JSON that is a list of the rows' own."""
        raise ValueError("no answers to several rows")

    def read_row(self, answer: Any) -> tuple[str, Scores | None]:
        """What one row's own answer says, in decoded JSON; see ``read``."""
        if self.ranking is not None:
            return ranking_text(ranked_items(answer)), None
        if self.scores is None:
            return single(answer), None
        return self.judged(*scored(answer, self.scores))

    def judged(self, label: str, scores: Scores) -> tuple[str, Scores]:
        """A label and its scores; where there is a threshold, it makes the label."""
        return (label if self.reader.threshold is None else self.reader.label(scores)), scores

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """The same codec, which asks for scores and reads them, too.

        Samples have their scores in the order of ``classes``; ``named``: the experiment names them, in this
        order.

        Raises:
            NoScores: this model, or every model of this protocol, gives none.
            ExperimentError: those that it gives are not of these classes.
            TargetError: as ``for_model``.
        """
        raise NoScores(f"the protocol {self.protocol} gives no scores")

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:  # noqa: ARG002 - see ``scored``
        """The prediction and the scores in the body of an answer, of a codec that ``scored`` made.

        Raises:
            ValueError: as ``decode``, or there are no scores, or not those of the classes.
        """
        raise ValueError("no scores")

    def ranked(self, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002 - most give it unasked
        """The same codec, whose answers are rankings.

        Raises:
            ExperimentError: this model gives none.
            TargetError: as ``for_model``.
        """
        return replace(self, ranking="")

    def ranked_part(self, body: bytes) -> Any:
        """Of the body of an answer, the decoded JSON that is a ranking or has the named outputs, in however
        many lists and names.

        Raises:
            ValueError: there is none.
        """
        return part(body)

    def with_outputs(self, names: tuple[str, ...], ask: Callable[[str], Any]) -> Self:  # noqa: ARG002 - as above
        """The same codec, which reads the values of outputs, too.

        Samples have their values in the order of ``names``.

        Raises:
            ExperimentError: the model says that it has no such output.
            TargetError: as ``for_model``.
        """
        return replace(self, named=names)

    def decode_outputs(self, body: bytes) -> tuple[str, Scores]:
        """The prediction and the values of ``named`` in the body of an answer.

        Raises:
            ValueError: as ``decode``, or an output is not there or no number.
        """
        values = named_values(self.ranked_part(body), self.named)
        return label_text(values[0]), values

    def read(self, body: bytes) -> tuple[str, Scores | None]:
        """The prediction, and the scores or the values of named outputs where they are needed.

        Raises as ``decode``. Of a ranking, the prediction is its text: see ``loadtest.data.ranking_text``.
        """
        if self.ranking is not None:
            return ranking_text(ranked_items(self.ranked_part(body))), None
        if self.named:
            return self.decode_outputs(body)
        if self.scores is None:
            return self.decode(body), None
        return self.judged(*self.decode_scores(body))

    @property
    def reader(self) -> ClassScores:
        """Of a codec that ``scored`` made."""
        if self.scores is None:
            raise TypeError("this codec reads no scores")
        return self.scores

    @property
    def words(self) -> dict[str, Any]:
        """The protocol and the arguments, for the way to a worker, which makes an equal codec of them."""
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.scores is not None:
            arguments["scores"] = asdict(self.scores)
        return {"protocol": self.protocol, **arguments}


_C = TypeVar("_C", bound=Codec)


def register(name: str) -> Callable[[type[_C]], type[_C]]:
    """Make a codec known under its protocol's name."""

    def known(codec: type[_C]) -> type[_C]:
        codec.protocol = name
        PROTOCOLS[name] = codec
        return codec

    return known
