"""Somebody's own model: from a folder to an experiment, or one line that says what is missing."""

import io
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import OneClassSVM
from skops.io import dump

from contract.model_toml import read_model_toml
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ModelError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.workflows.init import init
from loadtest.workflows.prepare import resolve
from services.model_server import describe

X = np.random.default_rng(1).normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(int)
SET = {"a": X[:, 0], "b": X[:, 1], "label": Y}


@pytest.fixture
def mine(tmp_path):
    """A folder with two versions of a classifier and their evaluation set."""
    folder = tmp_path / "mine"
    for version in ("v1", "v2"):
        (folder / version).mkdir(parents=True)
        dump(LogisticRegression().fit(X, Y), folder / version / "model.skops")
    write(folder, SET)
    return folder


def write(folder, columns):
    pyarrow.csv.write_csv(pa.table(columns), folder / "evaluation.csv")


def here(python, asked):
    """The versions tried in this process, which has long imported what a process of its own would."""
    out, errors = io.StringIO(), io.StringIO()
    code = describe.main(asked, out, errors)
    return subprocess.CompletedProcess([python], code, out.getvalue(), errors.getvalue())


def made(folder, ask=here, **given):
    said = []
    out = init(folder, said.append, out=folder / "mine.toml", ask=ask, **given)
    return Experiment.load_file(str(out)), said


def test_two_versions_and_their_evaluation_set_are_enough(mine):
    experiment, said = made(mine)
    assert [v.folder.name for v in resolve(experiment)] == ["v1", "v2"]
    check_gates(experiment, Dataset.read(experiment.data))
    assert experiment.data.features == ()
    assert said[0].startswith("v1: classification, 2 features, right on ")
    assert said[0].endswith("of 60 rows; wrote model.toml")
    with pytest.raises(UsageError, match="exists already; delete it, or name another file with --out"):
        made(mine)


def test_columns_that_are_no_features(mine):
    write(mine, {"id": np.arange(60), **SET})
    experiment, _ = made(mine, ignore=["id"])
    assert experiment.data.features == ("a", "b")


def test_a_regression_of_one_version(tmp_path):
    (tmp_path / "v1").mkdir()
    dump(LinearRegression().fit(X, 2 * X[:, 0]), tmp_path / "v1" / "model.skops")
    write(tmp_path, {**SET, "label": 2 * X[:, 0]})
    experiment, said = made(tmp_path)
    assert (experiment.data.task, experiment.gates[0].metric) == ("regression", "mae")
    assert (experiment.versions.stable, experiment.versions.candidate) == ("v1", "v1")
    assert said[1].endswith("evaluation.csv: sent to v1: a, b")
    assert "v1 is the only version so far" in said[2]


def test_without_labels_the_gate_is_on_agreement(mine):
    write(mine, {"a": X[:, 0], "b": X[:, 1]})
    experiment, said = made(mine)
    check_gates(experiment, Dataset.read(experiment.data))
    assert [str(gate) for gate in experiment.gates][:2] == [
        "agreement >= 99.5%",
        "error_rate <= stable + 0.5pp",
    ]
    assert not {"accuracy", "mae"} & {gate.metric for gate in experiment.gates}
    assert experiment.data.label is None
    assert "no column 'label', so no labels" in said[0]
    assert "Name the right one with --label" in said[0]
    assert said[1].startswith("v1: classification, 2 features, gave 60 answers, such as ")
    assert said[-1].endswith("judges whether both answer the same (agreement >= 99.5%), not who is right")


def test_an_answer_beyond_all_numbers_is_named_with_its_row(tmp_path):
    (tmp_path / "v1").mkdir()
    model = LinearRegression().fit(X, X[:, 0])
    model.coef_ = np.array([1e308, 1e308])
    dump(model, tmp_path / "v1" / "model.skops")
    write(tmp_path, {"a": np.append(X[:-1, 0], 9e9), "b": X[:, 1], "label": X[:, 0] * 0.5})
    with pytest.raises(DatasetError, match=r"v1 answers -?inf to row \d+, which no metric can hold"):
        made(tmp_path)


def test_of_several_values_the_one_that_the_gates_are_about_is_shown(tmp_path):
    (tmp_path / "v1").mkdir()
    dump(LinearRegression().fit(X, X * 2), tmp_path / "v1" / "model.skops")
    write(tmp_path, {**SET, "label": X[:, 0] * 2})
    _, said = made(tmp_path)
    assert said[1] == (
        "v1: the gates are about 'predict_0' of its outputs predict_0, predict_1; output in its model.toml "
        "chooses another"
    )
    assert read_model_toml(tmp_path / "v1").output == "predict_0"


@pytest.mark.parametrize(
    ("more", "outputs", "label", "says"),
    [
        # the chosen one comes first, and is the label where there is none
        (
            {"predict_1": X[:, 1], "predict_0": X[:, 0]},
            ["predict_0", "predict_1"],
            "predict_0",
            "true values of",
        ),
        (
            {"predict_1": X[:, 1], "label": X[:, 0] * 2},
            ["predict_1"],
            "label",
            r"'mae\[output=predict_1\] <= ",
        ),
        # text is no true value
        ({"predict_1": ["x"] * len(X), "label": X[:, 0] * 2}, [], "label", 'as in predict_0 = "its column"'),
    ],
)
def test_columns_with_the_names_of_outputs_are_their_true_values(tmp_path, more, outputs, label, says):
    (tmp_path / "v1").mkdir()
    dump(LinearRegression().fit(X, X * 2), tmp_path / "v1" / "model.skops")
    write(tmp_path, {"a": X[:, 0], "b": X[:, 1]} | more)
    # a model that knows no names would take them for features
    experiment, said = made(tmp_path, ignore=[name for name in more if name != "label"])
    assert list(experiment.data.outputs) == outputs
    assert experiment.data.label_column == label
    assert any(re.search(says, line) for line in said)


def test_lists_as_labels_make_several_values_per_row_a_ranking(tmp_path):
    # as a recommender's evaluation set has them: what each user wanted, and ten items for everybody
    (tmp_path / "v1").mkdir()
    items = np.tile(np.arange(10), (len(X), 1))
    dump(KNeighborsClassifier().fit(X, items), tmp_path / "v1" / "model.skops")
    wanted = [[str(row % 12), "3"] for row in range(len(X))]
    rows = pa.table({**{name: SET[name] for name in "ab"}, "label": wanted})
    pyarrow.parquet.write_table(rows, tmp_path / "evaluation.parquet")
    experiment, said = made(tmp_path)
    assert (experiment.data.task, experiment.gates[0].metric) == ("ranking", "ndcg@10")
    assert said[0].startswith("v1: ranking, 2 features, right on")
    assert read_model_toml(tmp_path / "v1").output == "ranking"
    # and nothing is said of ten outputs
    assert not any("outputs" in line for line in said)


def test_many_outputs_are_not_all_named(tmp_path):
    (tmp_path / "v1").mkdir()
    dump(LinearRegression().fit(X, np.tile(2 * X[:, :1], 20)), tmp_path / "v1" / "model.skops")
    write(tmp_path, {**SET, "label": 2 * X[:, 0]})
    assert "predict_6, predict_7 and 12 more; output in" in made(tmp_path)[1][1]


@pytest.mark.parametrize(("truth", "refused"), [([1, 0], True), ([-1, 1], False)])
def test_labels_of_an_anomaly_detector_read_as_it_answers(tmp_path, truth, refused):
    (tmp_path / "v1").mkdir()
    detector = OneClassSVM().fit(X)
    dump(detector, tmp_path / "v1" / "model.skops")
    write(tmp_path, {**SET, "label": np.where(detector.predict(X) < 0, *truth)})
    if refused:
        with pytest.raises(UsageError, match=r"answers -1 .an anomaly. and 1, the labels read 0 and 1"):
            made(tmp_path)
    else:
        assert "right on 100.0%" in made(tmp_path)[1][0]


def test_what_was_found_out_about_the_file_is_said_first(mine):
    lines = [
        ";".join(SET),
        *(f"{a:.3f};{b:.3f};{label}".replace(".", ",") for a, b, label in zip(*SET.values(), strict=True)),
    ]
    (mine / "evaluation.csv").write_text("\r\n".join(lines), encoding="utf-16")
    _, said = made(mine)
    found = [line.partition("evaluation.csv: ")[2] for line in said[:3]]
    assert found == ["read as UTF-16", "columns are separated by semicolons", "numbers have decimal commas"]
    assert said[3].startswith("v1: classification, 2 features")


@pytest.mark.parametrize(
    ("header", "row", "ignore"),
    [
        # what nobody sends may have gaps, or more digits than a float
        ("a,b,gap,label", "{a},{b},,{label}\n{a},{b},1,{label}", ["gap"]),
        ("a,b,id,label", "{a},{b},1234567890123456789,{label}", ["id"]),
        # and may stand there twice
        ("city,a,b,city,label", "Bonn,{a},{b},Kiel,{label}", []),
        ("id,a,b,id,label", "1,{a},{b},2,{label}", []),
        # pandas' index
        (",a,b,label", "7,{a},{b},{label}", []),
        (",a,b,label", "7,{a},{b},{label}", [""]),
    ],
)
def test_columns_that_are_not_sent_do_not_matter(mine, header, row, ignore):
    rows = [row.format(a=a, b=b, label=label) for a, b, label in zip(*SET.values(), strict=True)]
    (mine / "evaluation.csv").write_text("\n".join([header, *rows]))
    experiment, _ = made(mine, ignore=ignore)
    assert Dataset.read(experiment.data).names == ("a", "b")


@pytest.mark.parametrize(
    ("spoil", "given", "says"),
    [
        (lambda f: None, {"ignore": ["c"]}, "--ignore 'c': .* has no such column"),
        (lambda f: None, {"ignore": ["a", "b"]}, "no column is left beside what --ignore names"),
        (lambda f: write(f, {**SET, "id": [10**18] * 60}), {}, "takes 2 features, .* 3 columns .*"),
        (lambda f: (f / "evaluation.csv").write_text("a,a,b,label\n1,1,2,0\n1,1,2,1\n"), {},
         r"has 1 column .*\(b\); not sent: a \(stands there 2 times: rename or drop\); add"),
        (lambda f: write(f, {"a": X[:, 0], "b": X[:, 1], "truth": Y}), {}, "no column 'label'.*with --label"),
        (lambda f: None, {"label": "truth"}, "no column 'truth'; it has a, b, label.*with --label"),
        (lambda f: (f / "evaluation.csv").unlink(), {}, "no evaluation.parquet or evaluation.csv .* --data"),
        (lambda f: (f / "evaluation.csv").rename(f / "x.csv"), {"data": "y.csv"}, "y.csv: no such file"),
        # an empty cell
        (lambda f: write(f, {**SET, "a": [None, *X[1:, 0]]}), {}, "takes no missing cell in 'a'"),
        (lambda f: write(f, {**SET, "a": [np.inf, *X[1:, 0]]}), {}, r"not sent: a \(has infinite cells\)"),
        # nor can it be otherwise where a library counts the categories of a column
        (lambda f: write(f, {"a": ["x"] * 60, "label": Y}), {},
         r"takes 2 .* has 1 column .* \(a\); add .* or, if .* several of one column, write a model\.py"),
        (lambda f: write(f, {**SET, "label": np.where(Y, "yes", "no")}), {},
         "v1 answers '0', '1', the labels read 'no', 'yes'; write labels as the model does"),
        (lambda f: (f / "v2" / "model.skops").rename(f / "v2" / "model.onnx"), {}, "not readable by ONNX"),
        (lambda f: [(f / v / "model.skops").rename(f / v / "best.pkl") for v in ("v1", "v2")], {},
         "best.pkl must become .*v1/model.joblib"),
        (lambda f: [(f / v / "model.skops").unlink() for v in ("v1", "v2")], {}, "no version in it"),
        (lambda f: write(f, {**SET, "id": Y}), {}, "takes 2 features, .* has 3 columns"),
        (lambda f: write(f, {**SET, "a": ["7 %"] * 60}), {}, "takes '7 %' in 'a' for 7, write numbers: pan"),
        (lambda f: write(f, {**SET, "a": ["so"] * 60}), {}, "first rows of .*; it stands in 'a': write nu"),
    ],
    ids=["ignored", "all", "digits", "twice",
         "label", "own-label", "no-set", "other-set", "gap", "infinite", "text",
         "labels", "broken", "name", "empty", "id", "per cent", "words"],
)  # fmt: skip
def test_what_is_wrong_is_one_line(mine, spoil, given, says):
    spoil(mine)
    with pytest.raises(UsageError, match=says) as caught:
        made(mine, **given)
    assert "\n" not in str(caught.value)
    assert not (mine / "mine.toml").exists()


def test_one_model_needs_its_data_by_name(tmp_path):
    (tmp_path / "churn.joblib").touch()
    with pytest.raises(UsageError, match=r"churn.joblib: is one model, .* name that with --data"):
        made(tmp_path / "churn.joblib")


def pickled(folder, name):
    for version in ("v1", "v2"):
        (folder / version / "model.skops").unlink()
        joblib.dump(LogisticRegression().fit(X, Y), folder / version / name)


def named(folder):
    for version in ("v1", "v2"):
        model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(
            pd.DataFrame(X, columns=["a", "b"]), Y
        )
        dump(model, folder / version / "model.skops")


def renamed(folder, was, now):
    for version in ("v1", "v2"):
        (folder / version / was).rename(folder / version / now)


@pytest.mark.parametrize(
    ("spoil", "given", "advice", "followed"),
    [
        # a column that is no feature
        (lambda f: write(f, {**SET, "id": Y}), {}, "--ignore", lambda f: {"ignore": ["id"]}),
        # the label has another name, which nobody gave, or another than was given
        (lambda f: write(f, {"a": X[:, 0], "b": X[:, 1], "truth": Y}), {}, "with --label",
         lambda f: {"label": "truth"}),
        (lambda f: None, {"label": "truth"}, "with --label", lambda f: {"label": "label"}),
        # or is meant, in capitals or after a blank
        (lambda f: write(f, {"a": X[:, 0], "b": X[:, 1], " Label": Y}), {}, "with --label",
         lambda f: {"label": " Label"}),
        (lambda f: (f / "evaluation.csv").rename(f / "x.csv"), {}, "with --data",
         lambda f: {"data": f / "x.csv"}),
        # a missing cell where the model takes none
        (lambda f: write(f, {**SET, "a": [None, *X[1:, 0]]}), {}, "fill them", lambda f: write(f, SET)),
        (lambda f: (f / "evaluation.csv").write_text("a,a,b,label\n1,1,2,0\n1,1,2,1\n"), {},
         "rename or drop", lambda f: write(f, SET)),
        (lambda f: write(f, {**SET, "label": np.where(Y, "yes", "no")}), {},
         "write labels as the model does", lambda f: write(f, SET)),
        # a column of no type, which the model names
        (lambda f: (named(f), write(f, {**SET, "b": [None] * 60})), {}, "a column has a type once",
         lambda f: write(f, {**SET, "b": [1.5, *[None] * 59]})),
        # an experiment that is there
        (lambda f: (f / "mine.toml").touch(), {}, "delete it", lambda f: (f / "mine.toml").unlink()),
        # a name that says nothing, and then no second refusal
        (lambda f: pickled(f, "best.pkl"), {}, "ALLOW_PICKLE=mine",
         lambda f: renamed(f, "best.pkl", "model.joblib")),
        (lambda f: pickled(f, "model.joblib"), {}, "ALLOW_PICKLE=mine", lambda f: None),
    ],
    ids=["id", "other-label", "wrong-label", "capital",
         "other-set", "gap", "twice", "labels", "no-type", "there", "name", "pickle"],
)  # fmt: skip
def test_advice_that_is_followed_works(mine, monkeypatch, spoil, given, advice, followed):
    spoil(mine)
    with pytest.raises(UsageError) as caught:
        made(mine, **given)
    assert advice in str(caught.value)
    if "ALLOW_PICKLE" in advice:
        monkeypatch.setenv("ALLOW_PICKLE", "mine")
    given = given | new if isinstance(new := followed(mine), dict) else given
    made(mine, **given)


def test_a_word_for_missing_cells_behind_the_first_rows_is_found_and_its_remedy_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = ["omni", "herbi"] * 600 + ["NA"] * 9
    csv = "vore,label\n" + "".join(f"{kind},{len(kind)}\n" for kind in kinds)
    Path("evaluation.csv").write_text(csv)
    read = pd.read_csv("evaluation.csv")
    model = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"), Ridge()
    )
    Path("mine/v1").mkdir(parents=True)
    dump(model.fit(read[["vore"]], read.label + 0.5), "mine/v1/model.skops")
    with pytest.raises(ModelError, match="knows no text 'NA' in 'vore'") as caught:
        made(tmp_path / "mine", data=Path("evaluation.csv"))
    eval(str(caught.value).rpartition("empty cells: ")[2], {"pandas": pd})
    made(tmp_path / "mine", data=Path("evaluation.csv"))
    assert Path("evaluation.csv").read_text() == csv.replace("NA", "")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        made(tmp_path / "nothing")


@pytest.mark.parametrize(
    "own",
    [
        ["v1"],  # stable is older, as it often is
        ["v2"],
        ["v1", "v2"],
        ["notes"],  # a folder that is no version has no runtime
    ],
)
def test_a_version_with_packages_of_its_own_is_tried_on_them(mine, tmp_path, own):
    asked, used, python = [], [], tmp_path / "python"
    for version in own:
        (mine / version).mkdir(exist_ok=True)
        (mine / version / "requirements.txt").write_text("scikit-learn\n", encoding="utf-8")

    def python_of(folder, _):
        asked.append(folder.name)
        return python

    def ask(interpreter, given):
        used.append(interpreter)
        return here(interpreter, given)

    experiment, said = made(mine, ask, python_of=python_of)
    versions = [version for version in own if version != "notes"]
    assert asked == versions
    # first all on the lab's own, then each on its own
    assert used == [Path(sys.executable), *[python] * len(versions)]
    assert [line.split(",")[0] for line in said[:2]] == ["v1: classification", "v2: classification"]
    assert [v.folder.name for v in resolve(experiment)] == ["v1", "v2"]


def test_packages_that_cannot_be_had_together_are_one_line(mine):
    (mine / "v2" / "requirements.txt").write_text("numpy @ https://example.org/numpy.whl\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"v2/requirements.txt: line 1: .* names a URL; take a release"):
        made(mine)
    assert not (mine / "mine.toml").exists()
