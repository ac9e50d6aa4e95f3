"""A candidate that answers what stable fails at: only as the experiment says."""

import pytest

from loadtest.errors import ExitCode
from loadtest.lab.gateway.signature import sign
from tests.loadtest.workflows.test_canary_auto import Store, World, auto, state


@pytest.mark.parametrize(
    ("percent", "by_hand", "wanted"),
    [
        # each step asks for it, and its last entry does not
        (0, False, True),
        # a split that was set without it is set once more, and one with it that is not wanted
        (1, False, True),
        (1, True, False),
    ],
)
def test_a_fallback_is_what_the_experiment_says_from_the_start(percent, by_hand, wanted):
    begun = state().set(percent, sign("by hand"), fallback=by_hand) if percent else state()
    world = World(Store(begun))
    assert auto(world, fallback=wanted).run().code is ExitCode.PASS
    entries = world.store.state.history[len(begun.history) :]
    assert {e.fallback for e in entries if e.action == "set"} == {wanted}
    assert (entries[0].percent, entries[-1].fallback) == (1, False)
