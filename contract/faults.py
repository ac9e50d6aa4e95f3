"""The faults that the model server can make on demand."""

from typing import Literal, get_args

ServerFault = Literal["slowed", "wrong", "failing"]
"""``slowed`` waits before the model runs, ``failing`` answers 500 instead, ``wrong`` predicts another class,
or a value far off."""

SERVER_FAULTS: tuple[ServerFault, ...] = get_args(ServerFault)

MAX_DELAY = 60.0
"""Seconds that ``slowed`` may wait."""

FAULTS_PATH = "/faults"
