"""``NA`` in a column of text is refused where the model knows missing cells and no such text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.missing_words import check_failing_words, check_words

VORE = ["omni", "herbi", "NA", "carni", "omni", "NA"]
SLEEP = [17.0, 4.0, 8.0, 12.0, 16.0, 9.0]
READ = [None if cell == "NA" else cell for cell in VORE]


def imputed(unknown: str) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(none)"),
        OneHotEncoder(handle_unknown=unknown),
        Ridge(),
    )


def fitted(model: Any, vore: list[str | None]) -> Any:
    return model.fit(
        pd.DataFrame({"vore": pd.Series(vore, dtype=object).where(pd.notna(vore), np.nan)}), SLEEP
    )


@pytest.mark.parametrize(
    ("model", "learnt", "given", "refused"),
    [
        # fitted on what pandas reads; a word that it does not know, in silence or not
        (imputed("ignore"), READ, VORE, True),
        (imputed("error"), READ, VORE, True),
        (make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()), READ, VORE, True),
        # fitted on the word as text
        (imputed("ignore"), VORE, VORE, False),
        (imputed("error"), VORE, VORE, False),
        # missing cells beside the word: it is another thing, such as Namibia
        (imputed("ignore"), READ, [*VORE[:5], None], False),
        # a text that is none of pandas' words
        (imputed("ignore"), READ, [*READ[:2], "Namibia", *READ[3:5], "omni"], False),
    ],
    ids=["ignored", "an error", "no imputer", "text", "text, strict", "both", "unknown text"],
)
def test_a_word_that_pandas_reads_as_a_missing_cell(
    tmp_path: Path, model: Any, learnt: list[str | None], given: list[str | None], refused: bool
) -> None:
    model = fitted(model, learnt)
    joblib.dump(model, tmp_path / "model.joblib")

    def described(cells: list[str | None]) -> list[float]:
        found: list[float] = describe(tmp_path, "m", "v1", ["vore"], [[c] for c in cells], ["m"])[
            "predictions"
        ]
        return found

    if not refused:
        assert len(described(given)) == len(given)
        return
    with pytest.raises(VersionError, match=r"knows no text 'NA' in 'vore', .*na_values=\{'vore': \['NA'\]\}"):
        described(given)
    assert [path.name for path in tmp_path.iterdir()] == ["model.joblib"]
    frame = pd.DataFrame({"vore": pd.Series(READ, dtype=object).where(pd.notna(READ), np.nan)})
    # the remedy, followed
    assert described(READ) == pytest.approx(model.predict(frame).tolist())
    # other rows later, as the model.toml that is now there has it
    with pytest.raises(VersionError, match=r"knows no text 'NA' in 'vore'"):
        described(given)
    # and of an older one, without examples
    (tmp_path / "examples.parquet").unlink()
    with pytest.raises(VersionError, match=r"knows no text 'NA' in 'vore'"):
        described(given)
    assert not (tmp_path / "examples.parquet").exists()


def test_free_text_takes_no_missing_cell(tmp_path: Path) -> None:
    texts = ["great shop", "NA", "charged twice", "none", "NA", "love it"]
    joblib.dump(make_pipeline(CountVectorizer(), Ridge()).fit(texts, SLEEP), tmp_path / "model.joblib")
    described = describe(tmp_path, "m", "v1", ["text"], [[text] for text in texts], ["m"])
    assert len(described["predictions"]) == len(texts)


def answer(cells: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Of a model that knows missing cells in ``a``, the text NA in ``b``, and takes neither in ``c``."""
    if None in cells["c"]:
        raise VersionError("fails")
    a = [9.0 if cell is None else 1.0 for cell in cells["a"]]
    b = [3.0 if cell == "NA" else 5.0 if cell is None else 1.0 for cell in cells["b"]]
    return {"predict": np.add(a, b)}


def test_only_the_columns_that_mean_it_are_blamed() -> None:
    cells = {"a": ["NA", "x"], "b": ["NA", "y"], "c": ["NA", "z"], "n": [1.0, 2.0]}
    with pytest.raises(VersionError, match="knows no text 'NA' in 'a', only"):
        check_words(Path("model.joblib"), cells, answer(cells), answer)

    def attempt(cells: Mapping[str, list[Any]]) -> None:
        if "NA" in cells["a"] or None in cells["c"]:
            raise VersionError("fails")

    # with all of them missing it fails for another: nothing is known
    check_failing_words(Path("model.joblib"), cells, attempt)
    del cells["c"]
    with pytest.raises(VersionError, match="knows no text 'NA' in 'a', only"):
        check_failing_words(Path("model.joblib"), cells, lambda given: attempt({**given, "c": []}))
