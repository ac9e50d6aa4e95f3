import json
import tomllib

import numpy as np
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.experiment import Experiment, Load
from loadtest.workflows.replay import resolve_replay

CSV = "a,b,label\n" + "".join(f"{i},{i * i},{'xy'[i % 2]}\n" for i in range(10))
SECONDS = [{"time": 100 + i} for i in range(60)]


def replayed(tmp_path, lines, *, own=False, data=(), **load):
    """Resolve the replay of a log; ``own``: it is its own evaluation set."""
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "rows.csv").write_text(CSV)
    experiment = Experiment.parse(
        {
            "name": "x",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": str(log if own else tmp_path / "rows.csv"), **dict(data)},
            "load": {"replay": str(log), **load},
        },
        "x",
    )
    resolved, notes = resolve_replay(experiment, tmp_path / "results")
    return resolved, Dataset.read(resolved.data), "; ".join(notes)


def bodies(*given, **fields):
    return [{"time": 0.25 + i, "body": given[i % len(given)]} | fields for i in range(60)]


def test_times_alone_send_every_row_before_any_twice(tmp_path):
    lines = [{"time": 7.5 - 0.1 * i} for i in range(75)]  # the last first, as logs by end of request are
    experiment, dataset, notes = replayed(tmp_path, lines)
    assert dataset.recorded.times == pytest.approx(0.1 * np.arange(75))
    for tens in dataset.recorded.rows[:70].reshape(7, 10):
        assert sorted(tens) == list(range(10))
    assert (dataset.names, dataset.labels.tolist()[:2]) == (("a", "b"), ["x", "y"])
    assert experiment.load.duration == pytest.approx(7.5)  # a request more would have come then
    assert experiment.load.rate == pytest.approx(10)
    assert "does not say what was sent" in notes
    assert "replays 75 requests (a log of requests) in 8 s, 10 a second and 10 in the busiest one" in notes


def test_rows_are_sent_where_the_log_names_them(tmp_path):
    _, dataset, _ = replayed(tmp_path, [{"time": i + 0.5, "row": (7 * i) % 10} for i in range(20)])
    assert dataset.recorded.rows.tolist() == [(7 * i) % 10 for i in range(20)]
    assert dataset.columns["b"].to_pylist() == [i * i for i in range(10)]


def test_bodies_are_rows_each_once(tmp_path):
    _, dataset, notes = replayed(
        tmp_path, bodies({"a": 1, "c": "x"}, {"a": 2}), own=True, data={"features": ["a", "c"]}
    )
    assert dataset.columns.to_pydict() == {"a": [1, 2], "c": ["x", None]}
    assert dataset.recorded.rows.tolist() == [0, 1] * 30
    assert not dataset.labelled
    assert "labels" not in notes


def test_cells_by_position_get_the_names_of_the_evaluation_set(tmp_path):
    _, dataset, notes = replayed(tmp_path, bodies([1, 2.5], [[3, 4], [5, 6]]))
    assert dataset.columns.to_pydict() == {"a": [1, 3, 5], "b": [2.5, 4, 6]}
    assert "rows.csv names the columns, its rows are not used" in notes
    assert "30 requests have several rows, and are sent so" in notes
    assert dataset.recorded.sizes.tolist() == [1, 2] * 30
    assert dataset.recorded.rows.tolist() == [0, 1, 2] * 30


def test_cells_by_position_have_names_without_one(tmp_path):
    _, dataset, _ = replayed(tmp_path, bodies([1, 2]), own=True)
    assert dataset.names == ("x1", "x2")


def test_labels_of_all_requests_are_the_labels(tmp_path):
    experiment, dataset, _ = replayed(tmp_path, bodies({"a": 1}, label=7), own=True, data={"label": "truth"})
    assert experiment.data.label == "truth"
    assert dataset.labels.tolist() == ["7"]


def test_labels_of_some_requests_are_none_and_it_is_said(tmp_path):
    lines = bodies({"a": 1}, {"a": 2})
    lines[3]["label"] = "x"
    experiment, dataset, notes = replayed(tmp_path, lines, own=True, data={"label": "truth"})
    assert experiment.data.label is None
    assert not dataset.labelled
    assert "only 1 of 60 requests have labels, so none is used" in notes


def test_each_row_of_a_request_has_its_label(tmp_path):
    lines = bodies([[1, 2], [3, 4], [1, 2]], labels=["x", "y", "z"])
    _, dataset, notes = replayed(tmp_path, lines, own=True, data={"label": "truth"})
    assert dataset.columns.to_pydict() == {"x1": [1, 3, 1], "x2": [2, 4, 2], "truth": ["x", "y", "z"]}
    assert dataset.labels.tolist() == ["x", "y", "z"]
    # the first row and the third send the same and are two, as one of them is answered wrongly
    assert dataset.recorded.rows.reshape(60, 3).tolist() == [[0, 1, 2]] * 60
    assert "labels" not in notes


def test_requests_of_several_rows_of_the_evaluation_set(tmp_path):
    _, dataset, _ = replayed(tmp_path, [{"time": i + 0.5, "rows": [i % 10, 9 - i % 10]} for i in range(60)])
    assert dataset.recorded.rows.reshape(60, 2)[:2].tolist() == [[0, 9], [1, 8]]
    assert dataset.labels[[0, 9]].tolist() == ["x", "y"]


def test_each_row_that_is_split_off_has_its_user(tmp_path):
    lines = bodies([[1, 2], [3, 4]], users=["a", "b"])
    _, dataset, _ = replayed(tmp_path, lines, own=True, split_rows=True)
    users = dataset.recorded.users.reshape(60, 2)
    assert (users[:, 0] != users[:, 1]).all()
    assert (users == users[0]).all()


def labelled_later(tmp_path, truth, lines, **more):
    """Resolve the replay of a log, whose labels stand in another file."""
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in truth))
    return replayed(tmp_path, lines, data={"label": "truth"}, replay_labels=str(path), **more)


def sagemakers(event, data, **more):
    return {
        "groundTruthData": {"data": data, "encoding": "CSV"},
        "eventMetadata": {"eventId": event},
        "eventVersion": "0",
        **more,
    }


def logged(count):
    return [{"time": 0.25 + i, "body": [[i, 1], [i, 2]], "id": f"e{i % 10}"} for i in range(count)]


def test_labels_that_came_later_are_found_by_the_ids(tmp_path):
    # in any order, of more than this log, and one of them twice, as logs are gathered
    truth = [sagemakers(f"e{i}", f"{'no' if i % 2 else 'yes'}\nmaybe") for i in range(19, -1, -1)]
    experiment, dataset, notes = labelled_later(tmp_path, [*truth, truth[0]], logged(60), own=True)
    assert dataset.labels.tolist()[:4] == ["yes", "maybe", "no", "maybe"]
    assert "labels" not in notes
    again = Experiment.parse(tomllib.loads(experiment.to_toml()), "stored")
    assert again.load.replay_labels == tmp_path / "truth.jsonl"


def test_numbers_that_came_later_are_a_regressions(tmp_path):
    truth = [sagemakers(f"e{i}", f"{i}.5\n7") for i in range(10)]
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in truth))
    data = {"label": "truth", "task": "regression"}
    _, dataset, _ = replayed(tmp_path, logged(60), own=True, data=data, replay_labels=str(path))
    assert dataset.labels.tolist()[:4] == [0.5, 7, 1.5, 7]


@pytest.mark.parametrize(
    ("truth", "lines", "error"),
    [
        ([], logged(60), "truth.jsonl: is empty; .* replay_labels must name a file of labels"),
        ([{"label": 1}], logged(60), "line 1: has no id"),
        ([sagemakers("", "1")], logged(60), "line 1: eventMetadata has no eventId"),
        ([{"id": "e1"}], logged(60), r"line 1: has neither label nor labels \(line 2 of .*; and 3 more"),
        ([{"id": "e1", "label": 1}], logged(60)[:12], "line 1: has one label for 2 rows; .*; line 1"),
        ([sagemakers("e1", "1")], logged(11), "line 1: groundTruthData has 1 labels for 2 rows"),
        (
            [{"id": "e1", "labels": [1, 0]}, {"id": "e1", "labels": [1, 1]}],
            logged(60),
            "line 2: labels 'e1' otherwise than line 1",
        ),
        ([{"id": "z", "labels": [1, 0]}], logged(60), "it has ids such as 'z', the log such as 'e0'"),
        (
            [{"id": "e0", "labels": [1, 0]}, {"id": "e1", "labels": [1, None]}],
            logged(12),
            r"leaves 10 of the 12 requests of .* such as 'e1' \(line 2\); .* gate agreement",
        ),
        ([{"id": "e1", "label": 1}], bodies([1, 2]), "names requests by their ids, and those of .* none"),
        ([{"id": "e1", "label": 1}], SECONDS, "does not say what that was; leave out .* replay_labels"),
    ],
)
def test_labels_that_came_later_and_do_not_fit(tmp_path, truth, lines, error):
    with pytest.raises(DatasetError, match=error):
        labelled_later(tmp_path, truth, lines)


def test_users_stay_who_they_are(tmp_path):
    _, dataset, _ = replayed(tmp_path, [{"time": i + 0.5, "user": "abc"[i % 3]} for i in range(60)])
    users = dataset.recorded.users
    assert (users[:-3] == users[3:]).all()
    assert len(set(users.tolist())) == 3


@pytest.mark.parametrize(
    ("load", "times", "duration"),
    [
        ({"speed_up": 2}, np.arange(60) / 2, 30),
        ({"replay_from": "20s"}, np.arange(40), 40),
        ({"replay_from": 20, "replay_for": 10, "speed_up": 0.5}, np.arange(10) * 2, 20),
        # the log ends before: what it does not cover is no pause
        ({"replay_from": 50, "replay_for": "1h"}, np.arange(10), 10),
    ],
)
def test_a_log_is_cut_and_sped_up(tmp_path, load, times, duration):
    lines = [{"time": 0.25 + i} for i in range(60)]
    experiment, dataset, _ = replayed(tmp_path, lines, **load)
    assert dataset.recorded.times == pytest.approx(times, abs=1e-9)
    assert experiment.load.duration == pytest.approx(duration)


def test_bursts_and_pauses_survive(tmp_path):
    burst = np.linspace(10, 10.5, 500)
    times = np.concatenate([np.linspace(0, 10, 100, endpoint=False), burst, np.linspace(20.5, 30, 96)])
    _, dataset, notes = replayed(tmp_path, [{"time": float(at)} for at in times])
    assert dataset.recorded.times == pytest.approx(times)
    assert "510 in the busiest one" in notes or "500 in the busiest one" in notes


def test_whole_seconds_are_no_bursts(tmp_path):
    _, dataset, notes = replayed(tmp_path, [line for line in SECONDS for _ in range(10)])
    assert "whole seconds" in notes
    assert len(np.unique(dataset.recorded.times)) == 600
    assert np.diff(dataset.recorded.times).max() < 2


def test_a_spike_is_a_phase(tmp_path):
    rng = np.random.default_rng(1)
    times = np.concatenate([rng.uniform(0, 90, 900), rng.uniform(30, 50, 1200)])
    experiment, *_ = replayed(tmp_path, [{"time": float(at)} for at in times])
    load = experiment.load
    assert load.phase_ends == pytest.approx([30, 50, 90], abs=2.7)
    assert [phase.rate for phase in load.phases] == pytest.approx([10, 70, 10], rel=0.25)
    assert load.expected(load.duration) == pytest.approx(2100)


def test_a_resolved_experiment_is_replayed_as_it_is(tmp_path):
    experiment, *_ = replayed(tmp_path, SECONDS, speed_up=2)
    again = Experiment.parse(tomllib.loads(experiment.to_toml()), "stored")
    assert again == experiment
    assert (again.load.speed_up, again.load.replay) == (2, tmp_path / "log.jsonl")
    assert resolve_replay(again, tmp_path / "results") == (again, ())


@pytest.mark.parametrize(
    ("lines", "load", "own", "error"),
    [
        (SECONDS, {}, True, "does not say what was sent here; name the evaluation set"),
        (SECONDS, {"speed_up": 50}, False, "the replay lasts 1.2 s, at least 5 s"),
        (SECONDS, {"replay_from": "1h"}, False, "the log lasts 59 s|the log lasts 60 s"),
        ([{"time": i + 0.5, "row": i} for i in range(11)], {}, False, "line 11 has row 10; .* rows 0 to 9"),
        ([{"time": 1, "row": 1}, {"time": 9}], {}, False, "line 2 has no row"),
        ([*bodies({"a": 1}), {"time": 70}], {}, True, "line 61 has no body"),
        (bodies([1, 2, 3]), {}, False, "line 1 sends 3 cells, 2 columns are named"),
        (bodies({"label": 1}, label=1), {}, True, "has a cell 'label' in its body"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, lines, load, own, error):
    with pytest.raises((DatasetError, ExperimentError), match=error):
        replayed(tmp_path, lines, own=own, **load)
    assert not (tmp_path / "results").exists()


def test_a_row_that_one_split_request_has_twice_is_two_samples_that_can_be_told_apart(tmp_path):
    twice = [{"time": i // 2, "body": [[1, 2], [3, 4], [1, 2]]} for i in range(40)]
    _, dataset, notes = replayed(tmp_path, twice, split_rows=True)
    assert "40 requests of several rows are sent as one request per row" in notes
    recorded = dataset.recorded
    assert len(set(zip(recorded.times.tolist(), recorded.rows.tolist(), strict=True))) == len(recorded) == 120
    assert recorded.times == pytest.approx(np.sort(recorded.times))
    assert np.bincount(recorded.rows).tolist() == [80, 40]


def test_requests_of_several_rows_are_sent_as_logged(tmp_path):
    lines = [
        # in the order of the log, also of two at one instant; a row that a request has twice is sent once
        {
            "time": i // 2 / 2 + 0.25,
            "body": [[3, 4], [1, 2], [3, 4]] if i % 2 else [[5, 6]],
            "user": str(i % 3),
        }
        for i in range(80)
    ]
    experiment, dataset, notes = replayed(tmp_path, lines)
    recorded = dataset.recorded
    assert recorded.sizes.tolist() == [1, 2] * 40
    assert [dataset.columns["a"][int(row)].as_py() for row in recorded.rows] == [5, 3, 1] * 40
    assert len(set(recorded.times.tolist())) == 80
    assert recorded.times == pytest.approx(np.repeat(np.arange(40) / 2, 2), abs=1e-8)
    assert (recorded.users[:-3] == recorded.users[3:]).all()
    assert "40 rows that a request has a second time are left out of it" in notes
    assert "replays 80 requests" in notes
    assert experiment.load.rows_per_request == ((1, 40.0), (2, 40.0))
    again = Experiment.parse(tomllib.loads(experiment.to_toml()), "stored")
    assert again == experiment


@pytest.mark.parametrize(
    ("load", "data", "name"),
    [
        ({"traffic": "canary"}, {}, "traffic canary"),
        ({"trace": True}, {}, "trace"),
        # of several rows one value each is read
        (
            {},
            {"task": "regression", "outputs": {"price": "b"}, "label": "b", "features": ["a"]},
            r"\[data.outputs\]",
        ),
    ],
)
def test_several_rows_where_one_fits_need_to_be_split(tmp_path, load, data, name):
    lines = bodies([{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    with pytest.raises(ExperimentError, match=f"several rows, which do not go with {name}; .*split_rows"):
        replayed(tmp_path, lines, data=data, **load)
    _, dataset, _ = replayed(tmp_path, lines, split_rows=True, data=data, **load)
    assert dataset.recorded.sizes is None


def test_a_mean_gap_is_one_between_requests_however_many_rows_they_have(tmp_path):
    lines = [{"time": 0.25 + i, "body": [[3, 4], [1, 2], [5, 6]]} for i in range(60)]
    experiment, *_ = replayed(tmp_path, lines)
    assert experiment.load.duration == pytest.approx(60)


def test_only_a_log_is_split():
    with pytest.raises(ValueError, match="split_rows is about a log"):
        Load(split_rows=True)
