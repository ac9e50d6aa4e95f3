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

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.data.ranking_text import ranking_text
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.target import Target
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.ranked_items import NoAnswer, ranked_items, refuse_error, says_an_error

PROTOCOLS: dict[str, type[Codec]] = {}
"""Every protocol's codec by the protocol's name."""


Scores = tuple[float, ...]
_SCORES = ("scores", "score", "probabilities", "probability", "predict_proba")
_LABELS = ("predicted_label", "label", "prediction", "predict", "class")


@dataclass(frozen=True)
class Codec(ABC):
    """What the load side needs to know of a protocol; subclasses are frozen dataclasses of texts.

    Args:
        scores: how to read the scores of answers; None: nobody needs them.
        ranking: the output that is a ranked list; empty: the answer itself; None: answers are no rankings.
    """

    scores: ClassScores | None = field(default=None, kw_only=True)
    ranking: str | None = field(default=None, kw_only=True)
    protocol: ClassVar[str]
    content_type: ClassVar[str] = "application/json"
    transport: ClassVar[str] = "http"
    """What carries bodies: ``http`` or ``grpc``."""
    typed: ClassVar[bool] = False
    """Whether ``encode`` takes the cells as the file has them; else those of a matrix as floats."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """The keys of ``[target]`` that only some protocols take, of which this is one."""
    remedy: ClassVar[str] = "name another --protocol"
    """What to do where the server answers, but not so."""

    @classmethod
    def check_target(cls, target: Target) -> None:
        """Refuse, before anything is asked, what an experiment says and this protocol cannot do.

        Raises:
            ExperimentError: a key is missing, too many, or not readable.
        """
        for key in ("path", "body", "answer"):
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
        return self.encode(dataset.typed_row(row) if self.typed else dataset.row(row))

    @abstractmethod
    def encode(self, row: Sequence[Any]) -> bytes:
        """The body of the request for one row, which is as ``Dataset.row`` gives it, or ``typed_row``."""

    @abstractmethod
    def decode(self, body: bytes) -> str:
        """The prediction in the body of an answer, as ``label_text`` writes it.

        Raises:
            ValueError: it is not an answer to one row; NoAnswer where it reports an error instead.
        """

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """The same codec, which asks for scores and reads them, too.

        Args:
            classes: the labels in the order in which samples have their scores.
            named: the experiment names them, in this order.
            ask: as for ``for_model``.

        Raises:
            ExperimentError: this model, or every model of this protocol, gives none.
            TargetError: as ``for_model``.
        """
        raise ExperimentError(f"the protocol {self.protocol} gives no scores; gate accuracy instead")

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:  # noqa: ARG002 - see ``scored``
        """The prediction and the scores in the body of an answer, of a codec that ``scored`` made.

        Raises:
            ValueError: as ``decode``, or there are no scores, or not those of the classes.
        """
        raise ValueError("no scores")

    def ranked(self, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002 - most give it unasked
        """The same codec, whose answers are rankings.

        Args:
            ask: as for ``for_model``.

        Raises:
            ExperimentError: this model gives none.
            TargetError: as ``for_model``.
        """
        return replace(self, ranking="")

    def ranked_part(self, body: bytes) -> Any:
        """Of the body of an answer, the decoded JSON that is a ranking, in however many lists and names.

        Raises:
            ValueError: there is none.
        """
        return part(body)

    def read(self, body: bytes) -> tuple[str, Scores | None]:
        """The prediction, and the scores where they are needed; raises as ``decode``.

        Of a ranking, the prediction is its text: see ``loadtest.data.ranking_text``.
        """
        if self.ranking is not None:
            return ranking_text(ranked_items(self.ranked_part(body))), None
        if self.scores is None:
            return self.decode(body), None
        label, scores = self.decode_scores(body)
        return (label if self.scores.threshold is None else self.scores.label(scores)), scores

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


def prediction(body: bytes, *keys: str | int) -> str:
    """The one prediction in a JSON answer to one row: below ``keys``, in however many lists and names.

    Raises:
        ValueError: there is none, or more than one.
    """
    return single(part(body, *keys))


def part(body: bytes, *keys: str | int) -> Any:
    """What stands below ``keys`` in a JSON answer.

    Raises:
        ValueError: there is nothing.
    """
    try:
        data = orjson.loads(body)
        for key in keys:
            data = data[key]
    except (LookupError, TypeError) as error:
        raise ValueError(f"no {'.'.join(map(str, keys))} in the answer") from error
    return data


def one(rows: Any) -> Any:
    """The answer to the one row that was sent.

    Raises:
        ValueError: there is none, or more than one.
    """
    if not isinstance(rows, list) or len(rows) != 1:
        count = len(rows) if isinstance(rows, list) else "no"
        raise ValueError(f"{count} elements where one prediction is expected")
    return rows[0]


def scored(data: Any, classes: ClassScores) -> tuple[str, Scores]:
    """The one prediction and its scores in decoded JSON, in however many lists and names.

    Scores are one number, a list, or stand under the names of the classes; beside a label or alone.

    Raises:
        ValueError: there are none, or not those of the classes; NoAnswer where an error stands there.
    """
    label, beside = None, False
    while isinstance(data, dict) or (isinstance(data, list) and len(data) == 1 and _is_deep(data[0])):
        if isinstance(data, list):
            (data,) = data
        elif name := next((name for name in _SCORES if name in data), None):
            label = next((single(data[key]) for key in _LABELS if key in data), label)
            data, beside = data[name], True
        elif says_an_error(data):
            raise NoAnswer(orjson.dumps(data).decode())
        elif found := classes.by_name(data):
            return label or classes.label(found), found
        elif len(data) == 1:
            (data,) = data.values()
        else:
            raise ValueError(f"no scores under {', '.join(data)}")
    numbers = data if isinstance(data, list) else [data]
    bare = len(numbers) == 1 and not beside and not isinstance(numbers[0], float)
    # where a threshold makes the labels, 1 is a score that was rounded
    if bare and (classes.threshold is None or numbers[0] not in (0, 1)):
        raise ValueError(f"{numbers[0]!r} is a label, and no score")
    scores = classes.ordered(numbers)
    return classes.label(scores) if label is None else label, scores


def _is_deep(data: Any) -> bool:
    return isinstance(data, list | dict)


def single(data: Any) -> str:
    """The one prediction in decoded JSON; see ``prediction``."""
    while isinstance(data, list | dict):
        if isinstance(data, dict) and "predicted_label" in data:  # beside its score
            data = data["predicted_label"]
            continue
        refuse_error(data)
        if len(data) != 1:
            raise ValueError(f"{len(data)} elements where one prediction is expected")
        (data,) = data.values() if isinstance(data, dict) else data
    return label_text(data)
