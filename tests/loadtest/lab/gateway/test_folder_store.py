import json
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from loadtest.canary.codec import decode, encode
from loadtest.canary.state import Deployment, Note, State
from loadtest.errors import ControllerError, LabError, StateError, UsageError
from loadtest.lab.gateway.folder_store import FolderStore
from tests.gateway_doubles import NoGateway
from tests.waiting import HUNG, eventually

NOTE = Note("ann", "because", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))

KEEP_CHANGING = """
import sys
from pathlib import Path
from tests.loadtest.lab.gateway.test_folder_store import NOTE, store
running = store(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(int(sys.argv[2])):
    running.update(lambda state: state.set(n % 100 + 1, NOTE))
"""


class Serials(NoGateway):
    """In the routes file stands the serial of its state."""

    def files(self, state):
        return super().files(state) | {"routes.json": json.dumps({"serial": state.now.serial})}


def store(folder):
    return FolderStore(folder, Serials(), HUNG)


def begin():
    return State.begin(Deployment("stable", "v1"), Deployment("candidate", "v2"), NOTE)


@pytest.fixture
def started(tmp_path):
    running = store(tmp_path)
    running.start(begin)
    return running


def serials(folder):
    """What the state file and the routes file say; both through the links that services use."""
    state = decode((folder / "state.json").read_text(), "state.json")
    return state.now.serial, json.loads((folder / "routes.json").read_text())["serial"]


def change_in_another_process(folder, times):
    return subprocess.Popen(
        [sys.executable, "-c", KEEP_CHANGING, str(folder), str(times)], stdout=subprocess.PIPE, text=True
    )


def test_a_change_is_written_with_what_derives_from_it_and_confirmed(tmp_path):
    routes = Serials()
    running = FolderStore(tmp_path, routes)
    running.start(begin)
    after = running.update(lambda state: state.set(10, NOTE))
    assert running.read() == after == routes.confirmed[-1]
    assert serials(tmp_path) == (2, 2)
    # services in containers read it as other users, whatever the umask
    assert (tmp_path / "routes.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "current").resolve().stat().st_mode & 0o777 == 0o755


def test_a_change_that_is_refused_changes_nothing(started, tmp_path):
    with pytest.raises(UsageError):
        started.update(lambda state: state.set(200, NOTE))
    assert started.read() == begin()
    assert started.update(lambda state: state.set(1, NOTE)).now.serial == 2


def test_state_and_routes_change_together(started, tmp_path):
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            # one folder is one moment: whoever follows the link once sees both files of the same serial
            whole = (tmp_path / "current").resolve()
            try:
                state = decode((whole / "state.json").read_text(), "state.json")
                seen.add((state.now.serial, json.loads((whole / "routes.json").read_text())["serial"]))
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=read)
    reader.start()
    for percent in range(1, 60):
        started.update(lambda state, percent=percent: state.set(percent, NOTE))
    done.set()
    reader.join()
    assert len(seen) > 5
    assert all(state == routes for state, routes in seen)


def test_a_kill_at_any_moment_leaves_both_old_or_both_new_and_no_hole(started, tmp_path):
    for attempt in range(8):
        with change_in_another_process(tmp_path, 10_000) as process:
            process.stdout.readline()
            before, wanted = started.read().now.serial, attempt + 1
            eventually(lambda before=before, wanted=wanted: started.read().now.serial >= before + wanted)
            process.kill()
        state, routes = serials(tmp_path)
        assert state == routes
        # decode refuses a hole; the next command finds the lock free and clears what was left half made
        assert started.update(lambda state: state.hold(NOTE)).now.serial == state + 1
        assert len([path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_no_change_of_two_processes_is_lost(started, tmp_path):
    others = [change_in_another_process(tmp_path, 25) for _ in range(2)]
    for _ in range(25):
        started.update(lambda state: state.hold(NOTE))
    for other in others:
        other.communicate(timeout=HUNG)
        assert other.returncode == 0
    assert started.read().now.serial == 1 + 75


def test_a_second_controller_is_refused_in_a_line_that_names_the_first(started, tmp_path):
    with started.lead("auto of ann"), pytest.raises(ControllerError) as refused, store(tmp_path).lead("mine"):
        pass
    assert str(refused.value).startswith("auto of ann (process ")
    assert "\n" not in str(refused.value)
    # it let go in order
    with store(tmp_path).lead("mine"):
        pass


def test_what_a_killed_controller_leaves_is_taken_over(started, tmp_path):
    lead = (
        "import sys; from pathlib import Path\n"
        "from tests.loadtest.lab.gateway.test_folder_store import store\n"
        "with store(Path(sys.argv[1])).lead('the dead'): print('leads', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", lead, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "leads\n"
        with pytest.raises(ControllerError, match=rf"the dead \(process {process.pid}\)"), started.lead("me"):
            pass
        process.kill()
    with started.lead("me"):
        assert json.loads((tmp_path / "controller.json").read_text())["owner"] == "me"


def test_a_lab_goes_on_with_the_state_that_is_there(started, tmp_path):
    started.update(lambda state: state.set(25, NOTE))
    again = store(tmp_path)
    state = again.take_up({"stable": "v1", "candidate": "v2"}, percent=0)
    assert (state.now.serial, state.now.percent) == (2, 25)
    # other versions: of the new candidate nothing is known
    state = again.take_up({"stable": "v2", "candidate": "v3"}, percent=50)
    assert (state.now.action, state.now.percent, state.now.stable) == ("begin", 0, Deployment("stable", "v2"))
    assert len(state.history) == 3


def test_a_promoted_version_is_still_stable_when_the_lab_starts_again(started, tmp_path):
    started.update(lambda state: state.promote(NOTE))
    state = store(tmp_path).take_up({"stable": "v1", "candidate": "v2"}, percent=0)
    assert state.now.stable == Deployment("candidate", "v2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no state; start a lab first"),
        (b"{", "not a canary state"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_state_that_cannot_be_read_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "state.json").write_bytes(text)
    with pytest.raises(StateError, match=message):
        store(tmp_path).read()


def test_a_command_that_hangs_with_the_lock_is_named(started, tmp_path):
    inside, done = threading.Event(), threading.Event()

    def hang(state):
        inside.set()
        done.wait(HUNG)
        return state

    holder = threading.Thread(target=lambda: started.update(hang))
    holder.start()
    inside.wait(HUNG)
    with pytest.raises(LabError, match=r"another command has held the state for 0\.05 s"):
        FolderStore(tmp_path, Serials(), patience=0.05).update(lambda state: state)
    done.set()
    holder.join()


def test_the_written_file_is_the_encoded_state(started, tmp_path):
    assert (tmp_path / "state.json").read_text() == encode(begin())
