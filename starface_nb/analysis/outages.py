"""A whole site gone: was it the line, the router that forgot its bindings, or a block at the PBX?

A line that comes back finds living bindings: their phones answer the next repeated probe, all within 14 s. After a
router restart, a new public address, or on a router whose bindings did not outlive the outage, each phone is found
again at its own next REGISTER. When that is tells how long the line was really down: a REGISTER that was due and did
not bring the phone back failed, and phones whose REGISTER failed try again soon and return soon after the line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.analysis.story import Bools, Floats
from starface_nb.analysis.together import Event

BACK_S = 17.0
"""After a line came back, living bindings answer the next repeated probe: 14 s and a round trip."""

RETRY_S = 160.0
"""Phones whose REGISTER failed try again within about this time."""

RESTART_S = (30.0, 330.0)
"""How long a restarting router is away, seconds."""

OUTAGE_S = (45.0, 6 * 3600.0)
"""How long lines are usually down, seconds (evenly in the logarithm)."""

LENGTHS = np.exp(np.linspace(np.log(20.0), np.log(48 * 3600.0), 100))
"""Lengths of an outage tried, seconds; more of them are tried next to the first return."""

RHYTHMIC = 0.85
"""Share of phones that keep to the rhythm known of them."""

UNKNOWN_DEAD = 0.3
"""Probability that silence of unknown effect kills bindings: most routers renew on any packet and forget in minutes."""

PRIOR_LINE = 0.55
"""Share of line outages among the events in which every binding is dead afterwards and the address is the same."""


@dataclass
class Members:
    """The losses of one event: ends (infinite while open), whether a renewal ended them, when a REGISTER was due."""

    start: Floats
    end: Floats
    renewed: Bools
    registered: Bools
    due: Floats
    spread: Floats
    period: Floats
    outlives: Floats
    new_address: Bools


@dataclass
class Verdict:
    """What an event was: cause, probability, whether bindings were found alive, and the time the line was down."""

    cause: str
    probability: float
    alive: bool
    down_s: float


def explain(event: Event, members: Members, log_end: float, idle_limit: tuple[float, float]) -> Verdict:
    """Tell a line outage from a router restart.

    Parameters
    ----------
    event : Event
    members : Members
        `due`: when each phone's next REGISTER was expected after the begin (NaN: not known), with its `spread`; `outlives`: until when
        its binding would have lived (infinite: not known to die).
    log_end : float
        Seconds.
    idle_limit : (float, float)
        What the site's other events say of silence: bindings outlived the first and were dead after the second.
    """
    down = event.back - event.begin
    if members.new_address.any():
        return Verdict("wan_outage", 0.95, alive=False, down_s=down)
    soft = np.isfinite(members.end) & ~members.renewed
    if _back_together(members.end, soft, len(members.end)):
        return Verdict("wan_outage", 0.97, alive=True, down_s=down)
    boots = members.end[np.isfinite(members.end)]
    if len(boots) >= 3 and len(boots) == len(members.end) and boots.max() - boots.min() <= BACK_S:
        return Verdict("wan_outage", 0.8, alive=False, down_s=down)
    line = _line_likelihood(event, members, log_end, idle_limit)
    box = _restart_likelihood(event, members, log_end)
    odds = line - box + np.log(PRIOR_LINE / (1 - PRIOR_LINE))
    p = float(1 / (1 + np.exp(-np.clip(odds, -50, 50))))
    return Verdict("wan_outage" if p >= 0.5 else "router_restart", max(p, 1 - p), alive=False, down_s=down)


def _back_together(end: Floats, soft: Bools, n: int) -> bool:
    """Say whether phones came back without a renewal and within one repeated probe of each other."""
    times = np.sort(end[soft])
    if not len(times):
        return False
    together = int((np.searchsorted(times, times + BACK_S, side="right") - np.arange(len(times))).max())
    return together >= 2 and together >= 0.3 * n or (n <= 2 and together >= 1)


def _lengths(event: Event) -> tuple[Floats, Floats]:
    """Return the lengths to try and the logarithm of what each stands for (its share of the logarithmic scale)."""
    near = event.back - event.begin + 2.0 - np.arange(0.0, RETRY_S + 20.0, 4.0)
    down = np.unique(np.concatenate([LENGTHS, near[near > LENGTHS[0]]]))
    return down, np.log(np.gradient(np.log(down)))


def _returns(event: Event, members: Members, log_end: float, down: Floats) -> Floats:
    """Return the log-likelihood of the returns for each length of time without a line, bindings dead afterwards."""
    total = np.where(event.begin + down <= event.back + 2.0, 0.0, -np.inf)
    for end, due, spread, period in zip(members.end, members.due, members.spread, members.period, strict=True):
        back = min(end, log_end) - event.begin
        soon = (back >= down - 2.0) & (back <= down + RETRY_S)
        pending = np.minimum(down / period, 1.0)
        density = pending / RETRY_S * soon + (1 - pending) / period * (back <= down + period)
        if np.isfinite(due):
            at = due - event.begin
            after = 1 / (1 + np.exp(-np.clip(1.7 * (at - down) / spread, -50, 50)))
            on_time = np.exp(-0.5 * ((back - at) / spread) ** 2) / (2.5 * spread)
            density = RHYTHMIC * (after * on_time + (1 - after) / RETRY_S * soon) + (1 - RHYTHMIC) * density
        total = total + np.log(density + 1e-7)
    return np.asarray(total)


def _line_likelihood(event: Event, members: Members, log_end: float, idle_limit: tuple[float, float]) -> float:
    """Weigh a line outage after which the bindings were dead."""
    low, high = OUTAGE_S
    down, share = _lengths(event)
    prior = np.log(np.where((low <= down) & (high >= down), 1.0, 0.02) / np.log(high / low))
    dead = np.log(_share_dead(event, members, idle_limit, down))
    return _log_sum(prior + share + dead + _returns(event, members, log_end, down))


def _restart_likelihood(event: Event, members: Members, log_end: float) -> float:
    """Weigh a router restart."""
    low, high = RESTART_S
    down, share = _lengths(event)
    prior = np.log(np.where((low <= down) & (high >= down), down, 0.002 * down) / (high - low))
    return _log_sum(prior + share + _returns(event, members, log_end, down))


def _share_dead(event: Event, members: Members, idle_limit: tuple[float, float], down: Floats) -> Floats:
    """Return the probability that all these bindings were dead when the line came back, per length."""
    outlived, killed = idle_limit
    if np.isfinite(killed):
        by_silence = np.clip((down - outlived) / max(killed - outlived, 60.0), 0.003, 0.95)
    else:
        by_silence = np.where(outlived < down, UNKNOWN_DEAD, 0.003)
    known = np.isfinite(members.outlives)
    if not known.any():
        return np.asarray(by_silence, float)
    back = event.begin + down
    by_age = np.ones(len(down))
    for until in members.outlives[known]:
        by_age = by_age * np.where(back >= until - 5.0, 1.0, 0.02)
    return np.maximum(by_age, 0.003)


def _log_sum(weights: Floats) -> float:
    peak = float(weights.max())
    return peak + float(np.log(np.exp(weights - peak).sum())) if np.isfinite(peak) else -1e9


def idle_limits(found: list[tuple[Verdict, Event]], pbx: tuple[float, float]) -> tuple[float, float]:
    """Return the longest silence bindings outlived and the shortest that killed them, from outages and PBX stops."""
    outlived = max([v.down_s for v, _ in found if v.alive] + [pbx[0]])
    return outlived, pbx[1] if pbx[1] > outlived else np.inf
