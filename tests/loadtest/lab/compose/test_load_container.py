"""The load generator in a container, whose Docker is a script: its files on a disk that takes no more."""

import json

import pytest

from loadtest.data.cut_off_run import read_cut_off_run
from loadtest.data.run_folder import LOAD, holds_samples
from loadtest.data.sample_lines import sample_line
from loadtest.data.sample_stream import stream_facts
from loadtest.errors import LabError
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.load_container import ComposeLoad
from loadtest.lab.compose.project import Container
from tests.loadtest.made_samples import Sample, sample_set

SAMPLES = sample_set([Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)])
SO_FAR = {"duration_s": 1.0, "valid": True}
IN_THE_END = {"duration_s": 2.0, "valid": True}
SCRIPT = """#!/bin/sh
case "$*" in
"cp - "*) cat > /dev/null;;
start*) cat {here}/lines;;
cp*load.json*) {last};;
cp*) echo "{trouble}" >&2; exit 1;;
esac
"""


@pytest.fixture
def load(tmp_path):
    """``load("no space left on device")``: a generator that has printed a sample and cannot be copied out."""

    def make(trouble, last="exit 1", printed=True):
        here, job = tmp_path / "docker", tmp_path / "job"
        here.mkdir()
        job.mkdir()
        line = sample_line(SAMPLES.to_bytes(), stream_facts(SO_FAR, None)) + "\n"
        (here / "lines").write_text(line if printed else "")
        (here / LOAD).write_text(json.dumps(IN_THE_END))
        program = here / "docker"
        program.write_text(SCRIPT.format(here=here, trouble=trouble, last=last.format(here=here)))
        program.chmod(0o755)
        container = Container("1a", "load", "", {}, 0, {}, {})
        return ComposeLoad(Docker(str(program)), container, job, 60.0), job

    return make


@pytest.mark.parametrize(
    ("last", "facts"),
    [
        # what it said in the end needs no file of this machine
        ("tar -C {here} -cf - load.json", IN_THE_END),
        # it is not to be had, nor is it an archive
        ("exit 1", SO_FAR),
        ("echo no archive", SO_FAR),
    ],
)
@pytest.mark.parametrize("trouble", ["write /r/.copy-1/x: no space left on device", "Disk quota exceeded"])
def test_where_its_files_do_not_fit_the_stream_has_every_sample(load, trouble, last, facts):
    process, job = load(trouble, last)
    list(process.lines())
    assert process.wait() == 0
    there = read_cut_off_run(job, 60.0)
    assert there.samples.table.equals(SAMPLES.table)
    assert there.load == facts | {"cut_off": None}
    assert [path.name for path in job.iterdir()] == ["samples.stream"]


@pytest.mark.parametrize("printed", [True, False])
def test_any_other_trouble_is_one_and_keeps_what_was_measured(load, printed):
    process, job = load("no such container", printed=printed)
    list(process.lines())
    with pytest.raises(LabError, match="no such container"):
        process.wait()
    assert holds_samples(job) == printed
