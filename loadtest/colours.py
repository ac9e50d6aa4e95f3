"""The colours of every page: the report, Locust's tab, Grafana. Stable always comes first.

Every kind of colour vision tells them apart; each has a contrast of 3:1 or more with its page. The second of
each pair is for dark pages.
"""

VERSION_COLOURS = {"stable": "#0072b2", "candidate": "#c25e00"}
VERSION_COLOURS_ON_DARK = {"stable": "#56b4e9", "candidate": "#e69f00"}
"""A blue and an orange, on dark Okabe and Ito's (2008) own."""

VERDICT_COLOURS = {"PASS": "#00785a", "FAIL": "#c23b00", "INCONCLUSIVE": "#946200", "INVALID": "#a0468b"}
VERDICT_COLOURS_ON_DARK = {
    "PASS": "#2fbf90", "FAIL": "#ff7a45", "INCONCLUSIVE": "#e6ab32", "INVALID": "#dd8fc9"
}  # fmt: skip
"""The word always stands beside its colour."""

NEUTRAL = "#8c8c8c"
"""Limits, objectives and what belongs to neither version."""
