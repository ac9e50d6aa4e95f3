"""The benchmark's run folder is one that can be judged, by every gate it names."""

from benchmarks.judging.run_of import GATES, write_run
from loadtest.judge.verdict import Word
from loadtest.workflows.stored_run import judge_run, open_run, write_reports


def test_the_run_is_whole_and_every_gate_can_be_measured(tmp_path):
    write_run(tmp_path / "run", 15_000)
    run = open_run(tmp_path / "run")
    verdict = judge_run(run)
    write_reports(tmp_path / "run", run, verdict)
    assert [gate.name for gate in verdict.gates] == list(GATES)
    assert all(gate.estimate is not None for gate in verdict.gates)
    assert not any(gate.verdict is Word.FAIL for gate in verdict.gates)
    assert (tmp_path / "run" / "report.html").stat().st_size < 3e6
