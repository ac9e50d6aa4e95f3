"""What is refused before anything starts: every wrong input of every verb, through the command itself."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.errors import DatasetError, ModelError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.prepare import check_canary_up, check_compare, resolve, train_if_absent

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
        (tmp_path / name / "model.toml").write_text(MANIFEST)
    return tmp_path / "models"


def test_names_and_paths(models):
    elsewhere = models.parent / "elsewhere" / "new"
    stable, candidate = resolve(experiment(models, "v1", str(elsewhere)))
    assert (stable.role, stable.folder, stable.cpus) == ("stable", models / "v1", 0.5)
    assert (candidate.role, candidate.folder) == ("candidate", elsewhere)


def test_a_control_is_stable_once_more(models):
    plain = experiment(models)
    asked = plain.model_copy(update={"load": plain.load.model_copy(update={"control": True})})
    stable, _, control = resolve(asked)
    assert (control.role, control.folder, control.cpus) == ("control", stable.folder, stable.cpus)


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
        check_canary_up(experiment(models), "local")


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ('name = "mine"', 'name = "other"', "name is 'other', .* is 'mine'; make them agree"),
        ("classification", "regression", "task is 'regression', .* is 'classification'; make them agree"),
        ('-1, 2]\ncolumns = ["a", "b"]', "-1, 3]", r"takes 3 features, the experiment would send 2 \(a, b\)"),
        # by their names, their order does not matter
        ('"a", "b"', '"b", "c"', "no column 'c'; it has a, b, label.*; the versions take a, b, c"),
        # what the server would refuse, seen before there is one
        ("[[inputs]]", "[[inputs", "not readable as TOML"),
        ("shape = [-1, 2]", "", "inputs.shape: is missing"),
    ],
    ids=["name", "task", "number", "names", "broken", "incomplete"],
)
def test_a_model_that_the_experiment_does_not_fit(models, was, now, says):
    pq.write_table(pa.table({"a": [1.0], "b": [2.0], "label": ["x"]}), models / "evaluation.parquet")
    (models / "v1" / "model.toml").write_text(MANIFEST)
    (models / "v2" / "model.toml").write_text(MANIFEST.replace(was, now))
    with pytest.raises((ModelError, DatasetError), match=f"(v2/model.toml|evaluation.parquet): .*{says}"):
        check_canary_up(experiment(models), "local")


def test_a_demo_that_is_yet_to_be_trained_cannot_be_checked(tmp_path):
    assert check_canary_up(experiment(tmp_path, trainer="shop"), "local").found is None


def test_the_evaluation_set_is_read_once(models):
    pq.write_table(pa.table({"a": [1.0], "b": [2.0], "label": ["x"]}), models / "evaluation.parquet")
    for version in ("v1", "v2"):
        (models / version / "model.toml").write_text(MANIFEST)
    checked = check_compare(experiment(models), "local", models / "results")
    (models / "evaluation.parquet").unlink()
    said = []
    ready = checked.provide(said.append)
    assert said[0] == "evaluation.parquet: sent to both versions: a, b"
    assert "'accuracy >= stable - 1pp' stays open with 1 distinct row" in said[1]
    assert len(ready.dataset) == 1
    assert [version.name for version in ready.versions] == ["v1", "v2"]


def test_an_image_has_a_name(models):
    with pytest.raises(ModelError, match="candidate 'image:': names no image"):
        resolve(experiment(models, "v1", "image:"))


STARTED: list[str] = []
"""Programs that were started while ``watching`` was set."""
watching = False


def watch(event, arguments):
    if watching and event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"):
        STARTED.append(str(arguments))


sys.addaudithook(watch)

COMPARE, CAPACITY = ["compare"], ["capacity"]
RUN, UP = ["canary", "run"], ["canary", "up"]
URLS = {"target": {"stable": "http://127.0.0.1:1", "candidate": "http://127.0.0.1:1"}}
FORBID = {"data": {"repeats": "forbid"}}
PHASES = [{"duration": "20s", "rate": 10}, {"duration": "10s", "rate": 30}]
CANARY = {"load": {"traffic": "canary"}, "gates": ["error_rate <= stable + 1pp"]}


def load(**keys):
    return {"load": keys}


def canary(**changes):
    return CANARY | changes


WRONG = [
    # of the experiment as a whole, for all that start a lab
    *((verb, canary(versions={"candidate": "v9"}), (), "no version folder") for verb in (COMPARE, RUN, UP)),
    *((verb, canary(data={"path": "gone.csv"}), (), "gone.csv: no such file") for verb in (COMPARE, RUN, UP)),
    *((verb, canary(), ["--backend", "cloud"], "no backend 'cloud'") for verb in (COMPARE, RUN, UP)),
    *(
        (verb, canary(versions={"candidate": "image:a"}), ["--backend", "local"], "needs BACKEND=compose")
        for verb in (COMPARE, RUN, UP)
    ),
    *((verb, canary(), ["--results", "rows.csv"], "choose another --results") for verb in (COMPARE, RUN)),
    (CAPACITY, {"versions": {"candidate": "v9"}}, (), "no version folder"),
    (CAPACITY, {"data": {"path": "gone.csv"}}, (), "gone.csv: no such file"),
    (CAPACITY, {}, ["--backend", "cloud"], "no backend 'cloud'"),
    (CAPACITY, {}, ["--results", "rows.csv"], "choose another --results"),
    # of the traffic
    (COMPARE, load(traffic="stable"), (), "stable traffic loads one version"),
    (COMPARE, load(traffic="shadow"), (), "shadow traffic has no answers"),
    (RUN, canary(load={"traffic": "duet"}), (), 'a canary needs [load] traffic = "canary"'),
    # of restarts and rates
    (COMPARE, load(restarts=2, until_decided=True), (), "--restarts or --until-decided"),
    (COMPARE, load(restarts=2, rates=[1, 2]), (), "rates and restarts do not go together"),
    # of a rate that changes
    (COMPARE, load(phases=PHASES), ["--rate", "9"], "leave rate out, or the phases"),
    (COMPARE, load(phases=PHASES), ["--rates", "9,10"], "each of them is one constant rate"),
    (CAPACITY, load(phases=PHASES), (), "capacity looks for one constant rate"),
    (CAPACITY, load(control=True), (), "only loadproof compare has a control"),
    (CAPACITY, load(replay="log"), (), "leave out [load] replay"),
    (RUN, canary(load={"traffic": "canary", "replay": "log"}), (), "leave out [load] replay"),
    (UP, load(replay="log"), (), "by loadproof compare alone"),
    (COMPARE, load(replay="rows.csv"), (), "line 1 is neither JSON nor of an access log"),
    (COMPARE, load(replay="log"), (), "log: no such file"),
    (COMPARE, load(replay="log"), ["--rate", "9"], "rate follows from the log"),
    (COMPARE, {}, ["--replay", "log", "--rate", "9"], "rate follows from the log"),
    (COMPARE, {}, ["--speed-up", "2"], "speed_up is about a log"),
    (COMPARE, load(rate=9, duration=9), ["--replay", "log"], "log: no such file"),
    (COMPARE, load(replay="log", phases=PHASES), (), "replay and [[load.phases]] do not go together"),
    (COMPARE, FORBID | load(replay="log"), (), "a log sends what its callers sent"),
    (RUN, canary(load={"traffic": "canary", "phases": PHASES}), (), "leave out [[load.phases]]"),
    # of requests of several rows
    (COMPARE, load(rows_per_request=2), (), "up to 2, and the evaluation set has 2 rows"),
    (COMPARE, load(rows_per_request=2, traffic="canary"), (), "rows_per_request does not go with traffic"),
    (COMPARE, load(rows_per_request=2, trace=True), (), "the ids of a trace are computed from one row"),
    (COMPARE, load(rows_per_request=2, replay="log"), (), "a log says what each request sends"),
    (COMPARE, load(rows_per_request={"1": 0, "8": 1}), (), "the weight of 1 rows is 0"),
    (COMPARE, load(rows_per_request={"many": 1}), (), "neither a number nor a table"),
    (COMPARE, load(rows_per_request=0), (), "a request has 1 to 10,000 rows"),
    (CAPACITY, load(rows_per_request=2), (), "leave out [load] rows_per_request"),
    # of rows that must not be sent twice: 65 s at 50 a second, and those that are looked at
    (
        COMPARE,
        FORBID,
        (),
        "3,250 rows to send (warm-up included) and 20 looks before the load need 3,270 rows; it has 2",
    ),
    (COMPARE, FORBID | load(rates=[1, 2]), (), "give one rate"),
    (CAPACITY, FORBID, (), "capacity sends the same rows in each trial"),
    # of the gates
    (COMPARE, {"gates": ["accuracy[a=9] >= stable"]}, (), "no row has a=9"),
    (COMPARE, {"gates": ["capacity >= stable"]}, (), "use loadproof capacity --gate"),
    (CAPACITY, {"capacity": {"gates": ["p99 <= 1s"]}}, (), "knows one metric"),
    (RUN, canary(gates=["f1 >= stable"]), (), "f1 cannot be followed live"),
    (["canary", "auto"], canary(gates=["f1 >= stable"]), (), "f1 cannot be followed live"),
    # of servers elsewhere
    (COMPARE, URLS | load(restarts=2), (), "cannot be restarted"),
    (COMPARE, URLS | load(traffic="canary"), (), "take duet traffic"),
    *(
        (CAPACITY, URLS, [option, "0.5"], f"{option} needs CPU limits")
        for option in ("--cpus", "--price", "--at-rate")
    ),
    (RUN, URLS | CANARY, (), "take duet traffic"),
    (UP, URLS, (), "have no gateway for a canary"),
    # of a demo that has yet to be trained, as far as it can be known
    *(
        (verb, {"model": {"trainer": "shop"}, "data": {"path": "gone.csv"}} | wrong, options, says)
        for verb, wrong, options, says in (
            (COMPARE, load(traffic="stable"), (), "stable traffic loads one version"),
            (COMPARE, {"gates": ["mae <= 1"]}, (), "mae is for regressions"),
            (COMPARE, {"gates": ["value >= stable"]}, (), "names no value column"),
            (COMPARE, {}, ["--results", "rows.csv"], "choose another --results"),
            (CAPACITY, {}, ["--backend", "cloud"], "no backend 'cloud'"),
            (RUN, canary(load={"traffic": "duet"}), (), 'a canary needs [load] traffic = "canary"'),
            (UP, URLS, (), "have no gateway for a canary"),
        )
    ),
]


@pytest.mark.parametrize(("verb", "wrong", "options", "says"), WRONG)
def test_what_is_wrong_builds_trains_starts_and_writes_nothing(
    tmp_path, monkeypatch, verb, wrong, options, says
):
    global watching
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b,label\n1,2,x\n3,4,y\n")
    for version in ("v1", "v2"):
        (tmp_path / "models" / version).mkdir(parents=True)
        (tmp_path / "models" / version / "model.toml").write_text(MANIFEST)
    right = {"name": "mine", "model": {"name": "mine", "folder": "models"}, "data": {"path": "rows.csv"}}
    whole = right | {part: right.get(part, {}) | keys if isinstance(keys, dict) else keys
                     for part, keys in wrong.items()}  # fmt: skip
    (tmp_path / "mine.toml").write_text(tomli_w.dumps(whole))
    before = sorted(tmp_path.rglob("*"))
    STARTED.clear()
    watching = True
    try:
        done = CliRunner().invoke(app, [*verb, "--experiment", "mine.toml", *options])
    finally:
        watching = False
    assert isinstance(done.exception, UsageError), done.output
    assert says in str(done.exception)
    assert done.output == ""
    assert STARTED == []
    assert sorted(tmp_path.rglob("*")) == before


def test_the_hook_sees_what_is_started(tmp_path):
    global watching
    STARTED.clear()
    watching = True
    try:
        with pytest.raises(ModelError):
            train_if_absent(experiment(tmp_path, trainer="nosuch"), lambda _: None)
    finally:
        watching = False
    assert any("nosuch" in started for started in STARTED)
