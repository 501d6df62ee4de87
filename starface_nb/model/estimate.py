"""The NAT timeout from interval-censored cycles: a pure function on bounds, and a result that shows itself.

Every cycle says one thing about the timeout T. An expired one says ``lower < T <= upper`` (the last answered and the
first failed probe), a survived one says ``T > lower``. Some losses have other causes: each bracket may with an unknown
probability be an accident that fell anywhere in the keepalive. The likelihood is constant between bounds, so that the
posterior of T is exact on the pieces between all bounds; no iteration, no bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

CONTAMINATION = np.array([0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95])
"""Shares of losses with other causes that the posterior averages over."""

UNSEEN_RENEWAL = 0.02
"""Probability that a cycle seems to have survived although a renewal nobody saw cut it in two."""

LONE_GAIN = np.log(3.0)
"""What one cycle may weigh in *where* the timeout lies, so that a bracket never hangs on a single accident."""

ROGUE_ONE_IN = 600.0
"""Among so many agreeing cycles one with a bound too tight counts as much as a lone one among few."""

FULL_GAIN = 6.0
"""What each cycle weighs beyond that where fewer than half of the agreeing cycles would be left."""

SURVIVED_GAIN = np.log(4.0)
"""What one cycle that survived weighs in where the timeout lies; its renewal may have been another than thought."""

AS_LIKELY = 0.5
"""Pieces of at least this share of the highest density belong to the bracket."""

GRAIN_S = 0.1
"""Bounds are rounded outwards to this, seconds."""

SHORTEST_S = 1.0
"""Shortest timeout thought of; the prior of T is even in its logarithm from here to the horizon."""


@dataclass(frozen=True)
class TimeoutEstimate:
    """A bracket for the NAT timeout with its level.

    Attributes
    ----------
    low, high : float
        The timeout is longer than `low` and at most `high` seconds (infinite where nothing bounds it).
    level : float
        Posterior probability that the bracket holds the timeout, given the cycles.
    probability_below : float
        Posterior probability that the timeout is below `threshold`.
    threshold : float
        Seconds.
    supported, expired, survived : int
        Expired cycles whose bracket overlaps the estimate, all expired cycles, survived cycles.
    """

    low: float
    high: float
    level: float
    probability_below: float
    threshold: float
    supported: int
    expired: int
    survived: int

    @property
    def middle(self) -> float | None:
        """Middle of the bracket, or None where it has no upper end."""
        return (self.low + self.high) / 2 if np.isfinite(self.high) else None

    def __str__(self) -> str:
        """Return the bracket in words."""
        bracket = f"({self.low:.0f} s, {self.high:.0f} s]" if np.isfinite(self.high) else f"> {self.low:.0f} s"
        return (
            f"NAT timeout {bracket} at {self.level:.1%}; below {self.threshold:.0f} s with probability "
            f"{self.probability_below:.1%} ({self.supported} of {self.expired} losses agree, {self.survived} survived)"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"


def estimate_timeout(
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    trust: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    threshold: float = 3600.0,
    horizon: float = 7200.0,
    slop: float = 1.0,
    level: float = 0.95,
    prior_expiring: float = 0.5,
) -> TimeoutEstimate:
    """Bracket the timeout from cycles.

    Parameters
    ----------
    lower, upper : array_like, shape (n,)
        Seconds; ``lower < T <= upper`` for a cycle that ended with a loss, `upper` infinite for one that survived.
    trust : array_like, shape (n,), optional
        How much each expired cycle counts in where the timeout lies, 0 to 1; 1 where not given.
    weight : array_like, shape (n,), optional
        How much each expired cycle counts at all: the probability that nothing else explains it; 1 where not given.
    threshold : float
        The keepalive in seconds; `probability_below` refers to it.
    horizon : float
        A timeout above this shows no expiry; seconds.
    slop : float
        How far every bound may be off, seconds.
    level : float
        Wanted probability of the bracket.
    prior_expiring : float
        Probability, before looking, that bindings expire within the horizon.

    Returns
    -------
    TimeoutEstimate

    Raises
    ------
    ValueError
        Bounds of different shape, negative, not a number or out of order.
    """
    low, high = np.asarray(lower, float).ravel(), np.asarray(upper, float).ravel()
    if low.shape != high.shape or np.isnan(low).any() or np.isnan(high).any() or (low < 0).any() or (high < low).any():
        raise ValueError("bounds must come in pairs with 0 <= lower <= upper")
    expired = np.isfinite(high) & (low < horizon)
    soft_low = np.floor(np.maximum(low - slop, 0.0) / GRAIN_S) * GRAIN_S
    soft_high = np.minimum(np.ceil((high + slop) / GRAIN_S) * GRAIN_S, horizon)
    trusted = np.ones(len(low)) if trust is None else np.asarray(trust, float).ravel()
    counts = np.ones(len(low)) if weight is None else np.asarray(weight, float).ravel()
    edges, loglik, place, null = _posterior_pieces(soft_low, soft_high, expired, horizon, trusted, counts)
    logprior = np.log(np.diff(np.log(np.maximum(edges, SHORTEST_S)))) - np.log(np.log(horizon / SHORTEST_S))
    log_weight = loglik + logprior[None, :] + np.log(prior_expiring / len(CONTAMINATION))
    beyond = null + np.log1p(-prior_expiring)
    peak = max(float(log_weight.max()), beyond)
    mass = np.exp(log_weight - peak).sum(axis=0)
    where = np.exp(place + logprior - (place + logprior).max())
    outside = float(np.exp(beyond - peak))
    total = float(mass.sum()) + outside
    left, right = edges[:-1], edges[1:]
    share = np.clip((threshold - left) / (right - left), 0.0, 1.0)
    below = float((mass * share).sum()) / total
    if 2 * outside >= total or mass.sum() <= 0:
        bound = longest_outlived(low[~np.isfinite(high)], slop, level)
        return TimeoutEstimate(bound, np.inf, level, below, threshold, 0, int(expired.sum()), int((~expired).sum()))
    first, last = _densest(where, right - left, level)
    # Where two cells touch, they do by no more than their bounds are off.
    more = slop if right[last] - left[first] < 2 * slop else 0.0
    bracket = max(float(left[first]) - more, 0.0) if first else 0.0, float(right[last]) + more
    held = float(where[first : last + 1].sum() / where.sum())
    agree = expired & (soft_low < bracket[1]) & (soft_high > bracket[0])
    return TimeoutEstimate(
        *bracket, min(held, 0.9999), below, threshold, int(agree.sum()), int(expired.sum()), int((~expired).sum())
    )


def _posterior_pieces(
    low: Floats, high: Floats, expired: npt.NDArray[np.bool_], horizon: float, trust: Floats, soft: Floats
) -> tuple[Floats, Floats, Floats, float]:
    """Return piece edges, log-likelihood per contamination and piece, for the place alone, and beyond the horizon."""
    survived = low[~expired]
    edges = np.unique(np.concatenate([[0.0, SHORTEST_S, horizon], low[low < horizon], high[expired]]))
    edges = edges[(edges == 0) | (edges >= SHORTEST_S)] if len(edges) > 2 else edges
    edges = np.unique(np.maximum(edges, SHORTEST_S))
    edges[0] = SHORTEST_S
    chance = np.maximum(high[expired] - low[expired], 1.0) / horizon
    opens = np.searchsorted(edges, np.maximum(low[expired], SHORTEST_S))
    closes = np.searchsorted(edges, np.maximum(high[expired], SHORTEST_S))
    contradicted = np.searchsorted(edges, np.minimum(np.maximum(survived, SHORTEST_S), horizon))
    n = len(edges)
    against = np.bincount(contradicted, minlength=n)[::-1].cumsum()[::-1]
    rows = []
    depth = np.cumsum(np.bincount(opens, trust[expired], n) - np.bincount(closes, trust[expired], n))[:-1]
    most = depth.max(initial=0)
    best = int(np.argmax(depth)) if len(depth) else 0
    early, late = _background(low[expired], high[expired], edges[best : best + 2])
    earlier = np.arange(n - 1) < best
    place = -_rogues(most - depth, most, early, late, earlier, best)
    # A renewal that nobody saw lets a cycle seem outlived, and its loss come too late.
    over = against[1:] - against[1:][best : best + 1].sum()
    outlived = np.where(earlier, np.minimum(SURVIVED_GAIN * over, _border(over, most, late)), SURVIVED_GAIN * over)
    place = place - FULL_GAIN * np.maximum(most / 2 - depth, 0) - outlived
    for share in CONTAMINATION:
        other = soft[expired] * np.log(share * chance)
        gain = soft[expired] * np.log1p(-share + share * chance) - other
        steps = np.bincount(opens, gain, n) - np.bincount(closes, gain, n)
        rows.append(other.sum() + np.cumsum(steps)[:-1] + np.log(UNSEEN_RENEWAL) * against[1:])
    return edges, np.array(rows), place, float((soft[expired] * np.log(chance)).sum())


def _background(low: Floats, high: Floats, best: Floats) -> tuple[float, float]:
    """Return how many losses cover any one age, of those too early for the timeout in `best` and of those too late."""
    early, late = high <= best[0], low >= best[-1]
    span = (high[late].max() - best[-1]) if late.any() else 1.0
    each = high - low
    return float(each[early].sum()) / max(float(best[0]), 1.0), float(each[late].sum() / span)


def _rogues(missing: Floats, most: float, early: float, late: float, earlier: Bools, best: int) -> Floats:
    """Return what it costs, in log-likelihood, to hold so many of the agreeing cycles for losses of other causes.

    Where two cells touch, the border agrees with the losses of both. A loss may come too early for the timeout, by a
    lost probe, or too late, by a renewal that nobody saw; if one of the cells holds no more than is left at any other
    age on its side, the border gains nothing: any number of its own would have been as likely there.
    """
    alone = LONE_GAIN * missing / max(1.0, most / ROGUE_ONE_IN)
    later = ~earlier & (np.arange(len(missing)) > best)
    cost = np.where(later, np.minimum(alone, _border(missing, most, early)), alone)
    return np.asarray(np.where(earlier, np.minimum(alone, _border(missing, most, late)), cost), float)


def _border(count: Floats, most: float, background: float) -> Floats:
    """Return what it costs to hold so many beside a border for the usual ones there; infinity where none is usual."""
    if background < 1.0:
        return np.full(len(count), np.inf)
    whole = np.arange(int(np.ceil(count.max(initial=0))) + 1)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(whole[1:]))])
    poisson = background - whole * np.log(background) + factorial - np.log1p(most)
    return np.asarray(np.maximum(poisson, 0.0)[np.round(np.maximum(count, 0)).astype(np.int64)], float)


def _densest(mass: Floats, width: Floats, level: float) -> tuple[int, int]:
    """Return the first and last piece of the hull of the densest pieces that together hold `level`.

    A border that is about as likely as the rest is not cut off: timeouts are set in whole minutes.
    """
    density = mass / width
    order = np.argsort(-density, kind="stable")
    enough = int(np.searchsorted(np.cumsum(mass[order]), level * mass.sum())) + 1
    enough = max(enough, int((density >= AS_LIKELY * density.max()).sum()))
    return int(order[:enough].min()), int(order[:enough].max())


def front(low: Floats, high: Floats, best: float) -> float:
    """Return the age from which on losses come too early for a timeout of `best` or more; infinity where all may.

    Losses of other causes come at any age. Where they begin as one, the timeout is no longer than that: what died later
    had been renewed unseen.
    """
    early = np.sort(low[high <= best])
    n, before = len(early), np.arange(len(early))
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.minimum(early / best, 1.0)
        less = np.nan_to_num(before * np.log(before / n / even)) + (n - before) * np.log((1 - before / n) / (1 - even))
    less = np.where(before < n * even, less, 0.0)
    return float(early[less.argmax()]) if n and less.max() > FULL_GAIN else np.inf


def longest_outlived(survived: Floats, slop: float, level: float) -> float:
    """Return a bound that is wrong only if several cycles had a renewal nobody saw."""
    if not len(survived):
        return 0.0
    needed = int(np.ceil(np.log(1 - level) / np.log(UNSEEN_RENEWAL)))
    return float(max(np.sort(survived)[::-1][min(needed, len(survived)) - 1] - slop, 0.0))
