"""``loadproof canary``: who gets the candidate, by hand; see docs/canary.md."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from contract.headers import MODEL_VERSION
from loadtest.canary.codec import encode
from loadtest.canary.shadow_join import Join
from loadtest.canary.split_check import SplitCheck
from loadtest.canary.state import Change, State
from loadtest.cli.canary_auto import auto, run
from loadtest.cli.canary_text import describe_arms, describe_shadow, print_status
from loadtest.cli.console import console
from loadtest.cli.options import Backend, CandidateVersion, ExperimentName, StableVersion
from loadtest.cli.rollback import WHY, apply, roll_back
from loadtest.errors import LabError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import FOLDER, PROJECT, RunningLab, claim, running_lab
from loadtest.lab.services.arm_pages import ArmsReader
from loadtest.lab.services.shadow_answers import ShadowReader
from loadtest.workflows.canary_up import CHECK_EVERY, Keeper
from loadtest.workflows.prepare import check_canary_up

app = typer.Typer(no_args_is_help=True, help="Give the candidate some traffic, promote it, or roll it back.")

app.command()(run)
app.command()(auto)

LabFolder = Annotated[Path, typer.Option("--lab", help="Folder of a lab that `canary up` keeps running.")]
Project = Annotated[str, typer.Option(help="Compose project to use if no lab runs in that folder.")]
Why = Annotated[str, typer.Option(help="One line for the history.")]


@app.command()
def status(
    lab: LabFolder = FOLDER,
    project: Project = PROJECT,
    json: Annotated[bool, typer.Option("--json", help="Print the state file.")] = False,
) -> None:
    """Show the split, who set it, when and why."""
    running = running_lab(lab, project)
    state = running.canary.read()
    if json:
        print(encode(state), end="")
    else:
        print_status(console, running.name, state)
        if state.now.mode == "shadow":
            join = Join(state.since.timestamp())
            try:
                ShadowReader(state, running.endpoints()).read_into(join)
            except LabError as error:
                console.print(f"shadow: {error}", soft_wrap=True)
            else:
                console.print("\n".join(describe_shadow(join.summary())), soft_wrap=True)
        elif state.now.mode == "split":
            console.print("\n".join(_arms(running, state)), soft_wrap=True)


@app.command(name="set")
def set_percent(
    percent: Annotated[float, typer.Argument(help="0 to 100, in steps of 0.01.")],
    lab: LabFolder = FOLDER,
    project: Project = PROJECT,
    why: Why = "set by hand",
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Let the candidate answer what stable fails at, too.")
    ] = False,
) -> None:
    """Send this share of unpinned traffic to the candidate."""
    if fallback and percent == 0:
        raise UsageError(
            "--fallback: a candidate without a share answers nothing; give it one, such as "
            "canary set 0.01 --fallback"
        )
    _change(running_lab(lab, project), lambda state: state.set(percent, sign(why), fallback=fallback))


@app.command()
def shadow(lab: LabFolder = FOLDER, project: Project = PROJECT, why: Why = "shadowed by hand") -> None:
    """Mirror unpinned traffic to the candidate.

    Users get stable's answers only.
    """
    _change(running_lab(lab, project), lambda state: state.shadow(sign(why)))


@app.command()
def promote(
    lab: LabFolder = FOLDER,
    project: Project = PROJECT,
    why: Why = "promoted by hand",
    force: Annotated[bool, typer.Option("--force", help="Promote even if it is not ready.")] = False,
) -> None:
    """Make the candidate the new stable.

    The old one stays ready for a rollback. Straight after a promotion, change nothing.
    """
    running = running_lab(lab, project)
    if not force and not running.canary.read().is_promoted:
        _require_ready(running)
    _change(running, lambda state: state if state.is_promoted else state.promote(sign(why)))


@app.command()
def rollback(lab: LabFolder = FOLDER, project: Project = PROJECT, why: Why = WHY) -> None:
    """Take the candidate out of the traffic at once.

    Straight after a promotion, undo the promotion.
    """
    console.print(roll_back(running_lab(lab, project), why))


@app.command()
def up(
    experiment: ExperimentName = "compare",
    stable: StableVersion = None,
    candidate: CandidateVersion = None,
    backend: Backend = "auto",
    lab: LabFolder = FOLDER,
    faults: Annotated[
        bool, typer.Option("--faults", help="Allow faults to be injected into the versions.")
    ] = False,
) -> None:
    """Keep a lab running until Ctrl-C.

    The next one in the same folder continues with its split.
    """
    resolved = Experiment.load_file(experiment, {"versions": {"stable": stable, "candidate": candidate}})
    checked = check_canary_up(resolved, backend)
    try:
        with claim(lab) as claimed:
            ready = checked.provide(console.print, state=lab, percent=0.0, allow_faults=faults)
            with ready.open_lab(ready.versions) as opened:
                claimed.announce(opened)
                console.print(f"lab is up ({opened.backend}): gateway {opened.endpoints.gateway}")
                print_status(console, f"the lab in {lab}", opened.canary.read())
                console.print("next, in another terminal: loadproof canary set 10; here Ctrl-C stops the lab")
                keeper = Keeper(opened, console.print)
                while True:
                    keeper.check()
                    time.sleep(CHECK_EVERY)
    except KeyboardInterrupt:
        console.print(f"the lab stops; its state stays in {lab}")


def _change(running: RunningLab, change: Change) -> None:
    # a controller would undo it at once, or build on what it does not know of
    with running.canary.lead(f"{sign('').by}, by hand"):
        console.print(apply(running, change))


def _arms(running: RunningLab, state: State) -> list[str]:
    """What both arms truly got, in lines."""
    check = SplitCheck()
    check.enter(state.now.serial, state.now.percent)
    pages = ArmsReader(state, running.endpoints()).read()
    if unknown := [role for role, page in pages.items() if page is None]:
        return [f"true shares: unknown, {' and '.join(unknown)} did not tell who came"]
    check.add(pages)
    return describe_arms(check.summary(), full=any(page.full for page in pages.values() if page))


def _require_ready(running: RunningLab) -> None:
    url = f"{running.endpoints().gateway}/v2/health/ready"
    answer = get(url, timeout=5.0, headers={MODEL_VERSION: "candidate"})
    if answer is None or answer.status != 200:
        what = f"answers {answer.status}" if answer else "does not answer"
        raise LabError(f"the candidate is not ready (it {what}) and was not promoted; --force does it anyway")
