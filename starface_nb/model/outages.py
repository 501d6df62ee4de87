"""A whole site gone: was it the line, the router that forgot its bindings, or a block at the PBX?

A line that comes back finds living bindings: their phones answer the next repeated probe, all within 14 s. After a
router restart, a new public address, or on a router whose bindings did not outlive the outage, each phone is found
again at its own next REGISTER. When that is tells how long the line was really down: a REGISTER that was due and did
not bring the phone back failed, and phones whose REGISTER failed try again soon and return soon after the line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.model.together import Event
from starface_nb.observations.story import Bools, Floats

BACK_S = 17.0
"""After a line came back, living bindings answer the next repeated probe: 14 s and a round trip."""

RETRY_S = 160.0
"""Phones whose REGISTER failed try again within about this time."""

RESTART_S, RESTART_SPREAD = 140.0, 0.38
"""How long a restarting router is usually away, seconds, and the spread of its logarithm."""

POWER_CUT_S = 1800.0
"""Longer than this, a line is more often down than the power of a whole site."""

OUTAGE_S = (45.0, 6 * 3600.0)
"""How long lines are usually down, seconds (evenly in the logarithm)."""

LENGTHS = np.exp(np.linspace(np.log(20.0), np.log(48 * 3600.0), 100))
"""Lengths of an outage tried, seconds; more of them are tried next to the first return."""

RHYTHMIC = 0.85
"""Share of phones that keep to the rhythm known of them."""

SILENCES = np.array([75, 90, 120, 150, 180, 240, 300, 420, 600, 900, 1800, 3600, 7200, np.inf], float)
"""Silences tried after which a site's bindings die although REGISTERs are not yet due, seconds."""

KILLS = 0.5
"""Probability, before looking, that silence kills bindings at all: routers on which any packet renews forget soon."""

MOVED = 0.5
"""Share of the phones that registered again that must have a new address for the outage to have brought it."""

UNPLACED = np.log(4.0)
"""Phones that come back with an address and had shown none before have mostly got a new one by a reconnect."""

PRIOR_LINE = 0.6
"""Share of line outages among the events in which every binding is dead afterwards and the address is the same."""


@dataclass
class Members:
    """The losses of one event: ends (infinite while open), whether a renewal ended them, when a REGISTER was due.

    `placed`: an address of the phone was known before; `new_address`: it is another one afterwards.
    """

    start: Floats
    end: Floats
    renewed: Bools
    registered: Bools
    due: Floats
    spread: Floats
    period: Floats
    outlives: Floats
    new_address: Bools
    placed: Bools


@dataclass
class Verdict:
    """What an event was: cause, probability, and whether bindings were found alive when the line was back."""

    cause: str
    probability: float
    alive: bool = False


@dataclass
class Weights:
    """Log-likelihoods of one undecided event: a line outage per silence tried, and a router restart."""

    line: Floats
    box: float


def explain_site(events: list[tuple[Event, Members]], log_end: float, pbx: tuple[float, float]) -> list[Verdict]:
    """Tell line outages from router restarts, over all events of a site.

    How long a silence bindings outlive is one number of the router, and what strikes a site again is mostly the same
    thing: both are shared by the site's events and found together with the causes.

    Parameters
    ----------
    events : list of (Event, Members)
    log_end : float
        Seconds.
    pbx : (float, float)
        Longest PBX stop that bindings outlived, and shortest that killed them (infinite: none).
    """
    verdicts = [_plain(event, members, log_end) for event, members in events]
    weights = {
        i: _weigh(*events[i], log_end) for i, verdict in enumerate(verdicts) if verdict is None
    }  # fmt: skip
    score = np.log(np.where(np.isinf(SILENCES), 1 - KILLS, KILLS / (len(SILENCES) - 1)))
    for (event, _), verdict in zip(events, verdicts, strict=True):
        if verdict is not None and verdict.alive:
            score = score + np.log(1 - _dead(np.array([event.back - event.begin])))[:, 0]
    score = score + np.log(1 - _dead(np.array([pbx[0]])))[:, 0]
    if np.isfinite(pbx[1]):
        score = score + np.log(_dead(np.array([pbx[1]])))[:, 0]
    return _settle(verdicts, weights, score)


def _settle(verdicts: list[Verdict | None], weights: dict[int, Weights], score: Floats) -> list[Verdict]:
    """Average over the silences; within each, the share of line outages is found by iteration."""
    line = np.array([w.line for w in weights.values()]).reshape(len(weights), len(SILENCES))
    box = np.array([w.box for w in weights.values()]).reshape(len(weights), 1)
    share = np.full(len(SILENCES), PRIOR_LINE)
    for _ in range(20):
        odds = line - box + np.log(share / (1 - share))
        p = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        share = (4 * PRIOR_LINE + p.sum(axis=0)) / (4 + len(weights))
    total = score + np.logaddexp(line + np.log(share), box + np.log(1 - share)).sum(axis=0)
    mix = np.exp(total - total.max())
    chances = dict(zip(weights, (p * mix).sum(axis=1) / mix.sum(), strict=True))
    return [
        verdict
        or Verdict("wan_outage" if chances[i] >= 0.5 else "router_restart", float(max(chances[i], 1 - chances[i])))
        for i, verdict in enumerate(verdicts)
    ]


def _plain(event: Event, members: Members, log_end: float) -> Verdict | None:
    """Return the verdict where the returns leave no doubt."""
    again = members.registered & members.placed
    if again.any() and members.new_address[again].mean() >= MOVED:
        return Verdict("wan_outage", 0.95)
    soft = np.isfinite(members.end) & ~members.renewed
    if _back_together(members.end, soft, len(members.end)):
        return Verdict("wan_outage", 0.97, alive=True)
    boots = members.end[np.isfinite(members.end)]
    if len(boots) >= 3 and len(boots) == len(members.end) and boots.max() - boots.min() <= BACK_S:
        # Either all of them booted at once, after a power cut, or their REGISTERs had failed for as long.
        return Verdict("router_restart" if event.back - event.begin <= POWER_CUT_S else "wan_outage", 0.7)
    if np.isfinite(event.back):
        return None
    return Verdict("wan_outage", 0.8 if log_end - event.begin > np.median(members.period) else 0.5)


def _back_together(end: Floats, soft: Bools, n: int) -> bool:
    """Say whether phones came back without a renewal and within one repeated probe of each other."""
    times = np.sort(end[soft])
    if not len(times):
        return False
    together = int((np.searchsorted(times, times + BACK_S, side="right") - np.arange(len(times))).max())
    return (together >= 2 and together >= 0.3 * n) or (n <= 2 and together >= 1)


def _lengths(event: Event) -> tuple[Floats, Floats]:
    """Return the lengths to try and the logarithm of what each stands for (its share of the logarithmic scale)."""
    near = event.back - event.begin + 2.0 - np.arange(0.0, RETRY_S + 20.0, 4.0)
    down = np.unique(np.round(np.concatenate([LENGTHS, near[near > LENGTHS[0]]]), 1))
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


def _weigh(event: Event, members: Members, log_end: float) -> Weights:
    """Weigh one event whose phones came back one by one."""
    down, share = _lengths(event)
    returns = share + _returns(event, members, log_end, down)
    low, high = OUTAGE_S
    unplaced = (members.registered & ~members.placed).mean()
    line = (
        returns + UNPLACED * unplaced + np.log(np.where((low <= down) & (high >= down), 1.0, 0.02) / np.log(high / low))
    )
    off = (np.log(down) - np.log(RESTART_S)) / RESTART_SPREAD
    box = returns - 0.5 * off**2 - np.log(RESTART_SPREAD * np.sqrt(2 * np.pi))
    dead = _dead(down)
    known = members.outlives[np.isfinite(members.outlives)]
    if len(known):
        by_age = np.where(event.begin + down[:, None] >= known - 5.0, 1.0, 0.02).prod(axis=1)
        dead = np.broadcast_to(np.maximum(by_age, 0.003), dead.shape)
    return Weights(np.array([_log_sum(line + np.log(row)) for row in dead]), _log_sum(box))


def _dead(down: Floats) -> Floats:
    """Return the probability that bindings are dead after a line was down, shape (silences, lengths).

    The binding is idle since the last answered probe, on average half an interval before.
    """
    with np.errstate(invalid="ignore"):
        share = (down[None, :] + 30.0 - SILENCES[:, None]) / 60.0 + 0.5
    return np.asarray(np.clip(share, 0.003, 0.997), float)


def _log_sum(weights: Floats) -> float:
    peak = float(weights.max())
    return peak + float(np.log(np.exp(weights - peak).sum())) if np.isfinite(peak) else -1e9
