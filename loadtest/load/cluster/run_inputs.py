"""What a process reads of a run: its experiment and its evaluation set, each once.

A worker may stand on another machine. Rows travel as numbers, and labels are looked up on the worker: another
version of the file would make wrong samples. So the master says what its file is (its SHA-256), and sends it
to whoever has not got the same.
"""

from __future__ import annotations

import hashlib
import tomllib

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError, LabError
from loadtest.experiment.experiment import Data, Experiment
from loadtest.load.settings import Settings


class RunInputs:
    """The inputs of one process, shared by its coordinator and its worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._experiments: dict[str, Experiment] = {}
        self._dataset: Dataset
        self._digest = ""
        self._version: tuple[object, ...] | None = None

    def locate(self, experiment: Experiment) -> Experiment:
        """The experiment with the evaluation set's path as it is on this machine, absolute."""
        path = (self.settings.data or experiment.data.path).absolute()
        return experiment.model_copy(update={"data": experiment.data.model_copy(update={"path": path})})

    def to_toml(self, experiment: Experiment) -> str:
        """The experiment as it travels to the workers."""
        text = experiment.to_toml()
        self._experiments = {text: experiment}
        return text

    def from_toml(self, text: str) -> Experiment:
        """The experiment that travelled, with its evaluation set as it is here.

        Raises:
            ExperimentError: it does not make sense here; master and worker differ in version.
        """
        if text not in self._experiments:
            try:
                experiment = Experiment.parse(tomllib.loads(text), source="the master's experiment")
            except tomllib.TOMLDecodeError as error:
                raise ExperimentError(f"the master's experiment: not TOML ({error})") from error
            self._experiments = {text: experiment}
        return self.locate(self._experiments[text])

    def dataset(self, data: Data) -> tuple[Dataset, str]:
        """The evaluation set and its file's digest.

        Raises:
            DatasetError: it cannot be read, or is none.
        """
        try:
            self._read(data, None)
        except FileNotFoundError:
            raise DatasetError(
                f"{data.path}: no such file; [data] path must name the labelled evaluation set"
            ) from None
        except OSError as error:
            raise DatasetError(f"{data.path}: not readable ({error.strerror})") from None
        return self._dataset, self._digest

    def dataset_with(self, data: Data, digest: str) -> Dataset | None:
        """The evaluation set with this digest; None where this machine has no such file."""
        try:
            self._read(data, digest)
        except OSError:
            return None
        return self._dataset if self._digest == digest else None

    def dataset_from(self, content: bytes, data: Data, digest: str) -> Dataset:
        """The evaluation set out of the content of the master's file.

        Raises:
            LabError: the file is no longer the one that the run began with.
        """
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabError("the evaluation set changed while the run was prepared; start the run again")
        return Dataset.read(data, content)

    def _read(self, data: Data, wanted: str | None) -> None:
        """Read the file if it is not the one that was read; not further than its digest if unwanted."""
        status = data.path.stat()
        version = data, status.st_ino, status.st_size, status.st_mtime_ns
        if version == self._version:
            return
        content = data.path.read_bytes()
        self._digest, self._version = hashlib.sha256(content).hexdigest(), None
        if wanted in (None, self._digest):
            self._dataset = Dataset.read(data, content)
            self._version = version
