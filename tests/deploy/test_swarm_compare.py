"""One comparison on a swarm, as Docker's own answers have it; tests/compose/test_swarm.py has a real one."""

import json

import pytest

from deploy.swarm.compare import SwarmError, await_lab, ended, submit


class Docker:
    """Answers by the first word or two of a command; a list is used up, one answer after the other."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, arguments):
        self.asked.append(list(arguments))
        name = "_".join(arguments[:2]) if arguments[0] != "inspect" else "inspect"
        answer = self.answers.get(name, "")
        return answer.pop(0) if isinstance(answer, list) else answer


def task(state, code=None, error=None):
    status = {"State": state}
    if code is not None:
        status["ContainerStatus"] = {"ExitCode": code}
    if error:
        status["Err"] = error
    return json.dumps([{"Status": status}])


READY = "lab_stable 1/1\nlab_trainer 0/1 (1/1 completed)\nlab_compare 0/1 (0/1 completed)\n"


@pytest.mark.parametrize(
    ("states", "updates", "pauses"),
    [
        ([READY], [""], []),
        # then the gateway has yet to learn where stable answers
        (
            [READY.replace("stable 1/1", "stable 0/1"), READY.replace("(1/1", "(0/1"), READY],
            ["", "", "\n"],
            [1.0, 1.0, 6.0],
        ),
        # what is ready is the version of before
        ([READY, READY], ["\nlab_stable\n", "\n\n"], [1.0, 6.0]),
    ],
)
def test_a_comparison_waits_for_its_lab(states, updates, pauses):
    docker, waited = Docker(service_ls=list(states), service_inspect=list(updates)), []
    await_lab(docker, "lab", 60.0, clock=lambda: 0.0, pause=waited.append)
    assert (docker.answers["service_ls"], docker.answers["service_inspect"], waited) == ([], [], pauses)


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ("", "no stack 'lab' is deployed"),
        (
            "lab_stable 0/1\nlab_trainer 0/1 (0/1 completed)\nlab_gateway 1/1\n",
            "lab_stable, lab_trainer: not ready after 60 s; docker service ps lab_stable",
        ),
    ],
)
def test_a_lab_that_does_not_come_up_is_named(services, says):
    times = iter([0.0, 61.0])
    with pytest.raises(SwarmError, match=says):
        await_lab(Docker(service_ls=services), "lab", 60.0, clock=lambda: next(times), pause=lambda _: None)


@pytest.mark.parametrize(
    ("told", "is_over"),
    [
        # one of several nodes lacks it
        ('"No such image: prom/prometheus:1"\n' * 3 + "\n", False),
        ("\n" + '"No such image: prom/prometheus:1"\n' * 4, True),
    ],
)
def test_an_image_that_no_node_has_is_not_waited_for(told, is_over):
    docker = Docker(service_ls="lab_prometheus 0/1\n", service_ps=told)
    # no `make images` builds it
    says = "No such image: prom/prometheus:1; .* and docker pull prom/prometheus:1 says why"
    says = f"lab_prometheus: {says}" if is_over else "not ready after 60 s"
    times = iter([0.0, 61.0])
    with pytest.raises(SwarmError, match=says):
        await_lab(docker, "lab", 60.0, clock=lambda: next(times), pause=lambda _: None)


@pytest.mark.parametrize(
    ("services", "removed"),
    [
        ("lab_gateway\n", False),
        # a job that was run is no new one, whatever the stack file says
        ("lab_gateway\nlab_compare\n", True),
    ],
)
def test_a_job_is_submitted_anew(services, removed):
    docker = Docker(service_ls=services, service_ps=["", "abc\n"])
    assert submit(docker, "lab", "stack.yaml", pause=lambda _: None) == "abc"
    assert (["service", "rm", "lab_compare"] in docker.asked) == removed
    deploys = [words for words in docker.asked if words[:2] == ["stack", "deploy"]]
    assert [words[-2:] for words in deploys] == [["stack.yaml", "lab"]]


def test_a_job_without_a_task_is_named():
    docker = Docker(service_ls="", service_ps="")
    with pytest.raises(SwarmError, match="lab_compare: the swarm made no task of it"):
        submit(docker, "lab", "stack.yaml", pause=lambda _: None)


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (task("complete", 0), 0),
        (task("complete"), 0),
        # a FAIL is a failed task to a swarm, and so is every other verdict
        (task("failed", 1, "task: non-zero exit (1)"), 1),
        (task("failed", 4, "task: non-zero exit (4)"), 4),
    ],
)
def test_the_exit_code_is_the_verdicts(last, code):
    docker = Docker(inspect=[task("preparing"), task("running"), last])
    assert ended(docker, "abc", 60.0, clock=lambda: 0.0, pause=lambda _: None) == code


@pytest.mark.parametrize(
    ("last", "says"),
    [
        # without a container there is no verdict, whatever the number
        (task("rejected", 0, "No such image: l"), "did not run .rejected: No such image: l"),
        (task("shutdown"), "did not run .shutdown: no reason"),
        (task("pending", error="no suitable node"), "is pending after 60 s: no suitable node"),
    ],
)
def test_what_is_no_verdict_is_none(last, says):
    times = iter([0.0, 61.0])
    with pytest.raises(SwarmError, match=says):
        ended(Docker(inspect=last), "abc", 60.0, clock=lambda: next(times), pause=lambda _: None)
