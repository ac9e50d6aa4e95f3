"""What the demo versions are: their files, their answers, and how they differ."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from skops.io import get_untrusted_types

from contract.model_toml import read_model_toml
from loadtest.data.dataset import Dataset
from loadtest.data.ranking_text import ranking_text
from loadtest.experiment.experiment import Experiment
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word
from services.model_server.columns import Columns
from services.model_server.scikit_learn.trusted_types import TRUSTED
from services.model_server.version import load_version
from services.trainer import digits, shop
from services.trainer.__main__ import DEMOS
from services.trainer.demo import Demo
from services.trainer.shoppers import TEXTS
from tests.loadtest.made_samples import Sample, sample_set

Answers = dict[str, NDArray[Any]]
VERSIONS = [(demo, version) for demo, versions in DEMOS.items() for version in versions]


def columns_of(folder: Path) -> list[str]:
    return list(read_model_toml(folder).input.columns or ())


def evaluation(models: Path, demo: str) -> tuple[pa.Table, pd.DataFrame]:
    table = pq.read_table(models / demo / "evaluation.parquet")
    return table, table.select(columns_of(models / demo / "v1")).to_pandas()


def as_sent(frame: pd.DataFrame) -> Columns:
    """Rows as the model server reads them; a cell of text that is missing is None."""
    return Columns(
        {
            name: cells.to_numpy()
            if cells.dtype == float
            else cells.astype(object).where(cells.notna(), None).to_numpy()
            for name, cells in frame.items()
        }
    )


@cache
def loaded(folder: Path) -> Any:
    """A version as the model server loads it, which tries it."""
    return load_version(folder)


def answer(models: Path, demo: str) -> Answers:
    features = evaluation(models, demo)[1]
    rows = features.to_numpy() if demo == "digits" else as_sent(features)
    wanted = frozenset(["predict"])
    return {name: loaded(models / demo / name).run(rows, wanted)["predict"] for name in DEMOS[demo]}


@pytest.fixture(scope="module")
def answers(models: Path) -> Answers:
    """What the shop's versions, read from their files, say of the evaluation set."""
    return answer(models, "shop")


@pytest.fixture(scope="module")
def right(models: Path, answers: Answers) -> Answers:
    """Per version of the shop: which answers are right."""
    bought = np.array(evaluation(models, "shop")[0]["bought"].to_pylist())
    return {version: given == bought for version, given in answers.items()}


@pytest.fixture(scope="module")
def again() -> Demo:
    """The shop of the same seed, trained once more."""
    return shop.train(seed=1)


@pytest.mark.parametrize(("demo", "version"), VERSIONS)
def test_files_load_without_trusting_anything(models: Path, demo: str, version: str) -> None:
    assert set(get_untrusted_types(file=models / demo / version / "model.skops")) <= TRUSTED


@pytest.mark.parametrize(("demo", "version"), VERSIONS)
def test_the_model_server_takes_every_version(models: Path, demo: str, version: str) -> None:
    made = loaded(models / demo / version)
    assert (made.name, made.version, made.task) == (demo, version, "classification")
    assert made.columns == tuple(columns_of(models / demo / "v1"))
    assert (made.runner == "scikit-learn") is ((demo, version) in [("shop", "v2-slow"), ("digits", "v2")])


@pytest.mark.parametrize(
    ("experiment", "demo"), [("compare", "shop"), ("ranking", "shop"), ("digits", "digits")]
)
def test_the_load_side_reads_the_features_in_the_order_of_the_model(
    models: Path, experiment: str, demo: str
) -> None:
    data = Experiment.load_file(experiment).data.model_copy(
        update={"path": models / demo / "evaluation.parquet"}
    )
    assert list(Dataset.read(data, every=True).names) == columns_of(models / demo / "v1")


def test_the_same_seed_gives_the_same_rows_and_answers(models: Path, answers: Answers, again: Demo) -> None:
    table, features = evaluation(models, "shop")
    pd.testing.assert_frame_equal(again.evaluation.features, features)
    assert again.evaluation.labels.tolist() == table["bought"].to_pylist()
    assert again.evaluation.others["value"].tolist() == table["value"].to_pylist()
    some = features[:1000]  # scikit-learn takes a second for all
    for version, given in answers.items():
        assert np.array_equal(again.versions[version].classifier.predict(some), given[:1000]), version


def test_another_seed_gives_other_rows(models: Path) -> None:
    other = digits.train(seed=2)
    assert not other.evaluation.features.equals(evaluation(models, "digits")[1])


def test_no_version_saw_an_evaluation_row(again: Demo) -> None:
    for demo in (again, digits.train(seed=1), digits.train(seed=2)):
        seen, unseen = (
            set(rows.features.astype(str).itertuples(index=False, name=None))
            for rows in (demo.training, demo.evaluation)
        )
        assert not seen & unseen


def test_the_shop_has_enough_rows_products_and_a_skewed_value(models: Path) -> None:
    table = evaluation(models, "shop")[0]
    value = table["value"].to_numpy()
    assert table.num_rows == 8_000
    assert len(table["bought"].unique()) == 8
    assert value.min() > 0
    assert value.mean() > np.median(value)
    loyal = np.mean(np.array(table["segment"].to_pylist()) == "loyal")
    assert 0.08 < loyal < 0.12


def test_digits_accuracy(models: Path) -> None:
    digit = evaluation(models, "digits")[0]["digit"].to_numpy()
    hits = {version: np.mean(given == digit) for version, given in answer(models, "digits").items()}
    assert 0.9 < hits["v1"] < hits["v2"]


def test_shop_accuracy(right: Answers) -> None:
    hits = {version: np.mean(rows) for version, rows in right.items()}
    assert 0.45 < hits["v1"] < 0.60
    assert hits["v1"] + 0.05 < hits["v2"]
    assert hits["v2-slow"] == pytest.approx(hits["v2"], abs=0.02)


def test_unfair_is_better_on_average_and_far_worse_for_loyal_customers(models: Path, right: Answers) -> None:
    loyal = np.array(evaluation(models, "shop")[0]["segment"].to_pylist()) == "loyal"
    gained = right["v2-unfair"].astype(float) - right["v1"]
    assert np.mean(gained) > 0.05
    assert np.mean(gained[~loyal]) > 0.05
    # a minute of load sees some 300 loyal rows, which can tell 10 points
    assert np.mean(gained[loyal]) < -0.10


def test_the_skew_shows_in_any_2000_rows(right: Answers) -> None:
    # the gate "accuracy >= stable - 1pp" has to see it in a run of a minute
    for stable, skewed in zip(np.split(right["v1"], 4), np.split(right["v2-skewed"], 4), strict=True):
        assert np.mean(skewed) < np.mean(stable) - 0.06


def test_rows_have_text_and_gaps(models: Path) -> None:
    table = evaluation(models, "shop")[0]
    gaps = {name: table[name].null_count / table.num_rows for name in columns_of(models / "shop" / "v1")}
    assert {name for name, share in gaps.items() if share > 0.01} == {
        "age",
        "income",
        "city",
        "days_since_order",
    }
    assert {name for name in gaps if not pa.types.is_floating(table.schema.field(name).type)} == set(TEXTS)


@pytest.mark.parametrize(("candidate", "word"), [("v2", Word.PASS), ("v2-skewed", Word.FAIL)])
def test_lists_are_judged_as_a_shop_would(models: Path, candidate: str, word: Word) -> None:
    experiment = Experiment.load_file("ranking")
    path = models / "shop" / "evaluation.parquet"
    rows = Dataset.read(experiment.data.model_copy(update={"path": path}))
    shoppers, samples = as_sent(evaluation(models, "shop")[1])[:3000], []
    for role, name in (("stable", "v1"), ("candidate", candidate)):
        lists = loaded(models / "shop" / name).run(shoppers, frozenset(["ranking"]))
        for row, items in enumerate(lists["ranking"].tolist()):
            right, at = items[0] == rows.labels[row], row / 50
            told = (200, None, ranking_text(items), right, None, 0)
            samples.append(Sample(row, role, at, at, at + 0.01, *told, ranking=items))
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60))
    gates = [gate.expression for gate in experiment.gates if gate.entry.fits("ranking") and gate.entry.task]
    verdict = judge(Run.gather(experiment, rows, sample_set(samples), facts).under(gates))
    assert {gate.name: gate.verdict for gate in verdict.gates} == dict.fromkeys(gates, word)
