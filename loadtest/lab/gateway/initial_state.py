"""From the versions that a lab deploys to the canary's state that it starts with."""

from __future__ import annotations

from collections.abc import Iterable

from loadtest.canary.state import Deployment, State
from loadtest.experiment.role import Role
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Version


def take_up(store: FolderStore, versions: Iterable[Version], percent: float) -> State:
    """Before the gateway starts: go on with the state that is there, or begin one.

    Args:
        store: of the lab.
        versions: what the lab deploys.
        percent: the split of a new state.
    """
    names = {version.role: version.name for version in versions}
    stable = Deployment("stable", names[Role.STABLE])
    candidate = Deployment("candidate", names[Role.CANDIDATE])

    def resume(state: State) -> State:
        if {state.now.stable, state.now.candidate} == {stable, candidate}:
            return state
        return state.begin_again(stable, candidate, sign("other versions were deployed"))

    return store.start(lambda: State.begin(stable, candidate, sign("a new lab"), percent), resume)
