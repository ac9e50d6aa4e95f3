import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.errors import ServiceDied, StartError
from loadtest.lab.interrupts import interrupts_deferred
from loadtest.lab.processes.supervisor import Supervisor, run_supervised
from tests.waiting import HUNG, eventually, runs

ROOT = Path(__file__).parents[4]


@pytest.fixture
def supervisor(tmp_path):
    with Supervisor(tmp_path, ROOT) as supervisor:
        yield supervisor


def python(code):
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "how", "log"),
    [
        ("print('out of ideas'); raise SystemExit(3)", "ended with exit code 3", "out of ideas"),
        # a clean end is unasked for as well
        ("import sys; sys.stderr.write('bye')", "ended with exit code 0", "bye"),
        ("import os; print('now', flush=True); os.kill(os.getpid(), 11)", "was killed by SIGSEGV", "now"),
    ],
)
def test_a_service_that_ends_is_named_with_the_end_of_its_log(supervisor, code, how, log):
    service = supervisor.start("candidate", python(code))
    eventually(lambda: service.ended() is not None)
    with pytest.raises(ServiceDied, match=f"candidate {how}") as caught:
        supervisor.check()
    assert log in caught.value.log[-1]


def test_the_end_of_a_log_is_its_last_twenty_lines(supervisor):
    service = supervisor.start("stable", python("for i in range(50_000): print('line', i)"))
    eventually(lambda: service.ended() is not None)
    assert service.tail() == tuple(f"line {i}" for i in range(49_980, 50_000))


def test_services_that_run_pass_the_check_and_stopped_ones_are_no_longer_checked(supervisor):
    first = supervisor.start("stable", ["sleep", "60"])
    supervisor.start("candidate", ["sleep", "60"])
    supervisor.check()
    supervisor.stop(first)
    supervisor.check()
    assert not runs(first.process.pid)


def test_a_program_that_is_not_there_is_named(supervisor):
    with pytest.raises(StartError, match="gateway: cannot run /no/such/envoy"):
        supervisor.start("gateway", ["/no/such/envoy"])


def test_standard_output_can_go_elsewhere(supervisor, tmp_path):
    code = "import sys; print('answer'); sys.stderr.write('trouble')"
    service = supervisor.start("gateway", python(code), stdout=tmp_path / "access.log")
    eventually(lambda: service.ended() is not None)
    assert (tmp_path / "access.log").read_text() == "answer\n"
    assert service.tail() == ("trouble",)


ORDERLY = """
import signal, sys
def end(*_):
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
signal.pause()
"""


def test_services_are_stopped_in_reverse_order(tmp_path):
    with Supervisor(tmp_path, ROOT) as supervisor:
        for name in "abc":
            service = supervisor.start(name, [*python(ORDERLY), str(tmp_path / "order"), name])
            eventually(lambda service=service: service.tail() == ("up",))
    assert (tmp_path / "order").read_text() == "cba"


STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
signal.pause()
"""
WITH_CHILDREN = """
import signal, subprocess
same = subprocess.Popen(["sleep", "300"])
own = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(same.pid, own.pid, flush=True)
signal.pause()
"""


def test_a_service_that_ignores_sigterm_is_killed_after_the_grace(supervisor):
    service = supervisor.start("stubborn", python(STUBBORN))
    eventually(lambda: service.tail() == ("up",))
    began = time.monotonic()
    supervisor.stop(service, grace=0.3)
    assert time.monotonic() - began >= 0.3
    assert service.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "after a crash"])
def test_what_a_service_started_goes_with_it(supervisor, crash):
    service = supervisor.start("parent", python(WITH_CHILDREN))
    # what is printed comes in pieces
    eventually(lambda: len(" ".join(service.tail()).split()) == 2)
    same, own = (int(pid) for pid in service.tail()[0].split())
    if crash:
        service.process.kill()
        service.process.wait()
    supervisor.stop(service)
    eventually(lambda: not runs(same))
    if not crash:
        eventually(lambda: not runs(own))
    elif runs(own):
        # nothing ties it to the dead service any more but a cgroup, which this test does without
        os.kill(own, signal.SIGKILL)


KILLED_TOO_SOON = """
import os, signal, sys
from pathlib import Path
from loadtest.lab.processes.supervisor import Supervisor
from loadtest.lab.processes.reaper import Reaper
class Never(Reaper):
    def started(self, pid):
        print(pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
with Supervisor(folder, Path.cwd(), reaper=Never) as supervisor:
    supervisor.start("gateway", ["touch", str(folder / "it began")])
"""


def test_a_service_that_nobody_was_told_of_never_begins(tmp_path):
    command = [*python(KILLED_TOO_SOON), str(tmp_path)]
    # another test's command would speak of a lab that is killed
    mine = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=HUNG, env=mine)
    assert done.returncode == -signal.SIGKILL
    eventually(lambda: not runs(int(done.stdout)))
    assert not (tmp_path / "it began").exists()


def test_a_ctrl_c_waits_for_a_block_that_must_not_be_cut_short():
    reached = []

    def block():
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["the end"]


def test_handlers_are_as_before_after_the_block():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interrupts_deferred():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("pass", (0, ())),
        # what it prints is nobody's, and what it says of its end is kept
        ("import sys; print('an answer'); sys.exit('no room')", (1, ("no room",))),
        ("import os; os.kill(os.getpid(), 9)", (-9, ())),
        ("import sys; [print(n, file=sys.stderr) for n in range(100)]", (0, tuple(map(str, range(80, 100))))),
    ],
)
def test_how_a_command_ended_and_its_last_words(code, ended):
    assert run_supervised("trainer", python(code)) == ended


def test_a_command_of_ours_that_is_not_there_is_named():
    with pytest.raises(StartError, match="trainer: cannot run /no/such/program"):
        run_supervised("trainer", ["/no/such/program"])
