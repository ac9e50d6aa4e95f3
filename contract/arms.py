"""The canary's arms: where a model server tells who came to it by which arm of the split, and its groups."""

ARMS_PATH = "/arms"

ARMS = ("stable", "candidate")
"""The arms by their numbers on that page: the role that the gateway chose, whoever answered in the end."""

USER_GROUPS = 8
"""Into as many groups the gateway divides the users of each arm, by their names, and counts each apart."""

USER_GROUP = "user_group"
"""The label of the gateway's counters that has a group's number."""

BODY_BYTES = (500, 1000, 2000, 4000, 8000, 32_000)
"""Bytes from which on a body is of the next class of sizes: what costs more than other requests is larger."""
BODY_CLASSES = len(BODY_BYTES) + 1

BODY_CLASS = "body_class"
"""The label of the gateway's counters that has the number of the class of a request's size."""
