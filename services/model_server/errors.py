"""What can go wrong, for whom.

::

    VersionError          the version folder is unusable: one line on stderr, exit code 2
    └── FailingRowsError  its model fails on the rows beside it
    AddressError          the address cannot be bound: the same
    RequestError          the request is wrong: its HTTP status and {"error": ...}
    ├── QueueFull         503 with Retry-After: more work is queued than the server will hold
    └── DeadlinePassed    504: the answer would come after its deadline
"""

from __future__ import annotations

from pathlib import Path

from contract.version_folder import EXAMPLES, requirements_file, version_folder

CORRECT_ROWS = "correct them or model.toml"
SAVING_RELEASE = "write the version that saved it into requirements.txt"
"""What is advised where nobody knows that another release saved the model, and which."""


class VersionError(Exception):
    """The version folder is missing, broken or not allowed; ``str(error)`` names the file and the remedy."""


class FailingRowsError(VersionError):
    """A model fails on the rows of ``examples.parquet``.

    Args:
        path: the model's file.
        said: what it raised, in one line.
    """

    def __init__(self, path: Path, said: str) -> None:
        super().__init__(f"{path}: fails on the rows of {EXAMPLES} ({said}); {CORRECT_ROWS}")
        self.said = said


class AddressError(Exception):
    """The address to listen on cannot be bound; ``str(error)`` names it and the remedy."""


class RequestError(Exception):
    """A request that gets no prediction.

    Args:
        status: the HTTP status.
        message: one line that names the part and what is expected there.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class QueueFull(RequestError):  # noqa: N818 - it names what happened
    """More work is queued than the server will hold."""

    def __init__(self) -> None:
        super().__init__(503, "the queue is full; retry later or send at a lower rate")


class DeadlinePassed(RequestError):  # noqa: N818 - it names what happened
    """The deadline passed before the model had run."""

    def __init__(self) -> None:
        super().__init__(504, "the deadline passed before the model had an answer")


def needs_columns(path: Path, why: str) -> VersionError:
    """What is said where ``model.toml`` has a matrix and the model takes named columns."""
    return VersionError(
        f"{path}: {why}; delete model.toml, and `loadproof init {version_folder(path).parent}` writes it "
        "with [columns]"
    )


AS_JOBLIB = "save the model with joblib as model.joblib"
"""What is advised where a format's own file is refused; of an MLflow folder another way is."""

_PACKAGES = {
    "xgboost": "xgboost-cpu", "sklearn": "scikit-learn", "mlflow": "mlflow-skinny", "yaml": "pyyaml",
    "flaml": "flaml[automl]",
}  # fmt: skip
"""Modules whose package has another name, or one without what a server does not need."""


def not_readable(path: Path, library: str, error: BaseException) -> VersionError:
    """What is said of a model file that its library refuses."""
    return VersionError(f"{path}: not readable by {library} ({one_line(error)}); save the model again")


def missing_package(path: Path, package: str, instead: str = "export the model to ONNX") -> VersionError:
    """What is said of a model file whose library is not there.

    Args:
        path: the file, in the version folder.
        package: the line for ``requirements.txt``, or the module that could not be imported.
        instead: what else can be done.
    """
    package = _PACKAGES.get(package.split(".")[0], package.split(".")[0])
    return VersionError(
        f"{path}: needs the package {package}, which is not installed here; write the line {package} "
        f"into {requirements_file(version_folder(path))}, so that this version gets packages "
        f"of its own, or {instead}"
    )


def one_line(error: BaseException) -> str:
    """What somebody else's exception says, in at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
