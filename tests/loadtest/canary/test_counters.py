"""Pages of metrics become scrapes: gains, restarts, and what is missing."""

import pytest

from contract.arms import BODY_CLASSES, USER_GROUPS
from loadtest.canary.counters import STATS, Meter

READY = {"stable": True, "candidate": True}


def gateway(stable=(0, 0), canary=(0, 0), retries=0, ejected=0, slow=(0, 0), cluster="canary", again=0):
    """A page as Envoy writes it.

    ``slow``: requests of the candidate over 10 ms, and in all; ``retries`` and ``again``: what a second try
    answered of its share, and of stable's.
    """
    time, lines = "envoy_cluster_unpinned_upstream_rq_time", []
    for name, (good, bad) in (("repeated", stable), (cluster, canary)):
        for status, count in (("2", good), ("5", bad)):
            labels = f'envoy_response_code_class="{status}",envoy_cluster_name="{name}"'
            lines.append(f"envoy_cluster_unpinned_upstream_rq_xx{{{labels}}} {count}")
    return "\n".join(
        [
            "# TYPE envoy_cluster_unpinned_upstream_rq_xx counter",
            *lines,
            "# TYPE envoy_cluster_unpinned_upstream_rq_time histogram",
            *(
                f'{time}_bucket{{user_group="7",body_class="6",envoy_cluster_name="{cluster}",le="{le}"}} {n}'
                for le, n in (("5", slow[1] - slow[0]), ("10", slow[1] - slow[0]), ("+Inf", slow[1]))
            ),
            "# TYPE envoy_cluster_upstream_rq_retry_success counter",
            f'envoy_cluster_upstream_rq_retry_success{{envoy_cluster_name="{cluster}"}} {retries}',
            f'envoy_cluster_upstream_rq_retry_success{{envoy_cluster_name="repeated"}} {again}',
            "# TYPE envoy_cluster_outlier_detection_ejections_active gauge",
            f'envoy_cluster_outlier_detection_ejections_active{{envoy_cluster_name="{cluster}"}} {ejected}',
            "",
        ]
    )


def fallback(answered=0, retries=0):
    """What a page has of stable's share where the candidate answers what stable fails at."""
    labels = 'envoy_response_code_class="2",envoy_cluster_name="fallback"'
    return (
        f"envoy_cluster_unpinned_upstream_rq_xx{{{labels}}} {answered}\n"
        f'envoy_cluster_upstream_rq_retry_success{{envoy_cluster_name="fallback"}} {retries}\n'
    )


def version(correct=0, incorrect=0, unknown=0):
    outcomes = (("correct", correct), ("incorrect", incorrect), ("unknown", unknown))
    return "# TYPE loadproof_user_outcomes counter\n" + "".join(
        f'loadproof_user_outcomes_total{{version="v1",outcome="{what}"}} {count}\n'
        for what, count in outcomes
    )


DEPLOYED = {"stable": ("repeated", "fallback"), "candidate": ("canary",)}


def scrapes(*pages, clusters=DEPLOYED):
    meter = Meter(clusters)
    return [
        meter.read(float(at), dict(zip(("gateway", "stable", "candidate"), texts, strict=True)), READY)
        for at, texts in enumerate(pages)
    ]


def test_what_was_counted_before_the_first_scrape_is_nobodys():
    (scrape,) = scrapes((gateway((900, 9), (100, 1)), version(50, 50), version(5, 5)))
    assert scrape.counts["stable"][:4] == scrape.counts["candidate"][:4] == (0, 0, 0, 0)


def test_gains_since_the_last_scrape():
    _, scrape = scrapes(
        (gateway((900, 9), (100, 1), 1, slow=(10, 101)), version(50, 50), version(5, 5)),
        (gateway((991, 10), (110, 3), 3, slow=(14, 111), again=1), version(130, 70, 3), version(12, 8)),
    )
    assert scrape.counts["stable"][:4] == (91, 1, 100, 20)
    groups = [[[0, 0, 0]] * BODY_CLASSES for _ in range(USER_GROUPS)]
    groups[-1] = [*groups[-1][:-1], [10, 4, 4]]
    assert scrape.counts["candidate"] == (10, 2, 10, 3, 10, [4, 4], groups)
    assert scrape.edges == [0.005, 0.01]
    assert scrape.missing == frozenset()


def test_a_restarted_service_counts_from_zero_and_loses_nothing():
    _, _, scrape = scrapes(
        (gateway((900, 0)), version(50, 50), version(5, 5)),
        (gateway((990, 0)), version(60, 50), version(6, 5)),
        (gateway((42, 0), again=2), version(4, 1), version(0, 0)),
    )
    assert scrape.counts["stable"][:4] == (42, 2, 5, 1)
    assert scrape.counts["candidate"].judged == 0


def test_what_was_missed_comes_with_the_next_page():
    _, lost, back = scrapes(
        (gateway((900, 0), (100, 0)), version(50, 50), version(5, 5)),
        (None, version(50, 50), "<html>not metrics"),
        (gateway((990, 0), (110, 0)), version(50, 50), version(9, 8)),
    )
    assert lost.missing == {"gateway", "candidate"}
    assert back.missing == frozenset()
    assert back.counts["stable"].requests == 90
    assert back.counts["candidate"][2:4] == (7, 3)


def test_what_stable_had_to_answer_instead_is_the_candidates_error():
    _, scrape = scrapes((gateway(), "", ""), (gateway((90, 0), (10, 0), retries=4), "", ""))
    assert scrape.counts["candidate"][:2] == (10, 4)
    # counted before it has ended
    _, scrape = scrapes((gateway(), "", ""), (gateway((90, 0), (1, 0), retries=4), "", ""))
    assert scrape.counts["candidate"][:2] == (4, 4)


def test_what_stable_answers_at_the_second_try_is_its_error_and_what_nobody_answers_is_nobodys():
    _, scrape = scrapes((gateway(), "", ""), (gateway((90, 500), (10, 500), again=3), "", ""))
    assert scrape.counts["stable"][:2] == (90, 3)
    assert scrape.counts["candidate"][:2] == (10, 0)


@pytest.mark.parametrize(
    ("ejected", "found"),
    [
        ([0, 1, 1, 0], [False, True, True, False]),
        # what an earlier canary left is not told, and tells nothing, until it has passed
        ([1, 1, 0, 1], [False, False, False, True]),
    ],
)
def test_an_ejection_is_a_state_and_no_gain(ejected, found):
    seen = scrapes(*((gateway(canary=(10 * n, 0), ejected=e), "", "") for n, e in enumerate(ejected)))
    assert [scrape.ejected for scrape in seen] == found
    # meanwhile stable answers for the candidate
    leftover = ejected[0]
    assert seen[1].counts["candidate"].requests == (0 if leftover else 10)
    assert seen[2].counts["candidate"].requests == 10


@pytest.mark.parametrize(
    ("own", "both", "told"),
    [
        # five in a row that stable answered
        (5, 0, True),
        # five that no version can answer, sent by anybody
        (0, 5, False),
        # the same beside failures of the candidate's own, fewer or more
        (3, 5, False),
        (6, 5, True),
        # broken connections that are not counted yet
        (0, 0, True),
    ],
)
def test_an_ejection_for_what_stable_failed_at_too_is_no_finding(own, both, told):
    pages = [gateway(canary=(100, 0)), gateway(canary=(110, 0))]
    pages += [gateway(canary=(110 + n, both), retries=own, ejected=1) for n in range(14)]
    # meanwhile a page is missing
    seen = scrapes(*((page, "", "") for page in (*pages[:7], None, *pages[7:], gateway(canary=(130, both)))))
    assert [scrape.ejected for scrape in seen] == [False] * 2 + [told] * 5 + [False] + [told] * 9 + [False]
    if not told:
        assert seen[2].counts["candidate"].requests == 0


def test_without_the_gateways_page_nothing_is_known_of_ejections():
    pages = [None, gateway(ejected=1)]
    assert [scrape.ejected for scrape in scrapes(*((page, "", "") for page in pages))] == [False, False]


def test_after_a_promotion_others_play_the_roles():
    swapped = {"stable": ("repeated-swapped", "fallback-swapped"), "candidate": ("canary-swapped",)}
    pages = [gateway(canary=(n, 0), ejected=n, cluster="canary-swapped") for n in (0, 10)]
    _, scrape = scrapes(*((page, "", "") for page in pages), clusters=swapped)
    assert scrape.counts["candidate"].requests == 10
    assert scrape.ejected


def test_a_counter_that_appears_later_counts_from_zero():
    _, scrape = scrapes(("", "", ""), (gateway((90, 0), (12, 0), 2), version(1, 1), ""))
    assert scrape.counts["candidate"][:2] == (12, 2)
    assert scrape.counts["stable"].judged == 2


def test_the_page_that_is_asked_for_holds_what_is_read_and_little_more():
    assert STATS.startswith("/stats/prometheus?filter=")


def test_what_the_candidate_answers_for_stable_is_stables_error():
    pages = [
        gateway((50, 1)) + fallback(),
        # stable fails at three of thirty
        gateway((50, 1)) + fallback(30, 3),
        # it is down
        gateway((50, 1)) + fallback(60, 33),
        gateway((50, 1)) + fallback(90, 33),
    ]
    seen = scrapes(*((page, "", "") for page in pages))
    assert [s.counts["stable"][:2] for s in seen] == [(0, 0), (30, 3), (30, 30), (30, 0)]
    # of the candidate that says nothing
    assert not any(s.ejected or s.counts["candidate"].requests for s in seen)


def test_users_whom_the_other_versions_failure_brought_are_no_evidence():
    def arms(**counts):
        return "# TYPE loadproof_user_outcomes counter\n" + "".join(
            f'loadproof_user_outcomes_total{{version="v",outcome="incorrect",arm="{arm}"}} {count}\n'
            for arm, count in counts.items()
        )

    _, scrape = scrapes(
        (gateway(), arms(stable=0, candidate=0), arms(stable=0, candidate=0)),
        (gateway(canary=(50, 0)), arms(stable=90, candidate=5), arms(stable=40, candidate=10)),
    )
    assert [scrape.counts[role].judged for role in ("stable", "candidate")] == [90, 10]


@pytest.mark.parametrize(
    ("status", "requests"),
    [
        ("2", 10),
        # anybody can send what no version answers, under as many users' names of one arm as they like
        ("3", 0),
        ("4", 0),
        ("5", 0),
    ],
)
@pytest.mark.parametrize(("role", "cluster"), [("stable", "repeated"), ("candidate", "canary")])
def test_what_no_second_try_answers_is_no_evidence(role, cluster, status, requests):
    labels = f'envoy_response_code_class="{status}",envoy_cluster_name="{cluster}"'
    pages = [f"envoy_cluster_unpinned_upstream_rq_xx{{{labels}}} {count}\n" for count in (0, 10)]
    _, scrape = scrapes(*((page, "", "") for page in pages))
    assert scrape.counts[role][:2] == (requests, 0)


FORGED = """
envoy_cluster_unpinned_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="stable"} 5000
envoy_cluster_unpinned_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="canary"} 9000
envoy_cluster_unpinned_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="canary"} 0
envoy_cluster_unpinned_upstream_rq_time_bucket{envoy_cluster_name="canary",le="7"} 9000
envoy_cluster_upstream_rq_retry_success{envoy_cluster_name="canary"} 0
envoy_cluster_outlier_detection_ejections_active{envoy_cluster_name="canary"} 1
"""


def test_a_version_tells_nothing_of_what_the_gateway_counted():
    pages = [(gateway((90, 0), (10, 0)), "", ""), (gateway((180, 1), (20, 4), retries=3), FORGED, FORGED)]
    _, forged = scrapes(*pages)
    _, honest = scrapes(*((page, "", "") for page, *_ in pages))
    assert forged == honest


@pytest.mark.parametrize(
    "page",
    [
        # what is compared with it is neither more nor less
        version("NaN"),
        version("+Inf"),
        version(-1),
        # what holds the controller up: a line that takes its parser minutes, and lines without end
        "loadproof_user_outcomes_total{" + 'a="",' * 10_000 + "} 1\n",
        'loadproof_user_outcomes_total{outcome="correct"} 1\n' * 2000,
        # what its parser fails at
        "loadproof_user_outcomes_total{a} 1\n",
        "loadproof_user_outcomes_total{a=",
        "loadproof_user_outcomes_total",
        "<html>",
    ],
)
def test_what_no_counter_can_be_is_no_page(page):
    *_, scrape = scrapes((gateway(), "", ""), (gateway(canary=(9, 0)), "", page))
    assert scrape.missing == {"candidate"}
    assert scrape.counts["candidate"][:4] == (9, 0, 0, 0)


def test_an_outcome_without_a_name_is_none():
    _, scrape = scrapes((gateway(), "", ""), (gateway(), "", "loadproof_user_outcomes_total 5\n"))
    assert (scrape.missing, scrape.counts["candidate"].judged) == (frozenset(), 0)


def test_the_candidate_knows_of_no_more_users_than_were_sent_to_it():
    *_, first, second, third = scrapes(
        (gateway(), "", version()),
        # it tells before the gateway's page says that it was asked
        (gateway(canary=(10, 0)), "", version(800, 200)),
        (None, "", version(800, 200)),
        (gateway(canary=(25, 0)), "", version(800, 200)),
    )
    assert [scrape.counts["candidate"][2:4] for scrape in (first, second, third)] == [
        (10, 2),
        (0, 0),
        (15, 3),
    ]
