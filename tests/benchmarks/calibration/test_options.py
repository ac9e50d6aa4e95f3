import pytest

from benchmarks.calibration.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # of a section that cannot go on, or of all
        (["--continue", "--minutes", "5"], "--continue goes with --only regression"),
        (["--only", "latency", "--continue"], "--continue goes with --only regression"),
        # nothing would end it then
        (["--only", "bounds", "--minutes", "5"], "--minutes goes with --continue"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_measured(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
