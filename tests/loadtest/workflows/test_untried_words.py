"""``NA`` in a file that ``init`` did not see is shown, or refused where missing cells were meant."""

from pathlib import Path

import pandas as pd
import pytest

from contract.model_toml import Columns
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data
from loadtest.workflows.untried_words import untried_words

GIVEN = Columns((("vore", "BYTES"), ("age", "FP64")))


@pytest.mark.parametrize(
    ("examples", "cells", "says"),
    [
        # who was tried on missing cells is not given words for them
        (["omni", None], ["omni", "NA"], "refused"),
        # who was tried on the word is, and so is who takes both
        (["omni", "NA"], ["omni", "NA"], None),
        (["NA", None], ["omni", "NA"], None),
        (["omni", None], ["", "NA"], None),
        # nobody knows
        (["omni", "herbi"], ["omni", "NA"], "shown"),
        (None, ["omni", "NA"], "shown"),
        (["omni", "herbi"], ["omni", "carni"], None),
    ],
)
def test_words_for_missing_cells(tmp_path, monkeypatch, examples, cells, says):
    monkeypatch.chdir(tmp_path)
    folder = Path("mine/v1")
    folder.mkdir(parents=True)
    if examples:
        pd.DataFrame({"vore": examples, "age": [1.5, None]}).to_parquet(folder / "examples.parquet")
    Path("rows.csv").write_text("vore;age\n" + "".join(f"{cell};1,5\n" for cell in cells))

    def checked():
        dataset = Dataset.read(Data(path="rows.csv", features=("vore", "age")))
        return untried_words({"stable": (folder, GIVEN), "candidate": (folder, GIVEN)}, dataset)

    if says is None:
        assert checked() == []
        return
    if says == "refused":
        with pytest.raises(DatasetError, match=r"is text, .*has missing cells there; ") as found:
            checked()
        said = str(found.value)
        assert "delete mine/v1/examples.parquet, and run `loadproof init mine`" in said
    else:
        (said,) = checked()
        assert said.startswith("'NA' in 'vore' is text, never tried on stable and candidate; ")
    # the remedy, followed
    eval(said.partition("empty cells: ")[2].partition(", or, if")[0], {"pandas": pd})
    Path("evaluation.csv").rename("rows.csv")
    assert checked() == []
