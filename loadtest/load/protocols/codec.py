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
from dataclasses import fields
from typing import Any, ClassVar, Self, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.target import Target

PROTOCOLS: dict[str, type[Codec]] = {}
"""Every protocol's codec by the protocol's name."""


_SAYS_AN_ERROR = {"error", "errors", "detail", "message", "exception"}


class NoAnswer(ValueError):  # noqa: N818 - it names what came
    """What stands where the prediction should be is the report of an error; its text is the message."""


class Codec(ABC):
    """What the load side needs to know of a protocol; subclasses are frozen dataclasses of texts."""

    protocol: ClassVar[str]
    content_type: ClassVar[str] = "application/json"
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
        return cls(model)  # type: ignore[call-arg]

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

    @property
    def words(self) -> dict[str, Any]:
        """The protocol and the arguments, for the way to a worker, which makes an equal codec of them."""
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
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
    try:
        data = orjson.loads(body)
        for key in keys:
            data = data[key]
    except (LookupError, TypeError) as error:
        raise ValueError(f"no {'.'.join(map(str, keys))} in the answer") from error
    return single(data)


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


def refuse_error(data: Any) -> None:
    """Raise where decoded JSON is the report of an error.

    Raises:
        NoAnswer: it is one.
    """
    if isinstance(data, dict) and _SAYS_AN_ERROR.intersection(data):
        raise NoAnswer(orjson.dumps(data).decode())
