"""Shadow traffic: how the gateway marks it, and where the model server tells what it answered."""

ORIGINAL = "original"
"""The mark of a user's own request."""

COPY = "copy"
"""The mark of what is mirrored to the candidate."""

MARKS = (ORIGINAL, COPY)

ANSWERS_PATH = "/answers"
