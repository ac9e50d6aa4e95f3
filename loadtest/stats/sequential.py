"""Always-valid tests: they may be looked at as often as you like, and stop at any moment.

Each keeps an e-process: evidence that a hypothesis is false, which under that hypothesis exceeds 1/alpha
*ever* with a chance of at most alpha (Ville's inequality). Three kinds, by what the traffic gives:

* ``paired_log_e``: pairs of outcomes of the same arrival or row (duet traffic). Exact, for independent pairs.
* ``TwoSampleBets``: two streams of independent outcomes (canary traffic). Exact; alarms wrongly when errors
  come in bursts of one version, so it may pause a canary but not fail it for bursty errors.
* ``lower_bounds``: means over time windows (latency; errors in bursts). Asymptotic: from ten windows on.
* ``level_at``: any estimate with an interval of its own, while its run grows. Asymptotic.

Everything works elementwise on arrays, so that one call serves one run or a thousand simulated ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
STAKES = np.geomspace(0.01, 0.9, 12)
"""Shares of the wealth to bet on each pair: small ones win on small differences, large ones on large."""
FIRST_WINDOW = 10
"""Windows before the asymptotic bound may speak."""
RHO2 = 0.1
"""Of ``level_at``, a second: it asks least after 70 s of load, and hardly more from 20 s to 5 minutes."""
ERROR_ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
WRONG_ANSWER_ODDS = (1.1, 1.2, 1.35, 1.5, 2.0, 3.0)
EQUAL_ODDS = (0.7, 0.85, 1.0)
"""The candidate's odds over stable's to bet on: to FAIL on errors, to FAIL on answers, to PASS."""


def paired_log_e(gained: ArrayLike, lost: ArrayLike, pairs: ArrayLike, margin: float) -> Floats:
    """ln of the evidence against 'the candidate's share exceeds stable's by at most ``margin``'.

    A gambler's wealth who bets on each pair that its difference (-1, 0 or 1) exceeds the margin, averaged
    over ``STAKES`` (Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by betting,
    JRSS B 86). At margin 0 only discordant pairs move it: an always-valid McNemar test. To test the other
    way round ('at least ``margin``'), swap ``gained`` and ``lost`` and negate the margin.

    Args:
        gained: pairs so far in which only the candidate's outcome was yes.
        lost: pairs so far in which only stable's was.
        pairs: all pairs so far.
        margin: between -1 and 1.
    """
    b, c, n = (np.asarray(count, dtype=np.float64)[..., None] for count in (gained, lost, pairs))
    stakes = STAKES / (1 + margin)  # the worst pair, -1, must leave something
    log_wealth = (
        b * np.log1p(stakes * (1 - margin))
        + c * np.log1p(-stakes * (1 + margin))
        + (n - b - c) * np.log1p(-stakes * margin)
    )
    return _log_mean(log_wealth)


@dataclass(frozen=True)
class PairedBets:
    """``paired_log_e`` as an ``Estimate``: intervals and p-values that hold at every moment."""

    gained: float
    lost: float
    pairs: float

    @property
    def value(self) -> float:
        """Share of the candidate minus share of stable."""
        return (self.gained - self.lost) / self.pairs

    def interval(self, alpha: float) -> tuple[float, float]:
        """The differences that ``paired_log_e`` has not refused, ``alpha`` on each side."""
        limit, pairs = -math.log(alpha), self.pairs

        def lowest(b: float, c: float) -> float:
            low, high = -1 + 1e-9, (b - c) / pairs if pairs else -1 + 1e-9
            if high <= low or paired_log_e(b, c, pairs, low) < limit:
                return -1.0
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (middle, high) if paired_log_e(b, c, pairs, middle) >= limit else (low, middle)
            return low

        return lowest(self.gained, self.lost), -lowest(self.lost, self.gained)

    def p_above(self, margin: float) -> float:
        """One over the evidence against 'at most ``margin``'."""
        return math.exp(-max(0.0, float(paired_log_e(self.gained, self.lost, self.pairs, margin))))

    def p_below(self, margin: float) -> float:
        """One over the evidence against 'at least ``margin``'."""
        return math.exp(-max(0.0, float(paired_log_e(self.lost, self.gained, self.pairs, -margin))))


class TwoSampleBets:
    """The e-process of Turner, Ly and Grünwald for two independent streams of yes-or-no outcomes.

    Turner, Ly and Grünwald 2024, Generic e-variables for exact sequential k-sample tests, Journal of
    Statistical Planning and Inference 230; margins: Turner and Grünwald 2023, Exact anytime-valid confidence
    intervals for contingency tables, Electronic Journal of Statistics 17.

    Example:
        >>> bets = TwoSampleBets(margin=0.0, odds=ERROR_ODDS, above=True)
        >>> for second in stream:
        ...     bets.update(candidate_errors, candidate_requests, stable_errors, stable_requests)
        ...     if bets.log_e >= np.log(1 / alpha): ...  # the candidate fails more often

    Args:
        margin: the hypothesis is p_candidate <= p_stable + margin, or >= when not ``above``.
        odds: the candidate's odds over stable's to bet on; the evidence is the mean over them.
        above: refute 'at most' (to FAIL) or, False, 'at least' (to PASS).
        shape: of the counts, when many runs are followed at once.
        late: share of the stake that is kept for harm that begins later: after update t, 1/(t (t + 1)) of it
            is bet anew. The sum stays an e-process, and harm that begins after t updates is found about
            2 ln t nats later than at the start, however much went well until then (the weighted sum over
            starting points of Shin, Ramdas and Rinaldo 2023, E-detectors, arXiv 2203.03532).
    """

    def __init__(
        self,
        margin: float,
        odds: tuple[float, ...],
        *,
        above: bool,
        shape: tuple[int, ...] = (),
        late: float = 0.0,
    ) -> None:
        self._margin, self._odds, self._above = margin, np.array(odds), above
        self._log_wealth = np.full((*shape, len(odds)), np.log1p(-late))
        self._hits, self._trials = np.zeros((*shape, 1)), np.zeros((*shape, 1))
        self._late, self._updates = late, 0

    @property
    def log_e(self) -> Floats:
        """ln of the evidence so far."""
        log_e = _log_mean(self._log_wealth)
        return np.logaddexp(log_e, np.log(self._late / (self._updates + 1))) if self._late else log_e

    def update(
        self,
        candidate_hits: ArrayLike,
        candidate_trials: ArrayLike,
        stable_hits: ArrayLike,
        stable_trials: ArrayLike,
    ) -> None:
        """Add the outcomes since the last update."""
        kc, nc, ks, ns = (
            np.asarray(count, dtype=np.float64)[..., None]
            for count in (candidate_hits, candidate_trials, stable_hits, stable_trials)
        )
        stable = (self._hits + 0.5) / (self._trials + 1)  # from the past only, or the bet would be a cheat
        odds = self._odds * stable / (1 - stable)
        candidate = odds / (1 + odds)
        null = _projection(candidate, stable, nc, ns, self._margin)
        gain = _log_likelihood(kc, nc, candidate) + _log_likelihood(ks, ns, stable)
        gain -= _log_likelihood(kc, nc, null + self._margin) + _log_likelihood(ks, ns, null)
        outside = candidate > stable + self._margin if self._above else candidate < stable + self._margin
        self._updates += 1
        if self._late:
            fresh = self._late / (self._updates * (self._updates + 1))
            self._log_wealth = np.logaddexp(self._log_wealth, np.log(fresh))
        # no bet before stable is known a little, nor where the bet itself lies inside the hypothesis
        self._log_wealth += np.where(outside & (self._trials >= 20) & (nc + ns > 0), gain, 0.0)
        self._hits, self._trials = self._hits + ks, self._trials + ns


def _projection(candidate: Floats, stable: Floats, nc: Floats, ns: Floats, margin: float) -> Floats:
    """Stable's share on the line p_c = p_s + margin that is nearest, in Kullback-Leibler divergence."""
    if margin == 0:
        trials = nc + ns  # none: any share will do
        return np.where(trials > 0, (nc * candidate + ns * stable) / np.where(trials > 0, trials, 1), stable)
    edge = 1e-9
    low = np.full(
        np.broadcast_shapes(candidate.shape, stable.shape, nc.shape, ns.shape), max(0.0, -margin) + edge
    )
    high = np.full(low.shape, min(1.0, 1.0 - margin) - edge)
    for _ in range(30):  # the divergence is convex: halve the interval in which its slope changes sign
        p = (low + high) / 2
        slope = nc * _slope(candidate, p + margin) + ns * _slope(stable, p)
        low, high = np.where(slope < 0, p, low), np.where(slope < 0, high, p)
    return np.asarray((low + high) / 2)


def _slope(truth: Floats, p: Floats) -> Floats:
    return np.asarray((p - truth) / (p * (1 - p)))


def _log_likelihood(hits: Floats, trials: Floats, p: Floats) -> Floats:
    return np.asarray(hits * np.log(p) + (trials - hits) * np.log1p(-p))


def _log_mean(log_values: Floats) -> Floats:
    """ln of the mean of exp over the last axis."""
    top = log_values.max(axis=-1, keepdims=True)
    return np.asarray((top + np.log(np.mean(np.exp(log_values - top), axis=-1, keepdims=True)))[..., 0])


def lower_bounds(windows: Floats, alpha: float, rho2: float = 0.1) -> Floats:
    """One-sided asymptotic confidence sequence for the mean of windows: its lower bound after each.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Time-uniform central limit theory and asymptotic
    confidence sequences, Annals of Statistics 52. For an upper bound, negate the windows and the result.

    Args:
        windows: shape (..., windows): one value for each time window, nearly independent.
        alpha: chance that the bound ever lies above the true mean.
        rho2: how early the bound is tight; 0.1 is tightest after some tens of windows.

    Returns:
        The same shape; -inf before ``FIRST_WINDOW`` windows.
    """
    t = np.arange(1, windows.shape[-1] + 1, dtype=np.float64)
    mean = np.cumsum(windows, axis=-1) / t
    variance = np.maximum(np.cumsum(windows**2, axis=-1) / t - mean**2, 0.0) * t / np.maximum(t - 1, 1)
    a = t * rho2 + 1
    width = np.sqrt(2 * a / (t**2 * rho2) * np.log1p(np.sqrt(a) / (2 * alpha)))
    return np.where(t >= FIRST_WINDOW, mean - np.sqrt(variance) * width, -np.inf)


def level_at(seconds: float, alpha: float) -> float:
    """The level at which an interval of the run so far holds at *every* moment with ``alpha`` on each side.

    The boundary of ``lower_bounds`` in standard errors, as a tail of the normal distribution: an estimate
    that is nearly a mean over time (a difference of shares, a quantile, a rate) may be looked at as often as
    one likes if each analysis takes its interval at this level. Its standard error must forgive dependence,
    which blocks of time do (Waudby-Smith et al. 2024, section 2, for estimates that are asymptotically
    linear).

    Args:
        seconds: of load so far.
        alpha: chance, on each side, that the intervals of all analyses together ever miss the truth.
    """
    a = seconds * RHO2 + 1
    z = math.sqrt(2 * a / (a - 1) * math.log1p(math.sqrt(a) / (2 * alpha)))
    return math.exp(float(scipy.special.log_ndtr(-z)))


def anytime_p(p: float, seconds: float) -> float:
    """The p-value of an analysis after ``seconds`` of load, as one that holds at every moment: see
    ``level_at``.

    ``anytime_p(p, t) <= alpha`` exactly when ``p <= level_at(t, alpha)``.
    """
    if p <= 0:
        return 0.0
    if p >= 0.5:
        return 1.0
    a = seconds * RHO2 + 1
    z = float(scipy.special.ndtri_exp(math.log(p)))
    exponent = z * z * (a - 1) / (2 * a)
    return min(1.0, math.sqrt(a) / (2 * math.expm1(exponent))) if exponent < 700 else 0.0
