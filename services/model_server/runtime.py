"""What a format of model files is to the server: how to load one, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from contract.datatypes import InputDatatype
from contract.model_toml import Task
from services.model_server.columns import Rows
from services.model_server.tensors import Input

Results = Mapping[str, NDArray[Any]]
Run = Callable[[Rows, frozenset[str]], Results]
"""(rows, names of outputs) to an array per output, row by row."""


class Runtime(Protocol):
    """What runs a model: scikit-learn's estimator or an ONNX session.

    Attributes:
        platform: as the protocol's metadata names it.
        features: how many it takes; None where it does not say.
        columns: their names; None where nobody named them.
        classes: the labels in the order of ``predict_proba``; None where they are not known.
        has_proba: whether it has probabilities.

    A runtime need not have these:

        named: other outputs of its own, by their names.
        value_names: of the values in a row of ``predict``, where it gives several that have names.
        value_classes: of each of them, the labels in the order of its probabilities.
        categories: that it learnt from; None where its file does not say.

    ``predict`` is of shape (rows,), or (rows, values) where there are several per row; ``predict_proba`` is
    then a list of an array per value, or of shape (rows, values): the probability that each is true.
    """

    platform: str
    features: int | None
    columns: list[str] | None
    classes: list[Any] | None
    has_proba: bool

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model: an array per output, row by row."""


class Original(Runtime, Protocol):
    """A model as it was loaded, which may know a faster way to its own answers."""

    def fastest(self, spec: Input, forbidden: str) -> tuple[Runtime, str, str]:  # noqa: ARG002
        """What runs it fastest with the same answers, its name, and the reason for it.

        ``forbidden`` says why the model must not be compiled; empty: it may be. Here: the library itself.
        """
        return self, self.platform, ""


class Description(NamedTuple):
    """What a model file says of itself, of which ``model.toml`` is made.

    ``takes_frame``: it is given named columns even where all is numbers. ``scores``: it gives so many numbers
    per row, which are scores of classes only if the labels are their places; 0: it is known what it gives.
    ``guessed``: the file does not say whether it answers with labels or with values.
    """

    task: Task
    datatype: InputDatatype
    features: int | None
    columns: list[str] | None
    takes_frame: bool = False
    scores: int = 0
    guessed: bool = False


@dataclass(frozen=True)
class Format:
    """One format of model files; every module of ``runtimes`` lists its own in ``FORMATS``.

    Args:
        file: the model file's name in a version folder.
        load: (file, task, input) to what runs it; raises ``VersionError``.
        describe: what a file says of itself; raises ``VersionError``.
        runs_code: loading runs code that the file chooses: the model must be allowed by name.
        suffixes: of files that people have in this format.
        code: what a file that runs code is.
        instead: what to do if nobody may allow it.
        native: of a file, the libraries whose readers it may end a process by; it is tried in a child first.
        inner: of a file that describes others beside it: (file, every format) to the model's format and file.
    """

    file: str
    load: Callable[[Path, Task, Input], Original]
    describe: Callable[[Path], Description]
    runs_code: bool = False
    suffixes: tuple[str, ...] = ()
    code: str = "a pickle"
    instead: str = "save the model with skops"
    native: Callable[[Path], tuple[str, ...]] | None = None
    inner: Callable[[Path, tuple[Format, ...]], tuple[Format, Path]] | None = None
