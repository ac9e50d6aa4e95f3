"""The Open Inference Protocol v2 over REST.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import quote

import orjson

from contract.counted import counted
from contract.datatypes import FLOATS, INTEGERS
from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.data.input_checks import check_cells
from loadtest.errors import ExperimentError, TargetError
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec, NoScores, register
from loadtest.load.protocols.json_answers import Scores, part, scored, single
from loadtest.load.protocols.named_values import named_values
from loadtest.load.protocols.oip_tensors import (
    MOST_NAMED,
    by_rows,
    column_tensor,
    filled,
    items_of,
    named_shortly,
    no_metadata,
    outputs_in,
    places_of,
    shape_of,
)

_ANY_TENSOR = "input-0"
_LABEL = "predict"
_RANKINGS = ("ranking", "ranked_items", "recommendations", "items", "item_ids", "ids", "top_k")
"""Names of outputs that are ranked lists; the first one is that of Loadproof's own server."""
_SCORES = ("predict_proba", "probabilities", "probability", "output_probability", "scores", "score")
"""Names of outputs that are scores; the first one is MLServer's, whose metadata names no outputs."""


@register("oip")
@dataclass(frozen=True)
class OpenInference(Codec):
    """The Open Inference Protocol v2: one matrix tensor, or one tensor per column.

    ::

        OpenInference("shop", "features", "FP64")
        OpenInference("shop", ("city", "age"), ("BYTES", "FP64"), (3, 0))
        OpenInference("digits", "image", "FP32", shape=(1, 8, 8))

    Args:
        model: the model's name in the path.
        tensor: the name of its matrix, or the names of its columns.
        datatype: of the matrix, or of each column.
        places: where the features stand in a row, in the model's order; empty: the row is all of them.
        shape: of one element of the batch, where it is no list of the features.
        tensors_read: of ``named``, the output tensors to ask for, that of the prediction first; empty: all.
    """

    model: str
    tensor: str | tuple[str, ...]
    datatype: str | tuple[str, ...]
    places: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    tensors_read: tuple[str, ...] = field(default=(), kw_only=True)

    @staticmethod
    def metadata_path(model: str) -> str:
        """Where the model says what its input is."""
        return f"/v2/models/{quote(model, safe='')}"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:
        """The codec that fits the model's metadata; a model without any takes what comes."""
        metadata = ask(cls.metadata_path(model))
        if isinstance(metadata, dict) and not metadata.get("inputs"):
            return cls(model, _ANY_TENSOR, "FP64")
        return cls.from_metadata(model, metadata, features)

    @classmethod
    def from_metadata(cls, model: str, metadata: Any, features: Sequence[str]) -> Self:
        """Read what a server says of its model: the decoded answer to ``metadata_path``."""
        try:
            inputs = [(i["name"], str(i["datatype"]), shape_of(i["shape"])) for i in metadata["inputs"]]
            named = (metadata.get("parameters") or {}).get("columns")
        except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
            raise no_metadata(model) from None
        for name, datatype, _ in inputs:
            if datatype not in {*FLOATS, *INTEGERS, "BOOL", "BYTES"}:
                raise TargetError(
                    f"model {model!r}: its input {name!r} is of datatype {datatype}, which is unknown"
                )
        if not inputs:
            raise TargetError(f"model {model!r}: its metadata names no input")
        name, datatype, shape = inputs[0]
        if len(inputs) > 1 or len(shape) == 1 or datatype in ("BOOL", "BYTES"):
            return cls._by_columns(model, inputs, features)
        if named:
            places = places_of(model, named, features)
            # the usual case stays short: the row is the model's, as it is
            return cls(model, name, datatype, () if list(named) == list(features) else places)
        if len(shape) > 2 and (each := filled(shape[1:], len(features))):
            return cls(model, name, datatype, shape=each)
        if shape and shape[-1] not in (-1, len(features)):
            raise ExperimentError(
                f"model {model!r} takes {counted(shape[-1], 'feature')}, the evaluation set has "
                f"{len(features)} ({', '.join(features)}); name the right columns under [data] features"
            )
        return cls(model, name, datatype)

    @classmethod
    def _by_columns(
        cls, model: str, inputs: Sequence[tuple[str, str, list[int]]], features: Sequence[str]
    ) -> Self:
        for name, _, shape in inputs:
            if len(shape) > 2 or shape[1:] not in ([], [1], [-1]):
                raise TargetError(
                    f"model {model!r}: its input {name!r} has the shape {shape}; one matrix of all "
                    "features, or one tensor of shape [-1] or [-1, 1] per column is needed"
                )
        names = tuple(name for name, _, _ in inputs)
        datatypes = tuple(datatype for _, datatype, _ in inputs)
        # Triton refuses [1] where its metadata says [-1, 1]
        deep = (1,) if all(len(shape) == 2 for _, _, shape in inputs) else ()
        return cls(model, names, datatypes, places_of(model, names, features), deep)

    def check(self, dataset: Dataset) -> None:
        """Hold the datatypes against every cell of the columns that this model is sent."""
        names = [dataset.names[place] for place in self.places or range(len(dataset.names))]
        if isinstance(self.datatype, str):
            if self.datatype == "FP64" and dataset.matrix is not None:
                return
            check_cells(f"model {self.model!r}", dataset, dict.fromkeys(names, self.datatype), gaps=False)
        else:
            datatypes = dict(zip(names, self.datatype, strict=True))
            check_cells(f"model {self.model!r}", dataset, datatypes, gaps=True)

    @property
    def path(self) -> str:
        """The infer endpoint."""
        return f"{self.metadata_path(self.model)}/infer"

    def encode(self, row: Sequence[Any]) -> bytes:
        """One row as one tensor of shape (1, features), or as a tensor of shape (1,) or (1, 1) per column."""
        return self.encode_rows([row])

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """The tensors of several rows."""
        tensors, more = self.tensors(rows)
        return orjson.dumps({"inputs": tensors, **more})

    def tensors(self, rows: Sequence[Sequence[Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The inputs of a request for these rows, and what stands beside them."""
        if self.places:
            rows = [[row[place] for place in self.places] for row in rows]
        if isinstance(self.tensor, str):
            number = int if self.datatype in INTEGERS else float
            data = [number(cell) for row in rows for cell in row]
            shape = [len(rows), *(self.shape or (len(rows[0]),))]
            tensor = {"name": self.tensor, "shape": shape, "datatype": self.datatype, "data": data}
            return [tensor], self._wanted
        shape = [len(rows), *self.shape]
        columns = zip(self.tensor, self.datatype, zip(*rows, strict=True), strict=True)
        inputs = [column_tensor(*column, shape) for column in columns]
        # MLServer's word for a data frame of these columns
        return inputs, {"parameters": {"content_type": "pd"}, **self._wanted}

    def outputs(self, body: bytes) -> list[dict[str, Any]]:
        """The outputs in the body of an answer, each with ``name`` and ``data``.

        Raises:
            ValueError: there are none.
        """
        found = part(body, "outputs")
        if not isinstance(found, list) or not all(isinstance(output, dict) for output in found):
            raise ValueError("no outputs in the answer")
        return found

    def read_rows(self, body: bytes, count: int) -> list[tuple[str, Scores | None]]:
        """An element of the outputs per row."""
        outputs = self.outputs(body)
        try:
            if self.ranking is not None:
                output = next(o for o in outputs if self.ranking in ("", o.get("name")))
                return [self.read_row(row) for row in by_rows(output, count)]
            if self.scores is None:
                return [(single(row), None) for row in by_rows(outputs[0], count)]
            by_name = {output["name"]: by_rows(output, count) for output in outputs}
            *label, name = self.scores.outputs
            found = [scored({"score": row}, self.scores) for row in by_name[name]]
            labels = [single(row) for row in by_name[label[0]]] if label else [own for own, _ in found]
            return [self.judged(text, scores) for text, (_, scores) in zip(labels, found, strict=True)]
        except (LookupError, StopIteration, TypeError) as error:
            raise ValueError(f"no output {error} in the answer") from error

    def decode(self, body: bytes) -> str:
        """The one element of the first output."""
        try:
            return single(self.outputs(body)[0]["data"])
        except LookupError as error:
            raise ValueError("no data of an output in the answer") from error

    @property
    def _wanted(self) -> dict[str, Any]:
        """The outputs, where the first one is not enough."""
        names: tuple[str, ...] = self.scores.outputs if self.scores else ()
        names = (self.ranking,) if self.ranking else names or self.tensors_read
        return {"outputs": [{"name": name} for name in names]} if names else {}

    def ranked(self, ask: Callable[[str], Any]) -> Self:
        """Ask for the output of lists that the model's metadata names, or for its only one."""
        offered = outputs_in(self.model, ask(self.metadata_path(self.model)))
        names = [name for name, _ in offered]
        name = next((name for name in _RANKINGS if name in names), None)
        if (name is None and len(names) > 1) or (len(names) == 1 and offered[0][1] == [-1]):
            raise ExperimentError(
                f"model {self.model!r} gives no ranking: none of its outputs ({named_shortly(names)}) "
                f"is named {', '.join(_RANKINGS)}; with "
                "Loadproof's own server, see Ranked lists in docs/bring-your-own-model.md"
            )
        return replace(self, ranking=name or "")

    def ranked_part(self, body: bytes) -> Any:
        """The elements of the output; without a name, of the first one."""
        for output in self.outputs(body):
            if self.ranking in ("", output.get("name")):
                return items_of(output)
        raise ValueError(f"no output {self.ranking!r} in the answer")

    def with_outputs(self, names: tuple[str, ...], ask: Callable[[str], Any]) -> Self:
        """Ask for the first output, which is the prediction, and for those that are named.

        An output is a tensor, or, by its place, an element of the first tensor.
        """
        tensors = outputs_in(self.model, ask(self.metadata_path(self.model)))
        if not tensors:
            return replace(self, named=names)
        offered, shape = [name for name, _ in tensors], tensors[0][1]
        # of an unknown width any place may be one
        width = 0 if len(shape) < 2 else math.inf if shape[-1] < 0 else shape[-1]
        for name in names:
            is_place = re.fullmatch("0|[1-9][0-9]{0,8}", name) and int(name) < width
            if name not in offered and not is_place:
                known = 0 if width == math.inf else int(width)
                places = [str(place) for place in range(min(known, MOST_NAMED))]
                there = named_shortly([*offered, *places], len(offered) + known)
                raise ExperimentError(f"model {self.model!r} answers no output {name!r}; name one of {there}")
        wanted = dict.fromkeys([offered[0], *(name for name in names if name in offered)])
        return replace(self, named=names, tensors_read=tuple(wanted))

    def decode_outputs(self, body: bytes) -> tuple[str, Scores]:
        """The element of the first tensor, and those of the named ones."""
        try:
            data = {str(output["name"]): output["data"] for output in self.outputs(body)}
        except (TypeError, KeyError) as error:
            raise ValueError(f"no {error} of an output in the answer") from error
        first = data.get(self.tensors_read[0]) if self.tensors_read else next(iter(data.values()), None)
        elements = first if isinstance(first, list) else [first]
        places = {str(place): element for place, element in enumerate(elements)}
        values = named_values({**places, **data}, self.named)
        return (label_text(values[0]) if len(elements) > 1 else single(elements)), values

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:
        """Ask for the label and for the output of scores that the model's metadata names."""
        metadata = ask(self.metadata_path(self.model))
        shapes = dict(outputs_in(self.model, metadata))
        offered = list(shapes)
        scores = next((name for name in _SCORES if name in offered), "" if offered else _SCORES[0])
        if not scores:
            raise NoScores(
                f"model {self.model!r} gives no scores: none of its outputs ({named_shortly(offered)}) "
                f"is named {', '.join(_SCORES)}"
            )
        labels = [name for name in offered or [_LABEL] if name not in _SCORES][:1]
        parameters = metadata.get("parameters")
        own = parameters.get("classes") or () if isinstance(parameters, dict) else ()
        reader = ClassScores.of(classes, named=named, own=own, outputs=(*labels, scores))
        width = shapes.get(scores, [0])[-1:]
        if not reader.places and width > [1]:
            raise ExperimentError(
                f"model {self.model!r} gives {width[0]} scores and does not say of which class; name the "
                f"classes in their order under [data] classes, such as {list(classes)}"
            )
        return replace(self, scores=reader)

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The elements of the two outputs; without a label, the class of the greatest score."""
        reader, outputs = self.reader, self.outputs(body)
        try:
            data = {output["name"]: output["data"] for output in outputs}
            *label, name = reader.outputs
            found, scores = scored({"score": data[name]}, reader)
            return single(data[label[0]]) if label else found, scores
        except (TypeError, KeyError) as error:
            raise ValueError(f"no output {error} in the answer") from error
