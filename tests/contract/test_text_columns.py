"""The remedies for numbers where a model takes text, and for ``NA``: they name and fit the file."""

import pandas as pd
import pytest

from contract.text_columns import DataFile, as_missing, as_text, name_file


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            DataFile("rows.csv"),
            "write Parquet: pandas.read_csv('rows.csv', dtype={'a': 'string', 'b, {}': 'string'})",
        ),
        (DataFile("rows.txt", options=("sep=';'", "decimal=','")), "'rows.txt', sep=';', decimal=',', dtype"),
        (DataFile("my.v1/rows.dat", "parquet"), "write text there: pandas.read_parquet('my.v1/rows.dat', "),
        (DataFile("my.v1/rows.csv"), ".to_parquet('my.v1/evaluation.parquet')"),
        (DataFile("rows.jsonl", "json"), "write text there, in quotes"),
        # no sign of a regular expression
        (DataFile(r"c\1.csv"), r"read_csv('c\\1.csv', "),
    ],
)
def test_who_does_not_know_the_file_and_who_does_say_the_same(file, says):
    names = ["a", "b, {}"]
    assert says in as_text(names, file)
    unnamed = f"model.joblib: takes text in a; {as_text(names)}; not sent: c"
    assert "read_csv(FILE, " in unnamed
    assert name_file(unnamed, file) == f"model.joblib: takes text in a; {as_text(names, file)}; not sent: c"


FILES = [DataFile("rows.csv"), DataFile("rows.parquet", "parquet")]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_remedy_works(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"store": pd.array([205, None, 7], "Int64"), "x": [0.5, 1.5, 2.5]})
    rows.to_parquet(file.path) if file.kind == "parquet" else rows.to_csv(file.path, index=False)
    eval(as_text(["store"], file).partition(": ")[2], {"pandas": pd})
    written = pd.read_parquet("evaluation.parquet")
    assert written["store"].isna().tolist() == [False, True, False]
    assert written["store"].dropna().tolist() == ["205", "7"]
    assert written["x"].tolist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_words_become_missing_cells_and_nothing_else_changes(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    # a country is no missing cell
    rows = pd.DataFrame(
        {"vore": ["NA", "null", "omni"], "country": ["NA", "US", "NA"], "code": ["01", "2", "3"]}
    )
    rows.to_parquet(file.path) if file.kind == "parquet" else rows.to_csv(file.path, index=False)
    words = {"vore": ["NA", "null"]}
    unnamed = f"model.joblib: knows no text; {as_missing(words)}; not sent: c"
    said = name_file(unnamed, file)
    assert said == f"model.joblib: knows no text; {as_missing(words, file)}; not sent: c"
    eval(as_missing(words, file).partition(": ")[2], {"pandas": pd})
    if file.kind == "parquet":
        written = pd.read_parquet("evaluation.parquet").astype(object)
    else:
        written = pd.read_csv("evaluation.csv", dtype=object, keep_default_na=False, na_values=[""])
    assert written["vore"].isna().tolist() == [True, True, False]
    assert written[["country", "code"]].to_dict("list") == rows[["country", "code"]].to_dict("list")
    assert as_missing(words, DataFile("rows.jsonl", "json")) == "write null there"
