"""In what rhythm phones renew their bindings, and whether a return was a renewal or the end of a fault."""

from __future__ import annotations

import numpy as np

from starface_nb.model.priors import PRIORS as P
from starface_nb.observations.story import SAME_MOMENT_S, Bools, Floats, Ints, Losses, Story

JITTERS = (0.0065, 0.02, 0.05, 0.1)
"""Spreads of a re-REGISTER around the phone's period, as shares of it."""

JITTER_PRICE = 1.5
"""What each less usual spread must explain better: log-odds."""

PARTS, SAME_PERIOD = (1, 2, 3, 4, 6, 12), 0.02
"""Periods are the keepalive or a part of it, or a usual share of that; and how alike two are, as a share."""

TOLERANCE, ROUGH = 0.025, 0.1
"""How far apart renewals of one period may be, and for a phone to keep a rhythm at all, as a share of its period."""

ON_TIME, ONE_LATER, STRAY = 0.8, 0.1, 0.1
"""Shares of a phone's returns: at its next renewal, at the one after it, and off its rhythm for other reasons."""

BLINK_S = 300.0
"""Half of all faults are over within this time."""

RHYTHM = (-4.0, 3.0)
"""What a phone's returns may weigh: at its own renewals as after an expiry, or whenever a fault is over."""

CHANCE = 0.7
"""What a return near the rhythm is worth less because faults of about that length happen: log-odds each."""

ENOUGH_RENEWALS = 4
"""A phone with so many renewals and no usual spacing between them keeps no rhythm."""


def find_periods(story: Story, tolerance: float = TOLERANCE) -> Floats:
    """Return each phone's re-REGISTER period from the most usual spacing of its renewals; NaN where none is usual."""
    renewals = story.renewals
    periods = np.full(len(story.peers), np.nan)
    gaps = np.diff(renewals.time)
    same = np.diff(renewals.phone) == 0
    longest = max(story.settings.keepalive_s, 3600.0)
    usable = same & (gaps > 2 * SAME_MOMENT_S) & (gaps < 2.2 * longest)
    who = renewals.phone[1:]
    for phone in np.unique(who[usable]):
        mine = _slice(who, phone)
        periods[phone] = usual_gap(np.sort(gaps[mine][usable[mine]]), 1.5 * longest, tolerance)
    # What comes less often than the registration runs out is no rhythm of registrations.
    return np.where(periods > (1 + tolerance) * story.leases, np.nan, periods)


def _slice(sorted_values: Ints, value: int) -> slice:
    return slice(*np.searchsorted(sorted_values, [value, value + 1]))


def usual_gap(gaps: Floats, longest: float = np.inf, tolerance: float = TOLERANCE) -> float:
    """Return the middle of the densest cluster of sorted gaps (at least two within the tolerance), or NaN.

    Periods are set in whole minutes or halves and tenths of an hour; one next to a whole minute is taken for it.
    Where every other renewal goes unseen, the spacing is twice the period: one above `longest` is halved.
    Two alike of as many as tell a rhythm are chance.
    """
    if len(gaps) < 2:
        return float("nan")
    reach = np.searchsorted(gaps, gaps * (1 + 2 * tolerance), side="right") - np.arange(len(gaps))
    best = int(np.argmax(reach))
    if reach[best] < max(2, 0.3 * len(gaps)) or (reach[best] == 2 and len(gaps) >= ENOUGH_RENEWALS):
        return float("nan")
    usual = float(np.median(gaps[best : best + reach[best]]))
    usual = usual / 2 if usual > longest else usual
    whole = round(usual / 60.0) * 60.0
    return whole if abs(usual - whole) <= 0.01 * usual else usual


def at_random(story: Story) -> Floats:
    """Return the shortest spacing of phones that renew at no fixed one, NaN for others.

    They renew in the second half of each lease, but for a start now and then; none of the spacings is usual, or most
    are far from it.
    """
    renewals, phones, lease = story.renewals, len(story.peers), max(story.settings.keepalive_s, 3600.0)
    who, step = renewals.phone[1:], np.where(np.diff(renewals.phone) == 0, np.diff(renewals.time), np.inf)
    period, shortest = story.periods[who], np.full(phones, np.inf)
    off = (step - period) / (period + renewals.early[1:] / TOLERANCE)
    near = np.where(np.isnan(period), (step >= lease / 2) & (step <= lease), np.abs(off) <= ROUGH)
    np.minimum.at(shortest, who[near], step[near])
    count, soon = (np.bincount(who[use], minlength=phones) for use in (near, step < lease / 2))
    far = ~(np.bincount(who[near], off[near] ** 2, phones) <= count * TOLERANCE**2)
    return np.where((count >= ENOUGH_RENEWALS) & (count > soon) & far, shortest, np.nan)


def rhythm_odds(story: Story, anchor: Floats, random: Bools) -> tuple[Floats, Floats]:
    """Weigh for each loss whether the phone's own renewal ended it or a fault that lasts as long as it likes.

    Returns log-likelihood ratios: above 0 where the loss, counted from the renewal at `anchor`, ended when the next
    one was due; 0 where no renewal ended it or too few are known. First for timers that keep to their period as usual,
    then, for phones that are not alone, with the spread of `JITTERS` that explains each phone's returns best. Phones
    that renew at `random` are due all through the second half of each lease.
    """
    losses = story.losses
    enough = np.bincount(story.renewals.phone, minlength=len(story.peers)) >= ENOUGH_RENEWALS
    roughly = np.where(np.isfinite(story.periods), story.periods, find_periods(story, ROUGH))
    ended = losses.renewed & np.isfinite(losses.end) & np.isfinite(anchor)

    def odds(periods: Floats, jitter: float) -> Floats:
        counts = ended & (np.isfinite(periods) | enough)[losses.phone]
        return np.where(counts, _on_time_odds(story, anchor, periods[losses.phone], jitter), 0.0)

    strict = odds(story.periods, JITTERS[0])
    as_set = _customary(roughly, story.settings.keepalive_s)[losses.phone]
    strict = np.where(as_set, strict, np.minimum(strict, 0.0))
    if random.any():
        strict = np.where(random[losses.phone], np.where(ended, _in_lease_odds(story, anchor), 0.0), strict)
    loose, best = np.zeros(len(losses)), np.full(len(story.peers), -np.inf)
    for price, jitter in enumerate(JITTERS):
        found = odds(roughly, jitter)
        total = np.bincount(losses.phone, found, len(story.peers)) - price * JITTER_PRICE
        loose = np.where((total > best)[losses.phone], found, loose)
        best = np.maximum(best, total)
    # A phone that something switches by the clock is back as regularly, but whenever it went, by the clock.
    clock = _by_clock(story, strict > 0)[losses.phone]
    most = np.where(clock > RHYTHM[1], -clock, np.inf)
    return np.minimum(strict, most), np.minimum(np.where(as_set & ~random[losses.phone], loose, strict), most)


def _seen_to(story: Story) -> Floats:
    """Return how exactly the end of each loss tells when its phone sent something, seconds."""
    silent = story.losses.pjsip & ~story.losses.registered
    return np.where(silent, story.settings.probe_interval_s / 3, 1.0)


def _by_clock(story: Story, regular: Bools) -> Floats:
    """Return for each phone how much better a clock explains these returns than that each follows the one before, log.

    What follows the one before strays from the clock's minute, further the longer the log is; what keeps to it does
    not, and is off it to the one side or the other each time anew.
    """
    losses, found = story.losses, np.zeros(len(story.peers))
    who, at, seen_to = losses.phone[regular], (losses.end - losses.rtt)[regular], _seen_to(story)[regular] ** 2
    for phone in np.unique(who):
        mine = _slice(who, phone)
        turn = np.round((at[mine] - at[mine][0]) / story.periods[phone])
        off = at[mine] - at[mine][0] - turn * story.periods[phone]
        walk = np.diff(off)[np.diff(turn) == 1]
        slack = seen_to[mine].mean()
        found[phone] = len(walk) / 2 * np.log((walk @ walk / max(len(walk), 1) + slack) / (off.var() + slack))
    return found


def _customary(periods: Floats, keepalive: float) -> Bools:
    """Say which periods are such as phones are set to under this keepalive.

    Phones that fail by themselves at regular times have a period as well: from one return to the next.
    """
    usual = np.outer(keepalive / np.array(PARTS), P.expires_shares).ravel()
    return np.asarray((np.abs(periods[:, None] - usual) <= SAME_PERIOD * usual).any(axis=1), bool)


def _on_time_odds(story: Story, anchor: Floats, period: Floats, jitter: float) -> Floats:
    """Return the log-likelihood ratio of each return: at a renewal of a phone with this spread, or at any time."""
    losses = story.losses
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.hypot(jitter * period, _seen_to(story))
        gap = (losses.end - losses.rtt - anchor) / spread
        turns = (period / spread)[:, None] * [1.0, 2.0]
        due = np.exp(-0.5 * (gap[:, None] - turns) ** 2) @ [ON_TIME, ONE_LATER] / (spread * np.sqrt(2 * np.pi))
        return np.asarray(np.log(np.nan_to_num(due) / _fault(losses) + STRAY) - CHANCE)


def _in_lease_odds(story: Story, anchor: Floats) -> Floats:
    """Return the same of a phone that renews at any time in the second half of its lease."""
    lease, losses = max(story.settings.keepalive_s, 3600.0), story.losses
    age = losses.end - losses.rtt - anchor
    due = ((age >= lease / 2) & (age <= lease)) * ON_TIME / (lease / 2)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log(due / _fault(losses) + STRAY) - CHANCE)


def _fault(losses: Losses) -> Floats:
    """Return the density of each loss's length if a fault made it, which lasts as long as it likes."""
    length = np.maximum(losses.end - losses.start, 10.0)
    return np.asarray(((length <= BLINK_S) / BLINK_S + 1 / (length * np.log(720.0))) / 2, float)
