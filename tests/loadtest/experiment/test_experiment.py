import tomllib
from pathlib import Path

import pytest

from loadtest.errors import ExitCode, ExperimentError, GateError
from loadtest.experiment.experiment import EXPERIMENTS, Experiment
from loadtest.experiment.units import seconds

MINIMAL = """
name = "mine"
[model]
name = "mine"
folder = "models/mine"
[data]
path = "rows.csv"
"""


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_bundled_experiment_loads_and_says_what_it_measures(path):
    assert Experiment.load_file(path.stem).name == path.stem
    assert path.read_text().startswith("# Measures ")


def test_a_resolved_experiment_reads_back_equal(tmp_path):
    experiment = Experiment.load_file("compare", {"load": {"rate": 123.5, "duration": None}})
    assert experiment.load.rate == 123.5
    # with the byte order mark that an editor puts before it
    (tmp_path / "experiment.toml").write_text(experiment.to_toml(), encoding="utf-8-sig")
    assert Experiment.load_file(str(tmp_path / "experiment.toml")) == experiment


def test_a_log_of_the_command_line_stands_for_the_rate_of_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL + "[load]\nrate = 9\nduration = 9\nwarmup = 1\n")
    load = Experiment.load_file(str(path), {"load": {"replay": "log", "speed_up": 2, "rate": None}}).load
    assert (load.replay, load.speed_up, load.warmup) == (Path("log"), 2, 1)
    assert not load.model_fields_set & {"rate", "duration"}


@pytest.mark.parametrize("rows", ["8", "{1 = 0.7, 8 = 0.2, 64 = 0.1}"])
def test_the_sizes_of_requests_survive_being_written_and_read_back(tmp_path, rows):
    path = tmp_path / "mine.toml"
    path.write_text(f"{MINIMAL}[load]\nrows_per_request = {rows}\n")
    experiment = Experiment.load_file(str(path))
    assert experiment.load.most_rows == (8 if rows == "8" else 64)
    assert experiment.load.mean_rows == pytest.approx(8 if rows == "8" else 8.7)
    path.write_text(experiment.to_toml())
    assert Experiment.load_file(str(path)) == experiment


def test_several_rows_and_several_values_of_each_do_not_go_together(tmp_path):
    path = tmp_path / "mine.toml"
    outputs = '[data]\ntask = "regression"\noutputs = {price = "price", days = "days"}\npath = "x.csv"\n'
    path.write_text(MINIMAL.split("[data]")[0] + outputs + "[load]\nrows_per_request = 8\n")
    with pytest.raises(ExperimentError, match="rows_per_request does not go with"):
        Experiment.load_file(str(path))


def test_no_limit_survives_being_written_and_read_back(tmp_path):
    experiment = Experiment.parse(tomllib.loads(MINIMAL) | {"limits": {"cpus": 0}}, "x")
    assert experiment.limits.cpus is None
    (tmp_path / "experiment.toml").write_text(experiment.to_toml())
    assert Experiment.load_file(str(tmp_path / "experiment.toml")) == experiment


@pytest.mark.parametrize(
    ("text", "expected"), [("250ms", 0.25), ("60s", 60), ("2m", 120), ("1.5h", 5400), ("7", 7), (3, 3)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("extra", "error", "names"),
    [
        # a typo must not be read as a default
        ("[load]\nrat = 5", ExperimentError, ["load.rat: no such key; did you mean rate?"]),
        (
            "[load]\nxyzzy = 5",
            ExperimentError,
            ["load.xyzzy: no such key; there are baseline, control, duration"],
        ),
        ("[lod]\nrate = 5", ExperimentError, ["lod: no such key; did you mean load?"]),
        ("[[faults]]\nkind = 'wrong'\nsahre = 1", ExperimentError, ["faults.0.sahre", "did you mean share?"]),
        ("[[faults]]\nat = 1", ExperimentError, ["faults.0.kind: missing; docs/experiments.md"]),
        ("load = 3", ExperimentError, ["load: is a table of its own; write [load] above its keys"]),
        ("[load]\nrate = -1", ExperimentError, ["load.rate", "greater than 0"]),
        ('[load]\nduration = "soon"', ExperimentError, ["load.duration", "'60s'"]),
        ('[load]\ntraffic = "duel"', ExperimentError, ["load.traffic", "duet"]),
        ('[limits]\nmemory = "lots"', ExperimentError, ["limits.memory", "512m"]),
        ("[load]\nduration = true", ExperimentError, ["load.duration"]),
        # arrivals are drawn before the load, and a lab was started for them
        (
            "[load]\nrate = 1e308",
            ExperimentError,
            ["load: inf rows", "more than 1,000,000,000; lower the rate or the duration"],
        ),
        ('[load]\nduration = "9999999h"', ExperimentError, ["load: 1.8e+12 rows", "lower"]),
        ("[load]\nrates = [20, 1e300]", ExperimentError, ["load: ", "lower"]),
        # so many processes leave none for the machine
        ("[load]\nworkers = 100000", ExperimentError, ["load.workers", "less than or equal to 256"]),
        ("[load]\nrate = inf", ExperimentError, ["load.rate: Input should be a finite number"]),
        ("[load]\nduration = nan", ExperimentError, ["load.duration: Input should be a finite number"]),
        (
            '[target]\nstable = "http://x"',
            ExperimentError,
            ["target.candidate: missing; both", "--candidate-url"],
        ),
        (
            '[target]\nstable = "ftp://x"\ncandidate = "http://x"',
            ExperimentError,
            ["'ftp://x' is not the URL"],
        ),
        ("[load\n", ExperimentError, ["not readable as TOML"]),
    ],
)
def test_bad_experiments_name_the_place(tmp_path, extra, error, names):
    path = tmp_path / "mine.toml"
    # what is no table has to stand above them
    path.write_text(MINIMAL + extra if extra.startswith("[") else f"{extra}\n{MINIMAL}")
    with pytest.raises(error) as caught:
        Experiment.load_file(str(path))
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(caught.value)
    for name in ["mine.toml", *names]:
        assert name in str(caught.value)


def test_a_gate_that_does_not_parse_is_found_before_anything_starts(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('gates = ["p95 <= stabel + 10%"]\n' + MINIMAL)
    with pytest.raises(GateError, match=r"mine.toml: .*stabel"):
        Experiment.load_file(str(path))


def test_an_override_of_what_is_no_table_is_refused_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"load = 3\n{MINIMAL}")
    with pytest.raises(ExperimentError, match="load: is a table of its own"):
        Experiment.load_file(str(path), {"load": {"rate": 5}})


@pytest.mark.parametrize(
    ("overrides", "gates", "says"),
    [
        # what the command line says is not looked for in the file
        ({"load": {"rate": -1}}, (), r"^on the command line: load\.rate: .*greater than 0"),
        (
            {"load": {"duration": "5x", "rate": None}},
            (),
            r"^on the command line: load\.duration: '5x' is not",
        ),
        ({}, ["p95 < 3"], r"^--gate: gate 'p95 < 3' does not parse"),
        # the file's own fault, beside a good option
        ({"load": {"seed": 3}}, ["p95 <= 3ms"], r"mine\.toml: limits\.cpus: "),
    ],
)
def test_a_message_names_where_the_value_was_given(tmp_path, overrides, gates, says):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL + ("[limits]\ncpus = -1\n" if "mine" in says else ""))
    with pytest.raises((ExperimentError, GateError), match=says):
        Experiment.load_file(str(path), overrides, gates)


@pytest.mark.parametrize("gate", ["3", '{ metric = "p95" }'])
def test_a_gate_that_is_no_text_is_told_what_one_is(tmp_path, gate):
    path = tmp_path / "mine.toml"
    path.write_text(f"gates = [{gate}]\n{MINIMAL}")
    with pytest.raises(ExperimentError, match=r"gates\.0: a gate is text, such as 'p95 <= stable \+ 10%'"):
        Experiment.load_file(str(path))


def test_gates_of_the_command_line_replace_those_of_the_file():
    experiment = Experiment.load_file("compare", gates=["p99 <= 10ms"])
    assert [str(gate) for gate in experiment.gates] == ["p99 <= 10ms"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nosuch", "there are canary, compare, digits"), ("nosuch.toml", "no such experiment file")],
)
def test_an_unknown_experiment_lists_what_there_is(name, says):
    with pytest.raises(ExperimentError, match=says):
        Experiment.load_file(name)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        # not in order, one twice, not up to everybody
        ([10, 5, 100], "ascend"),
        ([10, 10, 100], "ascend"),
        ([1, 10], "the last is 100"),
        ([0, 100], "greater than 0"),
        ([], "at least 1 item"),
    ],
)
def test_steps_of_a_canary_go_up_to_everybody(steps, says):
    with pytest.raises(ExperimentError, match=says):
        Experiment.load_file("canary", {"canary": {"steps": steps}})


def test_a_rollback_gate_that_does_not_parse_is_named():
    with pytest.raises(GateError, match="p99 < 1s"):
        Experiment.load_file("canary", {"canary": {"rollback": ["p99 < 1s"]}})


@pytest.mark.parametrize(
    ("task", "quality"),
    [("classification", "accuracy >= stable - 1pp"), ("regression", "mae <= stable + 2%")],
)
def test_without_gates_there_are_some_that_fit_the_task(task, quality):
    document = {"name": "m", "model": {"name": "m", "folder": "m"}, "data": {"path": "r.csv", "task": task}}
    gates = [str(gate) for gate in Experiment.parse(document, "test").gates]
    assert quality in gates
    assert {"error_rate", "p50", "p99", "mismatches"} <= {gate.split()[0] for gate in gates}
    assert ("accuracy" in str(gates)) is (task == "classification")


STEADY = {"duration": 20, "rate": 20}


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ({"phases": [STEADY], "rate": 50}, "leave rate out"),  # two rates
        ({"phases": [STEADY], "duration": "60s"}, "leave duration out"),
        ({"phases": [STEADY], "rates": [10, 20]}, "rates and"),
        ({"phases": [STEADY], "until_decided": True}, "until_decided and"),
        ({"phases": [STEADY], "restarts": 2}, "restarts and"),
        ({"phases": [{"duration": "2s", "rate": 20}]}, "at least 5 s"),  # no two time blocks
        ({"phases": [{"duration": "20s", "rate": 0}]}, "no phase has arrivals"),
        ({"phases": [{"duration": "20s", "rate": 5, "too": 1}]}, "did you mean to"),
        ({"replay": "log", "duration": "9s"}, "duration follows from the log"),
        ({"replay": "log", "until_decided": True}, r"until_decided and \[load\] replay"),
        ({"replay": "log", "rates": [10, 20]}, r"rates and \[load\] replay"),
        ({"speed_up": 2}, "speed_up is about a log"),
        ({"replay_for": "20s"}, "replay_for is about a log"),
    ],
)
def test_phases_that_make_no_sense_are_refused(load, reason):
    raw = {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": "d.csv"}, "load": load}
    with pytest.raises(ExperimentError, match=reason):
        Experiment.parse(raw, "x.toml")


def test_phases_make_rate_and_duration_and_come_back_from_toml():
    load = {"phases": [STEADY, {"name": "up", "duration": "7.3s", "rate": 20, "to": 90.5}]}
    raw = {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": "d.csv"}, "load": load}
    experiment = Experiment.parse(raw, "x.toml")
    assert experiment.load.duration == pytest.approx(27.3)
    assert experiment.load.rate == pytest.approx((400 + 7.3 * 55.25) / 27.3)
    assert Experiment.parse(tomllib.loads(experiment.to_toml()), "again") == experiment


def test_a_model_lies_in_a_folder_of_its_name(tmp_path):
    """So an experiment on two URLs, which reads no folder, names none."""
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[model]\nname = "churn"\n[data]\npath = "rows.csv"\n')
    assert Experiment.load_file(str(path)).model.folder == Path("models/churn")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        # `loadproof init ../mine` writes it: a container has neither the folder it leaves nor the link
        ("here/../mine/rows.csv", "mine/rows.csv"),
        ("shortcut/rows.csv", "mine/rows.csv"),
        # a store of blobs: the name of the link says the format
        ("mine/linked.csv", "mine/linked.csv"),
    ],
)
def test_the_data_of_a_run_are_named_by_a_path_that_a_container_can_have(tmp_path, written, names):
    for folder in ("here", "mine"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine" / "blob").touch()
    (tmp_path / "mine" / "linked.csv").symlink_to("blob")
    (tmp_path / "shortcut").symlink_to("mine")
    experiment = Experiment.load_file("compare", {"data": {"path": str(tmp_path / written)}})
    assert experiment.with_absolute_data().data.path == tmp_path.resolve() / names
