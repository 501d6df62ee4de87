"""Each loss alone: how well each cause explains when it began, how it ended and what stood around it.

Log-likelihoods are densities: of the beginning per probe, of the end per second. Every density has a share that follows
nothing (`stray`), so that no single oddity decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.model.causes import BLOCK, LATENCY, OFFLINE, RESTART, UNKNOWN, WAN
from starface_nb.model.priors import HALF, ROOT
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.schedule import early_return, grid, round_trips, spoke_first
from starface_nb.observations.story import NEAR_S, Bools, Floats, Ints, Story

BLOCKING = 3
"""Refused registrations from which on an address may have been blocked."""
TWO_TURNS = 2.1
"""A phone that misses one REGISTER is back with the one after it: periods."""


@dataclass(frozen=True)
class Ends:
    """How each loss ended, as densities per second in log space, and the marks beside it (arrays, shape (n,)).

    Attributes
    ----------
    probe, register : a repeated probe was answered, or the phone sent a REGISTER: what grid and Registered line say
    answer : the same as `probe` for an answer off the grid
    boot : the same for a REGISTER after a boot
    trip : log-probability of the round trip at the end, by kind (late answers, lost packets or line back, REGISTER)
    length : seconds, up to the log's end while open
    open : still unreachable when the log ends
    step : seconds from one repeated probe to the next
    """

    probe: Floats
    answer: Floats
    register: Floats
    boot: Floats
    trip: Floats
    length: Floats
    open: Bools
    step: Floats

    def take(self, which: Ints) -> Ends:
        """Return the endings of the losses at these indices."""
        return Ends(*(column[..., which] for column in vars(self).values()))


def ends(story: Story) -> Ends:
    """Weigh the endings of all losses of a log."""
    losses, n = story.told, len(story.losses)
    closed = np.isfinite(losses.end)
    net = grid(losses, story.settings, story.resolution)
    probe, register = spoke_first(losses, net, P.on_grid)
    shows = np.where(story.shows_ports, 0, np.where(_shown(story), 1, 2))[losses.phone]
    shows = np.where(losses.ran_out, 0, shows)  # every registration shows a line that finds none
    port = np.array(P.port_shown)[shows]
    early = early_return(losses, story.settings) & closed
    # Where no registration is logged at all, a missing line says nothing.
    logged = bool(story.renewals.seen.any())
    port, stray, boot = np.where(logged, port, 0.0), P.stray_registered * logged, P.port_shown_boot * logged
    line = _seen(losses.registered, stray)
    beside = np.where(closed, line, 0.0) + np.where(early, np.log(P.stray), 0.0)
    boot = np.where(losses.ran_out, port, boot) if losses.ran_out.any() else boot
    register_line, boot_line = _seen(losses.registered, port), _seen(losses.registered, boot)
    trips = np.array(P.trips)[:, round_trips(losses)] if n else np.ones((3, 0))
    # In a spell of late answers any return may be late.
    share = np.where(losses.late_near > 0, P.late_trip, 0.0)
    trips = np.log((1 - share) * trips + share * trips[0], dtype=np.float32)
    return Ends(
        probe + beside,
        beside,
        register + np.where(closed, register_line, 0.0),
        register + np.where(closed, boot_line, 0.0),
        np.where(closed, trips, 0.0),
        np.maximum(losses.until - losses.start, 1.0),
        ~closed,
        net.step,
    )


def _seen(seen: Bools, share: Floats | float) -> Floats:
    """Return the log-probability of a mark that shows in this share of the cases."""
    return np.asarray(np.where(seen, np.log(np.maximum(share, 1e-9)), np.log1p(-np.asarray(share))), np.float32)


def _shown(story: Story) -> Bools:
    """Say for which phones too little is known of their router's ports: no return of theirs shows or lacks a line."""
    losses = story.losses
    long = losses.renewed & np.isfinite(losses.end)
    count = np.bincount(losses.phone[long], minlength=len(story.peers))
    shown = np.bincount(losses.phone[long & losses.registered], minlength=len(story.peers))
    return (count < 3) | ((shown > 0.15 * count) & (shown < 0.97 * count))


def expit(odds: Floats) -> Floats:
    """Return the probability of these log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -50, 50))), float)


def reached(spreads: Floats) -> Floats:
    """Return the probability of what is spread normally to lie below its middle and so many spreads."""
    return expit(1.7 * spreads)


def log_uniform(length: Floats, open_: Bools, low: float, high: float) -> Floats:
    """Return the log-density of a length even in its logarithm, or the log-probability of at least it while open."""
    span = np.log(high / low)
    inside = (length >= low) & (length <= high)
    density = np.where(inside, 1.0, P.stray) / (length * span)
    longer = np.clip(np.log(high / length) / span, P.stray, 1.0)
    found = np.log(np.where(open_, longer, density))
    return np.asarray(found, float)


def log_normal(length: Floats, open_: Bools, middle: float, spread: float) -> Floats:
    """Return the same for a length whose logarithm is spread normally."""
    off = (np.log(length) - np.log(middle)) / spread
    density = np.exp(-0.5 * off**2) / (length * spread * np.sqrt(2 * np.pi))
    longer = reached(-off)
    found = np.log(np.where(open_, np.maximum(longer, 1e-6), (1 - P.stray) * density + P.stray / (length * 9.0)))
    return np.asarray(found, float)


def ways(risk: Ints, size: Ints) -> Floats:
    """Return in how many ways so many of those at risk are struck, log."""
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(int(np.max(risk, initial=0)) + 2), 1)))
    return np.asarray(log_factorial[risk] - log_factorial[size] - log_factorial[risk - size], float)


def repeats(ends: Ends, again: float) -> Floats:
    """Return the log-density of a loss that each repeated probe ends, but for the share `again`."""
    turn = np.maximum(np.round(ends.length / ends.step), 1.0)
    found = np.log(np.where(ends.open, 1.0, (1 - again) / ends.step)) + (turn - 1) * np.log(again)
    return np.asarray(found, float)


def due(at: Floats, ends: Ends, end: Floats, spread: Floats, period: Floats, log_end: Floats) -> Floats:
    """Return the log-density of a return at the phone's own REGISTER due `at`, the next after it, or at any time."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = (end - at) / spread
        known = np.isfinite(at)
        again = np.exp(-0.5 * ((end - at - period) / spread) ** 2)
        # A REGISTER that is lost is sent again until it arrives.
        late = np.where(off > 0, np.exp(-np.maximum(end - at, 0) / P.retry_s) / P.retry_s, 0.0) * ROOT * spread
        one, two, third = P.renewed_at
        bell = one * np.exp(-0.5 * off**2) + two * again + third * np.nan_to_num(late)
        flat = unhurried(ends, period)
        density = np.where(known, P.on_time * np.nan_to_num(bell) / (ROOT * spread) + (1 - P.on_time) * flat, flat)
        still = reached((np.where(known, at, 0.0) - log_end) / spread)
        waits = np.where(known, still, np.clip(1 - ends.length / period, 0.0, 1.0))
    return np.asarray(np.log(np.where(ends.open, np.maximum(waits, P.stray), density + 1e-9)), float)


def unhurried(ends: Ends, period: Floats) -> Floats:
    """Return the density of a return at any time; who missed two renewals was switched off by then."""
    away = P.stray * np.exp(log_uniform(ends.length, ends.open, *P.absence_s))
    return np.asarray(np.where(ends.length <= TWO_TURNS * period, 1 / period, away), float)


@dataclass(frozen=True)
class Mark:
    """Log-probabilities of a mark beside each loss: under most causes, shape (n,), and under single ones."""

    usual: Floats
    single: dict[int, Floats]

    def under(self, cause: int) -> Floats:
        """Return the log-probability under one cause, shape (n,)."""
        return self.single.get(cause, self.usual)

    def take(self, which: Ints) -> Mark:
        """Return the mark of the losses at these indices."""
        return Mark(self.usual[which], {cause: of_it[which] for cause, of_it in self.single.items()})


@dataclass(frozen=True)
class Marks:
    """What stood around each loss."""

    late: Mark
    refused: Mark
    went_on: Mark
    ran_out: Mark

    def take(self, which: Ints) -> Marks:
        """Return the marks of the losses at these indices."""
        return Marks(*(mark.take(which) for mark in vars(self).values()))


def marks(story: Story, refused: Ints, always: Floats) -> Marks:
    """Weigh late answers, refused registrations and registrations in the midst of all losses."""
    losses = story.losses
    # A loss whose last round trip was near the limit: `Last qualify: 3300`.
    near, before = losses.late_near > 0, losses.last_rtt * 1000 > 1500
    late = _seen(near, P.late_near[0]) + _seen(before, P.late_before[0])
    otherwise = _seen(near, _late_by_chance(story)) + _seen(before, P.late_before[1])
    blocked = refused >= BLOCKING
    under_block, by_chance = P.refused
    usual = _seen(blocked, np.clip(always, by_chance, under_block))
    block = Mark(usual, {BLOCK: _seen(blocked, under_block)})
    inside, left = _registrations_inside(story) > 0, losses.unregistered_end
    went_on, seldom = _seen(inside, P.went_on), _seen(left, P.unregistered / 100)
    own = went_on + _seen(left, P.unregistered)
    went = Mark(went_on + seldom, {RESTART: own, OFFLINE: own, UNKNOWN: _seen(inside, 0.5) + seldom})
    return Marks(Mark(otherwise, {LATENCY: late}), block, went, _ran_out(story))


def _ran_out(story: Story) -> Mark:
    """Weigh registrations that ran out: those of phones that registered in vain, the longer they were away the surer.

    Where the last REGISTER was seen, it tells no more than that the phone sent no other, as the end does. Whether the
    log would show it is not known, so that a loss without such a line says nothing.
    """
    losses, renewals = story.losses, story.renewals
    period = story.periods_taken[losses.phone]
    at = renewals.before(losses.phone, losses.failed)
    last = np.append(renewals.time, np.nan)[np.where(at >= 0, at, -1)]
    lease = np.where(np.isfinite(story.leases), story.leases, story.settings.keepalive_s)[losses.phone]
    told = losses.ran_out & ~(losses.start - last < lease)
    if not told.any():
        return Mark(np.zeros(len(losses), np.float32), {})
    length = losses.until - losses.start
    share = np.clip(length / (length + period), P.stray, 1 - P.stray)
    away, usual, half = (np.where(told, np.log(one), 0.0).astype(np.float32) for one in (share, P.stray, np.exp(HALF)))
    return Mark(usual, dict.fromkeys((WAN, RESTART, OFFLINE, BLOCK), away) | {UNKNOWN: half})


def _late_by_chance(story: Story) -> Floats:
    """Return the probability that late answers of the site stand near a loss that has nothing to do with them."""
    at, where = story.home[story.late_phone], story.home[story.losses.phone]
    share = np.full(len(story.losses), P.late_near[1])
    for site in np.unique(at):
        times = np.sort(story.late_time[at == site])
        spells = 1 + int((np.diff(times) > P.spell_s).sum())
        mine = where == site
        length = np.minimum(story.losses.until[mine] - story.losses.start[mine], P.spell_s) + NEAR_S + NEAR_S
        share[mine] = np.clip(P.late_near[1] + spells * length / max(story.end, 1.0), 0.0, 0.5)
    return share


def _registrations_inside(story: Story) -> Ints:
    """Count the phone's Registered lines in the midst of each loss."""
    losses, renewals = story.losses, story.renewals
    key = renewals.key[renewals.seen]
    low = losses.phone * 1e9 + losses.start + 5.0
    high = losses.phone * 1e9 + losses.until - 20.0
    return np.asarray(np.maximum(np.searchsorted(key, high) - np.searchsorted(key, low), 0), np.int64)


def either(share: Floats | float, one: Floats, other: Floats) -> Floats:
    """Return the log-density of an end that is `one` with this probability and the `other` else."""
    return np.asarray(np.logaddexp(np.log(share) + one, np.log1p(-share) + other), float)


def log_sums(weights: Floats, axis: int = 1) -> Floats:
    """Return the logarithm of the sum of the exponentials along an axis."""
    peak = weights.max(axis=axis, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    sums = np.log(np.exp(weights - peak).sum(axis=axis) + 1e-300) + peak.squeeze(axis)
    return np.asarray(np.maximum(sums, -1e9), float)
