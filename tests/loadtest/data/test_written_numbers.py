"""Numbers written for people: the command that makes numbers of them does, and of nothing else."""

import pandas as pd
import pyarrow as pa
import pytest

from contract.text_columns import DataFile
from loadtest.data.dataset import Dataset
from loadtest.data.written_numbers import if_numbers, written_numbers
from loadtest.experiment.experiment import Data

# cells, and the numbers that they are; the last row is a missing cell
READ = [
    # thousands as in English, India, German, French, Switzerland
    (["1,711.00", "711.5", "-2,001,711"], [1711, 711.5, -2001711]),
    (["12,34,567", "1,711", "7"], [1234567, 1711, 7]),
    (["1.711,00", "711,5", "-2.001.711"], [1711, 711.5, -2001711]),
    (["1 711,00", "711,5", "+2\u202f001\xa0711"], [1711, 711.5, 2001711]),
    (["1'711.00", "711.5", "1\u2019711"], [1711, 711.5, 1711]),
    # which it is, the message says
    (["1,711", "2,500", "1,000"], [1711, 2500, 1000]),
    # per cent, currencies, units
    (["7,1%", "12 %", "-0,5%"], [7.1, 12, -0.5]),
    (["€ 12.50", "€7", "-€ 1,711.00"], [12.5, 7, -1711]),
    (["12,50 €", "7 €", "1.711,00 €"], [12.5, 7, 1711]),
    (["US$ 1,711", "US$ 7", "US$ 9.5"], [1711, 7, 9.5]),
    (["USD 1", "USD 2", "USD 3"], [1, 2, 3]),
    (["12.5 km/h", "7 km/h", "9 km/h"], [12.5, 7, 9]),
    # beside what pandas takes for missing
    (["n/a", "1,711.00", "NA"], [None, 1711, None]),
]


@pytest.mark.parametrize(("cells", "numbers"), READ)
@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet"])
def test_the_command_makes_numbers_and_changes_nothing_else(tmp_path, monkeypatch, cells, numbers, kind):
    monkeypatch.chdir(tmp_path)
    points = "1,711" in cells and kind == "semicolons"
    frame = pd.DataFrame({"amount": [*cells, None], "code": ["NA", "01", "1e5", "x"], "label": list("abab")})
    # decimal commas, or numbers that would be read as thousands beside them
    frame["other"] = [0.125, 1.234, 2.345, 3.456]
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "csv" or points:
        frame.to_csv(path, index=False)
    else:
        frame.to_csv(path, index=False, sep=";", decimal=",")
    given = Dataset.read(Data(path=path), every=True)
    remedy = if_numbers({"amount": given.columns["amount"]}, given.file)
    assert remedy.startswith("if it takes ")
    eval(remedy.rpartition("write numbers: ")[2], {"pandas": pd})
    (made,) = tmp_path.glob("evaluation.*")
    read = Dataset.read(Data(path=made), every=True)
    assert read.columns["amount"].to_pylist() == [*numbers, None]
    for name in ("code", "other"):
        assert read.columns[name].to_pylist() == given.columns[name].to_pylist()


@pytest.mark.parametrize(
    "cells",
    [
        # in brackets or with the sign behind, a number is below zero, which the command would lose
        ["$1,711", "($1,711)"],
        ["1,711.00", "1,711.00-"],
        # a minus that is no hyphen
        ["1,711.00", "\u22125"],
        # of several currencies
        ["$5", "€5"],
        # a code, a date, an address, words
        ["A12", "A13"],
        ["2026-11-28", "2026-11-29"],
        ["10.0.0.1", "10.0.0.2"],
        ["1,711.00", "many"],
        # a word for a missing cell that would leave a digit
        ["1,711.00", "1.#IND"],
        # both ways of writing
        ["1.711,00", "1,711.00"],
        [None],
    ],
)
def test_what_is_no_number_is_left_alone(cells):
    assert written_numbers(pa.array(cells, pa.string()), DataFile("rows.csv")) is None


def test_the_message_says_what_a_cell_is_taken_for():
    columns = {"amount": pa.array(["1,711"]), "share": pa.array(["7,1 %"]), "city": pa.array(["Bonn"])}
    said = if_numbers(columns, DataFile("rows.jsonl", "json"))
    assert said == (
        "if it takes '1,711' in 'amount' for 1711, '7,1 %' in 'share' for 7.1, write numbers there, "
        "such as 1711"
    )
    # where the file has decimal commas, this is one, too
    file = DataFile("mine/rows.csv", options=("sep=';'", "decimal=','"))
    said = if_numbers({"amount": pa.array(["€ 1,711"])}, file)
    assert said == (
        "if it takes '€ 1,711' in 'amount' for 1.711, write numbers: "
        "pandas.read_csv('mine/rows.csv', sep=';', decimal=',', dtype=str, keep_default_na=False)"
        ".replace({'amount': {'[^0-9,-]': ''}}, regex=True)"
        ".to_csv('mine/evaluation.csv', index=False)"
    )
