import pytest

from loadtest.config import Experiment
from loadtest.errors import ModelError
from loadtest.flows.versions import resolve, train_if_absent


def experiment(folder, stable="v1", candidate="v2", trainer=None) -> Experiment:
    return Experiment.parse(
        {
            "name": "mine",
            "model": {"name": "mine", "folder": str(folder), **({"trainer": trainer} if trainer else {})},
            "data": {"path": str(folder / "evaluation.parquet")},
            "versions": {"stable": stable, "candidate": candidate},
            "limits": {"cpus": 0.5},
        },
        "test",
    )


@pytest.fixture
def models(tmp_path):
    for name in ("models/v1", "models/v2", "elsewhere/new"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.toml").write_text("")
    return tmp_path / "models"


def test_names_and_paths(models):
    elsewhere = models.parent / "elsewhere" / "new"
    stable, candidate = resolve(experiment(models, "v1", str(elsewhere)))
    assert (stable.role, stable.folder, stable.cpus) == ("stable", models / "v1", 0.5)
    assert (candidate.role, candidate.folder) == ("candidate", elsewhere)


def test_a_version_may_be_compared_with_itself(models):
    stable, candidate = resolve(experiment(models, "v1", "v1"))
    assert stable.folder == candidate.folder


def test_a_missing_version_lists_those_that_are_there(models):
    with pytest.raises(ModelError, match=r"candidate 'v9': .*versions there: v1, v2$"):
        resolve(experiment(models, "v1", "v9"))


def test_a_trainer_that_fails_is_named_with_its_last_line(tmp_path):
    with pytest.raises(ModelError, match=r"training 'nosuch' failed: .*nosuch"):
        train_if_absent(experiment(tmp_path, trainer="nosuch"), lambda _: None)


def test_nothing_is_trained_where_the_evaluation_set_lies(tmp_path):
    (tmp_path / "evaluation.parquet").write_text("")
    train_if_absent(experiment(tmp_path, trainer="nosuch"), pytest.fail)
