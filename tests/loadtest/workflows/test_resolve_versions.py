import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.errors import DatasetError, ModelError
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.resolve_versions import check_input, resolve, train_if_absent


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


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda f: None, DatasetError, "evaluation.parquet: no such file"),
        (lambda f: (f / "v1" / "model.toml").unlink(), ModelError, "stable 'v1': no version folder"),
        # what a new user's folder looks like
        (lambda f: (f / "v1" / "model.toml").rename(f / "v1" / "model.onnx"), ModelError,
         "no model.toml beside .*model.onnx; `loadproof init .*models` writes it"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_anything_is_built(models, spoil, error, says):
    spoil(models)
    with pytest.raises(error, match=says):
        check_input(experiment(models))


MANIFEST = """
name = "mine"
version = "v1"
task = "classification"
[[inputs]]
name = "features"
datatype = "FP64"
shape = [-1, 2]
columns = ["a", "b"]
"""


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ('name = "mine"', 'name = "other"', "name is 'other', .* is 'mine'; make them agree"),
        ("classification", "regression", "task is 'regression', .* is 'classification'; make them agree"),
        ('-1, 2]\ncolumns = ["a", "b"]', "-1, 3]", r"takes 3 features, the experiment would send 2 \(a, b\)"),
        (
            '"a", "b"',
            '"b", "a"',
            r"takes 2 features \(b, a\), .* in the model's order under \[data\] features",
        ),
        # what the server would refuse, seen before there is one
        ("[[inputs]]", "[[inputs", "not readable as TOML"),
        ("shape = [-1, 2]", "", "inputs.shape: is missing"),
    ],
    ids=["name", "task", "number", "order", "broken", "incomplete"],
)
def test_a_model_that_the_experiment_does_not_fit(models, was, now, says):
    pq.write_table(pa.table({"a": [1.0], "b": [2.0], "label": ["x"]}), models / "evaluation.parquet")
    (models / "v1" / "model.toml").write_text(MANIFEST)
    (models / "v2" / "model.toml").write_text(MANIFEST.replace(was, now))
    with pytest.raises(ModelError, match=f"v2/model.toml: .*{says}"):
        check_input(experiment(models))


def test_a_demo_that_is_yet_to_be_trained_cannot_be_checked(tmp_path):
    assert check_input(experiment(tmp_path, trainer="shop")) is None


def test_an_image_has_a_name(models):
    with pytest.raises(ModelError, match="candidate 'image:': names no image"):
        resolve(experiment(models, "v1", "image:"))
