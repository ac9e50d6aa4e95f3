"""The canary's arms: where a model server tells who came to it by which arm of the split."""

ARMS_PATH = "/arms"

ARMS = ("stable", "candidate")
"""The arms by their numbers on that page: the role that the gateway chose, whoever answered in the end."""
