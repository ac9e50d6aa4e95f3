"""Shadow traffic: how the gateway marks it, and where the model server tells what it answered."""

ORIGINAL = "original"
"""The mark of a user's own request."""

COPY = "copy"
"""The mark of what is mirrored to the candidate."""

MARKS = (ORIGINAL, COPY)

ANSWERS_PATH = "/answers"

ALONG = {"scores": "predict_proba", "ranking": "ranking"}
"""What a reader may ask for beside the labels, ``/answers?after=0&along=scores,ranking``, and the output of
the model behind each."""

ASKED_FOR = 60.0
"""Seconds for which that counts: after them nobody reads any more, and no model runs for it."""

MOST_ALONG = 1_000
"""Scores, or items, of one answer; of a larger one none are told."""

MOST_ITEMS = 100
"""Of each list the first ones are told."""
