"""`loadproof publish`, and what `compare` does after its verdict: nothing there changes the verdict."""

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.judging.run_of import write_run
from loadtest.cli.console import conclude
from loadtest.cli.main import app
from loadtest.cli.publish import Publication
from loadtest.errors import TargetError, UsageError
from loadtest.publish.stored_verdict import read_verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish") / "a run"
    write_run(folder, 3_000)
    CliRunner().invoke(app, ["judge", str(folder), "--write", "--gate", "error_rate <= 50%"])
    return folder


class Destination:
    name, retry = "a friend", "--friend"

    def __init__(self, error=None):
        self.error, self.got = error, []

    def deliver(self, stored):
        if self.error:
            raise self.error
        self.got.append(stored)
        return "a friend knows"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (None, []),
        (
            TargetError("it is away"),
            [
                "not delivered to a friend: it is away",
                "the verdict stands; retry: loadproof publish '{}' --friend",
            ],
        ),
        (ZeroDivisionError("oh"), ["not published: ZeroDivisionError: oh; the verdict stands"]),
        # Ctrl-C of a person who waits no longer
        (KeyboardInterrupt(), ["publishing was interrupted; the verdict stands"]),
    ],
)
def test_the_verdict_stands(run, error, says):
    said = []
    publication = Publication([Destination(error)], said.append)
    with pytest.raises(typer.Exit) as end:
        conclude(read_verdict(run).verdict, run, publication.after_verdict)
    assert end.value.exit_code == 0
    assert said == [line.format(run) for line in says]


def test_one_that_is_away_keeps_no_other_waiting(run):
    other = Destination()
    Publication([Destination(TargetError("away")), other], lambda _: None).after_verdict(run)
    assert [stored.run for stored in other.got] == ["a run"]


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["publish", "{run}"], {}, "say where to"),
        (["publish", "{run}", "--otlp"], {}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        (
            ["publish", "{run}", "--otlp"],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"},
            "carried no trace; measure with --trace",
        ),
        # only where spans are to be sent
        (["compare", "--trace"], {"OTEL_EXPORTER_OTLP_ENDPOINT": "h:4318"}, "ENDPOINT is no URL"),
        (["publish", "{run}", "--mlflow"], {}, "MLFLOW_TRACKING_URI is not set"),
        (["publish", "{run}", "--mlflow-on-pass", "a@models:/b/1"], {}, "give --mlflow, too"),
        # before there is any load
        (["compare", "--mlflow"], {}, "MLFLOW_TRACKING_URI is not set"),
        (["compare", "--mlflow", "--mlflow-on-pass", "champion"], {}, "write ALIAS@models:/NAME/VERSION"),
    ],
)
def test_what_cannot_be_asked(run, arguments, environment, says):
    given = [argument.format(run=run) for argument in arguments]
    done = CliRunner().invoke(app, given, env={"MLFLOW_TRACKING_URI": None} | environment)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
