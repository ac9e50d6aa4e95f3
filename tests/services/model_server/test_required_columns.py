"""Missing cells that a model does not take: found when it is made ready, refused when they are sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from contract.model_toml import Columns, read_model_toml
from services.model_server.describe import describe
from services.model_server.errors import RequestError, VersionError
from services.model_server.http.protocol import parse
from services.model_server.version import load_version

FRAME = pd.DataFrame(
    {"text": ["good tea", "bad tea", "good cup", "bad cup"] * 5, "age": [1.0, None, 3.0, 4.0] * 5}
)
LABELS = [1, 0] * 10


def ready(folder: Path, **cells: list[Any]) -> dict[str, Any]:
    pipeline = make_pipeline(
        make_column_transformer((TfidfVectorizer(), "text"), (SimpleImputer(), ["age"])),
        LogisticRegression(),
    )
    skops.io.dump(pipeline.fit(FRAME, LABELS), folder / "model.skops")
    given = {
        name: [None if cell != cell else cell for cell in FRAME[name].tolist()] for name in FRAME
    } | cells
    return describe(folder, "m", "v1", list(given), [list(row) for row in zip(*given.values(), strict=True)])


def test_a_vectorizer_requires_its_text_and_an_imputer_nothing(tmp_path: Path) -> None:
    ready(tmp_path)
    given = read_model_toml(tmp_path).input
    assert isinstance(given, Columns)
    assert given.required == ("text",)
    assert load_version(tmp_path).metadata()["parameters"]["required"] == ["text"]


def test_rows_without_it_are_refused_before_anything_is_served(tmp_path: Path) -> None:
    texts = [*FRAME.text.tolist()[:-2], None, "tea"]
    with pytest.raises(VersionError, match=r"takes no missing cell in 'text', and 1 of .* row 19; fill them"):
        ready(tmp_path, text=texts)
    assert not (tmp_path / "model.toml").exists()
    # nor with the model.toml that other rows gave
    ready(tmp_path)
    with pytest.raises(VersionError, match=r"takes no missing cell in 'text', and 1 of .* row 19; fill them"):
        ready(tmp_path, text=texts)


@pytest.mark.parametrize(
    ("text", "age", "says"),
    [
        (["tea", None], [1.0, 2.0], "input 'text': a cell is missing"),
        # shaped as a column of a table, which is read another way
        ([["tea"], [None]], [1.0, 2.0], "input 'text': a cell is missing"),
        (["tea", "cup"], [1.0, None], ""),
    ],
    ids=["flat", "nested", "imputed"],
)
def test_a_request_without_it_is_told_which_column(
    tmp_path: Path, text: list[Any], age: list[Any], says: str
) -> None:
    ready(tmp_path)
    version = load_version(tmp_path)
    shape = [2, 1] if isinstance(text[0], list) else [2]
    inputs = [
        {"name": "text", "datatype": "BYTES", "shape": shape, "data": text},
        {"name": "age", "datatype": "FP64", "shape": [2], "data": age},
    ]
    body = json.dumps({"inputs": inputs}).encode()
    if not says:
        assert len(parse(body, None, version.input, version.outputs).rows) == 2
        return
    with pytest.raises(RequestError, match=says) as caught:
        parse(body, None, version.input, version.outputs)
    assert caught.value.status == 400
