"""``python -m deploy.swarm.compare STACK FILE``: one comparison on a deployed stack, to its exit code.

::

    python -m deploy.swarm --compare > stack.yaml
    python -m deploy.swarm.compare loadproof stack.yaml

Submits the stack's one-shot service ``compare`` anew, waits until it has ended, prints its log, and ends
with its exit code: that of the verdict. The run folder lies on the volume ``results``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from deploy.swarm.stack import COMPARE

Docker = Callable[[Sequence[str]], str]
"""Runs ``docker`` with arguments and returns what it printed; ``SwarmError`` where it failed."""

_LAB = 5
_POLL = 1.0
_NO_IMAGE = "No such image: "
_TRIED = 4
"""Of the five tasks that a swarm remembers: one node may lack what another has."""
_PAGE = "deploy/swarm/README.md"
_ADDRESSES = 6.0
"""Seconds after which the gateway knows where a version answers that has just come up: Envoy asks for its
address every 5 s."""
_UPDATING = '{{with .UpdateStatus}}{{if eq (print .State) "updating"}}{{$.Spec.Name}}{{end}}{{end}}'
_OVER = ("complete", "failed", "rejected", "shutdown", "orphaned", "remove")


class SwarmError(Exception):
    """The swarm did not do as it was told; says why."""


def main() -> int:
    """Submit and wait; 5 where the swarm cannot run it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.swarm.compare", allow_abbrev=False)
    parser.add_argument("stack", help="name of the deployed stack")
    parser.add_argument("file", help="its stack file, made with --compare")
    parser.add_argument("--max-wait", type=float, default=3600.0, help="seconds that the job has (3600)")
    options = parser.parse_args()
    try:
        await_lab(docker, options.stack, options.max_wait)
        task = submit(docker, options.stack, options.file)
        code = ended(docker, task, options.max_wait)
        # Docker writes to each of our streams what the job wrote to its own
        subprocess.run(["docker", "service", "logs", "--raw", f"{options.stack}_{COMPARE}"], check=False)
    except SwarmError as error:
        print(f"deploy.swarm.compare: {error}", file=sys.stderr)
        return _LAB
    return code


def await_lab(
    run: Docker,
    stack: str,
    max_wait: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until every service of a stack is healthy, as it was last deployed, and known to the gateway, and
    every other job has ended well.

    Raises:
        SwarmError: there is no such stack, or no node has an image, or it is not ready after ``max_wait``
            seconds; names who is not.
    """
    end = clock() + max_wait
    listed = ["service", "ls", "--filter", f"label=com.docker.stack.namespace={stack}"]
    waited = False
    while True:
        services = [
            line.split(" ", 1) for line in run([*listed, "--format", "{{.Name}} {{.Replicas}}"]).splitlines()
        ]
        if not services:
            raise SwarmError(f"no stack {stack!r} is deployed; make swarm-up deploys it")
        names = [name for name, _ in services if name != f"{stack}_{COMPARE}"]
        # until it is replaced, a task of before the deployment counts as ready
        updating = run(["service", "inspect", "--format", _UPDATING, *names]).split()
        unready = [name for name, state in services if name in names and not _is_ready(state)]
        unready += [name for name in updating if name not in unready]
        if not unready:
            if waited:
                pause(_ADDRESSES)
            return
        waited = True
        for name in unready:
            told = run(["service", "ps", "--no-trunc", "--format", "{{.Error}}", name]).splitlines()
            missing = [error.strip('"') for error in told if _NO_IMAGE in error]
            if len(missing) >= _TRIED:
                image = missing[0].partition(_NO_IMAGE)[2]
                raise SwarmError(
                    f"{name}: {missing[0]}; make images builds Loadproof's own, and docker pull {image} says "
                    f"why another cannot be had; --without grafana leaves that one out ({_PAGE})"
                )
        if clock() > end:
            raise SwarmError(
                f"{', '.join(unready)}: not ready after {max_wait:g} s; docker service ps {unready[0]}"
            )
        pause(_POLL)


def _is_ready(state: str) -> bool:
    """Of ``1/1``, and of ``0/1 (1/1 completed)``, a job's; a task counts once it is healthy."""
    counts = state.removesuffix(" completed)").rpartition("(")[2].split(" ")[0]
    running, _, wanted = counts.partition("/")
    return running == wanted


def submit(run: Docker, stack: str, file: str, pause: Callable[[float], None] = time.sleep) -> str:
    """Start the job, a new one each time, and return the id of its task.

    Raises:
        SwarmError: the stack cannot be deployed.
    """
    name = f"{stack}_{COMPARE}"
    if name in run(["service", "ls", "--format", "{{.Name}}"]).split():
        run(["service", "rm", name])
    run(["stack", "deploy", "--resolve-image", "never", "--compose-file", file, stack])
    for _ in range(60):
        if tasks := run(["service", "ps", "--no-trunc", "--quiet", name]).split():
            return tasks[0]
        pause(_POLL)
    raise SwarmError(f"{name}: the swarm made no task of it; docker service ps {name}")


def ended(
    run: Docker,
    task: str,
    max_wait: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until a task has ended; its exit code.

    Raises:
        SwarmError: it did not start, or is not over after ``max_wait`` seconds.
    """
    end = clock() + max_wait
    while True:
        (found,) = json.loads(run(["inspect", "--type", "task", task]))
        status = found["Status"]
        container = status.get("ContainerStatus") or {}
        if status["State"] in _OVER:
            # a task that never had a container has no exit code, which the swarm writes as none or 0
            if status["State"] != "complete" and not container.get("ExitCode"):
                raise SwarmError(f"the job did not run ({status['State']}: {status.get('Err', 'no reason')})")
            return int(container.get("ExitCode", 0))
        if clock() > end:
            raise SwarmError(
                f"the job is {status['State']} after {max_wait:g} s: {status.get('Err', 'no reason')}"
            )
        pause(_POLL)


def docker(arguments: Sequence[str]) -> str:
    """Run ``docker``; see ``Docker``."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise SwarmError(f"no docker command can be run ({error.strerror})") from None
    if done.returncode:
        raise SwarmError((done.stderr.strip().splitlines() or ["docker said nothing"])[-1])
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
