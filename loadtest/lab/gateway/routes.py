"""The gateway's routes file, derived from the canary's state; pure, and light to import.

::

    Routes(split_percent=10).document()     # an Envoy DiscoveryResponse, ready for json.dumps
    Routes.of(state)                        # what the canary's state asks for
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.arms import BODY_BYTES, USER_GROUPS
from contract.headers import CANARY_ARM, CANARY_STEP, MODEL_VERSION, SHADOW, USER_ID
from contract.shadow import COPY, ORIGINAL
from loadtest.canary.state import State
from loadtest.experiment.role import ROLES, Role

ROUTES_FILE = "routes.json"
STATE_PATH = "/split"
"""Where the gateway itself tells the routes that it has in force."""

UNPINNED = "unpinned"
"""Unpinned requests are counted as ``envoy_cluster_unpinned_...`` too, beside ``envoy_cluster_...``, each
group of users and each class of body sizes apart."""

_TOTAL_WEIGHT = 10_000
_FEEDBACK = r"/v2/models/[^/]+(/versions/[^/]+)?/feedback"
_VERSION_NAMED = r"/v2/models/[^/]+/versions/.+"
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_SAYS_WHO = {"name": USER_ID, "string_match": {"safe_regex": {"regex": r".*\S.*"}}}
_MUTATION = "envoy.filters.http.header_mutation"
_TYPE = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3"
_SIZES = "".join(f"request.size < {edge} ? '{number}' : " for number, edge in enumerate(BODY_BYTES))
_BODY_CLASS = f"%CEL({_SIZES}'{len(BODY_BYTES)}')%"
"""The number of a body's class, which Envoy finds by the size of the whole body."""


@dataclass(frozen=True)
class Routes:
    """What the gateway does with a request: ``Routes(10)`` sends 10% of unpinned traffic to the candidate.

    Args:
        split_percent: share (0 to 100) of unpinned traffic for the candidate, in steps of 0.01.
        shadow: mirror unpinned traffic to the candidate, whose answers nobody sees; the split must be 0.
        timeout: seconds until the gateway gives up on a version and answers 504.
        swapped: after a promotion, the deployment called candidate plays stable and the other the candidate.
        serial: of the state's entry that these routes derive from.
        patience: seconds that the candidate's share waits for the candidate before stable is asked too.
        control: there is a second deployment of stable, which only requests pinned to it reach.
        fallback: what stable fails at, the candidate answers; only beside a split.

    Raises:
        ValueError: the split is out of range, or what goes with a split only is asked for without one, or
            a shadow with one.
    """

    split_percent: float = 10.0
    shadow: bool = False
    timeout: float = 10.0
    swapped: bool = False
    serial: int = 0
    patience: float = 1.0
    control: bool = False
    fallback: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.split_percent <= 100:
            raise ValueError(f"a split of {self.split_percent}% is not between 0 and 100")
        if self.shadow and self.split_percent:
            raise ValueError("in shadow traffic users get stable's answers only: the split must be 0")
        if self.fallback and not self.split_percent:
            raise ValueError("a candidate that has no users of its own gets none of stable's")

    @classmethod
    def of(cls, state: State, *, control: bool = False) -> Routes:
        """The routes that a state asks for."""
        now = state.now
        swapped = state.services[Role.STABLE] != Role.STABLE
        return cls(
            now.percent,
            now.mode == "shadow",
            swapped=swapped,
            serial=now.serial,
            control=control,
            fallback=now.fallback,
        )

    @property
    def clusters(self) -> dict[Role, tuple[str, ...]]:
        """Per role the clusters that its share of unpinned traffic goes through, at this split or another.

        Stable's are the one without a fallback and the one with it. Without a split it has all, and there is
        nothing to compare.
        """
        return {
            Role.STABLE: (self._cluster("repeated"), self._cluster("fallback")),
            Role.CANDIDATE: (self._cluster("canary"),),
        }

    def state(self) -> dict[str, object]:
        """What the gateway answers at ``STATE_PATH`` once these routes are in force."""
        return {
            "candidate_percent": self._candidate_weight * 100 / _TOTAL_WEIGHT,
            "shadow": self.shadow,
            "fallback": self.fallback,
            "timeout_s": self.timeout,
            "stable": self._service(Role.STABLE),
            "serial": self.serial,
        }

    def document(self) -> dict[str, Any]:
        """The routes file: an Envoy ``DiscoveryResponse`` with one ``RouteConfiguration``."""
        role = "swapped" if self.swapped else "deployed"
        return {
            "resources": [
                {
                    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                    "name": "split",
                    "response_headers_to_add": [
                        _set(MODEL_VERSION, f"%UPSTREAM_METADATA(loadproof:{role})%")
                    ],
                    "virtual_hosts": [{"name": "versions", "domains": ["*"], "routes": self._routes()}],
                }
            ]
        }

    @property
    def _stables_share(self) -> str:
        """The cluster of stable's share."""
        if not self.split_percent:
            return self._service(Role.STABLE)
        return self._cluster("fallback" if self.fallback else "repeated")

    @property
    def _candidate_weight(self) -> int:
        return round(self.split_percent * _TOTAL_WEIGHT / 100)

    def _service(self, role: Role) -> str:
        """The cluster, named like its service, that plays a role."""
        return ROLES[ROLES.index(role) ^ self.swapped]

    def _cluster(self, name: str) -> str:
        """The cluster of this name for whoever plays the candidate."""
        return f"{name}-swapped" if self.swapped else name

    def _routes(self) -> list[dict[str, Any]]:
        v2 = {"path_separated_prefix": "/v2"}
        # as headers, because nothing else can set it for one of the weighted clusters
        second_try = {
            # a hedge: the first try goes on, and whichever answers first is taken
            "upstream_rq_per_try_timeout_ms": f"{self.patience * 1000:.0f}",
            "hedge_on_per_try_timeout": "true",
        }
        unpinned: dict[str, Any] = {
            "weighted_clusters": {
                # the candidate comes first: a larger split only adds users to it and moves none back
                "clusters": [
                    *_groups(Role.CANDIDATE, self._cluster("canary"), self._candidate_weight, second_try),
                    *_groups(
                        Role.STABLE,
                        self._stables_share,
                        _TOTAL_WEIGHT - self._candidate_weight,
                        second_try if self.fallback else {},
                    ),
                ],
                "use_hash_policy": True,
            },
        }
        # the step makes a request evidence: pinned requests have none
        marks = [_set(CANARY_STEP, str(self.serial))]
        if self.shadow:
            marks.append(_set(SHADOW, ORIGINAL))
            unpinned["request_mirror_policies"] = [
                {
                    "cluster": self._cluster("shadow"),
                    "runtime_fraction": {"default_value": {"numerator": 100}},
                    "request_headers_mutations": [{"append": _set(SHADOW, COPY)}],
                }
            ]
        pins = {role: [{"name": MODEL_VERSION, "string_match": {"exact": role}}] for role in ROLES}
        by_user = {"hash_policy": [{"header": {"header_name": USER_ID}}]}
        users: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
            ({"headers": [_SAYS_WHO]}, by_user, {}),
            # a blank name is nobody's: all who send it would land on one side
            ({}, {}, {"request_headers_to_remove": [USER_ID]}),
        ]
        # to whoever gave the answer, whichever role that plays now; the clusters ask the other version too
        feedback = {"safe_regex": {"regex": _FEEDBACK}}
        return [
            *(
                {
                    "match": {**feedback, "headers": pin},
                    "route": {"cluster": f"feedback-{self._service(role)}", "timeout": f"{self.timeout:g}s"},
                }
                for role, pin in [
                    *pins.items(),
                    (Role.STABLE, [{"name": MODEL_VERSION, "present_match": False}]),
                ]
            ),
            *(
                {"match": {**v2, "headers": pin}, "route": {"cluster": self._service(role), **self._policy()}}
                for role, pin in pins.items()
            ),
            *self._to_control(v2),
            {
                "match": {**v2, "headers": [{"name": MODEL_VERSION, "present_match": True}]},
                **_answer(400, f"{MODEL_VERSION} must be 'stable' or 'candidate', or be left out"),
            },
            # whoever names a version in the path gets it, and is no evidence: the other one can only refuse
            {
                "match": {"safe_regex": {"regex": _VERSION_NAMED}},
                "route": {
                    "cluster": f"feedback-{self._service(Role.STABLE)}",
                    "timeout": f"{self.timeout:g}s",
                },
            },
            *(
                {
                    "match": {**v2, **match},
                    "route": {**unpinned, **self._policy(), **hashed},
                    "request_headers_to_add": marks,
                    **removed,
                }
                for match, hashed, removed in users
            ),
            {
                "match": {"path": STATE_PATH},
                "response_headers_to_add": [_set("content-type", "application/json")],
                **_answer(200, json.dumps(self.state())),
            },
            {"match": {"prefix": "/"}, **_answer(404, "only paths below /v2 are served here")},
        ]

    def _to_control(self, below: dict[str, Any]) -> list[dict[str, Any]]:
        if not self.control:
            return []
        pin = [{"name": MODEL_VERSION, "string_match": {"exact": Role.CONTROL}}]
        return [{"match": {**below, "headers": pin}, "route": {"cluster": Role.CONTROL, **self._policy()}}]

    def _policy(self) -> dict[str, Any]:
        # only where no byte of the request can have reached a version: what is measured is measured once.
        # the candidate's share of unpinned traffic has a policy of its own, at its cluster
        back_off = {"base_interval": "0.025s", "max_interval": "0.25s"}
        return {
            "timeout": f"{self.timeout:g}s",
            "retry_policy": {"retry_on": _RETRY_ON, "num_retries": 2, "retry_back_off": back_off},
        }


def _groups(arm: Role, cluster: str, weight: int, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """An arm, once per group of its users, who are all counted apart: pinned requests are no users."""
    return [
        {
            "name": cluster,
            # of a total of as many times more
            "weight": weight,
            "request_headers_to_add": [_set(CANARY_ARM, arm)],
            "typed_per_filter_config": {
                _MUTATION: _headers(upstream_alt_stat_name=f"{UNPINNED}.{group}.{_BODY_CLASS}", **headers)
            },
        }
        for group in range(USER_GROUPS)
    ]


def _headers(**values: str) -> dict[str, Any]:
    """Headers that the gateway sets for itself; it takes them out before a version sees them."""
    wanted = {f"x-envoy-{name.replace('_', '-')}": value for name, value in values.items()}
    return {
        "@type": f"{_TYPE}.HeaderMutationPerRoute",
        "mutations": {"request_mutations": [{"append": _set(*header)} for header in wanted.items()]},
    }


def _set(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _answer(status: int, text: str) -> dict[str, Any]:
    return {"direct_response": {"status": status, "body": {"inline_string": text}}}
