"""The samples of one run on their way into its folder: to the disk as they come, to Parquet in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtest.data.run_folder import LOAD, SAMPLES
from loadtest.data.sample_stream import SampleStream, StoredStream, stream_facts, write_parquet
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.load.cluster.load_summary import LoadSummary
from loadtest.load.cluster.sample_totals import SampleTotals


class Gathering:
    """``Gathering(folder).add(...)`` with every report, ``conclude`` at the end.

    A disk that takes no more costs what comes after: ``trouble`` then says so, and the rest is kept.

    Raises:
        UsageError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.trouble: str | None = None
        try:
            self._stream = SampleStream(folder)
        except OSError as error:
            raise UsageError(
                f"{folder}: cannot write the samples there ({error.strerror}); "
                "make room, or choose another --results"
            ) from error

    def add(self, samples: bytes, facts: dict[str, Any]) -> None:
        """Append samples, which may be none, and what is known of the run with them."""
        if self.trouble is None:
            try:
                self._stream.add(samples, facts)
            except OSError as error:
                self._fail(error)

    def conclude(
        self,
        totals: Callable[[], SampleTotals],
        summarise: Callable[[SampleTotals], LoadSummary],
        compared: Callable[[SampleSet], SampleSet],
    ) -> LoadSummary:
        """Write ``samples.parquet`` and then ``load.json``, which says that all is there; the summary.

        ``compared`` holds samples against the baseline answers that came after them. Where the disk does not
        take the files, what was gathered stays as it is, and can be judged so.
        """
        if self.trouble is None:
            try:
                whole = totals()
                pieces = StoredStream.read(self._stream.path).samples()
                write_parquet(map(compared, whole.read(pieces)), self._folder / SAMPLES)
                summary = summarise(whole)
                _write_whole(self._folder / LOAD, summary.to_json())
                self._stream.close()
                self._stream.path.unlink()
                return summary
            except OSError as error:
                self._fail(error)
                whole = totals()
                for _ in whole.read(StoredStream.read(self._stream.path).samples()):
                    pass
                summary = summarise(whole)
                self._stream.close(stream_facts(summary.to_json()))
                return summary
        self._stream.close({"trouble": self.trouble})
        return summarise(totals())

    def _fail(self, error: OSError) -> None:
        self.trouble = f"the disk took no more ({os.strerror(error.errno) if error.errno else error})"


def _write_whole(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
