import json
import subprocess
import sys

import pytest

from loadtest.errors import LabError
from loadtest.lab.interface import Backend
from loadtest.lab.leftovers import LabNote, dead_labs, new_folder, temporary_folder
from loadtest.lab.select import remove_leftovers


def killed(notes, **facts):
    """The note of a lab whose command was killed."""
    code = (
        "import json, os, pathlib, signal, sys; from loadtest.lab.leftovers import LabNote; "
        "note = LabNote(pathlib.Path(sys.argv[1]), **json.loads(sys.argv[2])); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(notes), json.dumps(facts)], check=False, timeout=60)


def backend(remove):
    return Backend("kind", "a kind", 1, prepare=lambda _: None, remove=remove)


def test_a_lab_that_lives_is_left_alone_and_one_that_ended_leaves_nothing(tmp_path):
    notes = tmp_path / "notes"
    with LabNote(notes, backend="kind"), dead_labs(notes) as dead:
        assert dead == []
        assert len(list(notes.iterdir())) == 1
    assert list(notes.iterdir()) == []


def test_what_a_killed_command_left_is_removed_once_and_named(tmp_path):
    notes, said, removed = tmp_path / "notes", [], []
    killed(notes, backend="kind", project="p")

    def remove(noted, name):
        removed.append((noted["project"], name))
        remove_leftovers(said.append, [backend(remove)], notes)  # another command, at the same time
        return f"project {noted['project']}"

    with LabNote(notes, backend="kind", project="mine"):
        for _ in range(2):
            remove_leftovers(said.append, [backend(remove)], notes)
        assert [project for project, _ in removed] == ["p"]
        assert said == ["a command was killed and left its lab behind; removed project p"]
        assert len(list(notes.iterdir())) == 1


def test_a_temporary_folder_goes_with_its_command_or_with_the_next(tmp_path):
    notes = tmp_path / "notes"
    folder, others = new_folder(), tmp_path / "loadproof-of-somebody"
    link = tmp_path / "tmp"
    link.symlink_to(folder.parent)
    # a command whose TMPDIR is a link to ours
    linked = link / new_folder().name
    with temporary_folder(notes) as own:
        for path in (folder, linked, others):
            path.mkdir()
            killed(notes, folder=str(path))
        killed(notes, folder=str(new_folder()))  # killed before it made it
        said = []
        remove_leftovers(said.append, [], notes)
        # a note of another place is not believed
        assert [path.exists() for path in (own, folder, linked, others)] == [True, False, False, True]
    assert (own.exists(), said, list(notes.iterdir())) == (False, [], [])


def test_what_cannot_be_removed_is_tried_again_by_the_next(tmp_path):
    notes, said = tmp_path / "notes", []
    killed(notes, backend="kind", project="p")

    def fail(*_):
        raise LabError("no Docker Engine answers")

    for _ in range(2):
        remove_leftovers(said.append, [backend(fail)], notes)
    assert said == ["a command was killed, and its lab cannot be removed: no Docker Engine answers"] * 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"backend": "of another release"}'])
def test_a_note_that_says_nothing_harms_nobody(tmp_path, content):
    tmp_path.chmod(0o700)
    (tmp_path / "x.json").write_text(content)
    said = []
    remove_leftovers(said.append, [backend(lambda *_: "")], tmp_path)
    assert said == []


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    notes.chmod(0o777)
    (notes / "x.json").write_text('{"backend": "kind"}')
    said = []
    remove_leftovers(said.append, [backend(lambda *_: "everything")], notes)
    assert (said, LabNote(notes, backend="kind").name) == ([], "")
