"""In what rhythm phones renew their bindings, and whether a return was a renewal or the end of a fault."""

from __future__ import annotations

import numpy as np

from starface_nb.model.priors import PRIORS as P
from starface_nb.observations.story import SAME_MOMENT_S, Bools, Floats, Ints, Story

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
    return periods


def _slice(sorted_values: Ints, value: int) -> slice:
    return slice(*np.searchsorted(sorted_values, [value, value + 1]))


def usual_gap(gaps: Floats, longest: float = np.inf, tolerance: float = TOLERANCE) -> float:
    """Return the middle of the densest cluster of sorted gaps (at least two within the tolerance), or NaN.

    Periods are set in whole minutes or halves and tenths of an hour; one next to a whole minute is taken for it.
    Where every other renewal goes unseen, the spacing is twice the period: one above `longest` is halved.
    """
    if len(gaps) < 2:
        return float("nan")
    reach = np.searchsorted(gaps, gaps * (1 + 2 * tolerance), side="right") - np.arange(len(gaps))
    best = int(np.argmax(reach))
    if reach[best] < max(2, 0.3 * len(gaps)):
        return float("nan")
    usual = float(np.median(gaps[best : best + reach[best]]))
    usual = usual / 2 if usual > longest else usual
    whole = round(usual / 60.0) * 60.0
    return whole if abs(usual - whole) <= 0.01 * usual else usual


def rhythm_odds(story: Story, anchor: Floats) -> tuple[Floats, Floats]:
    """Weigh for each loss whether the phone's own renewal ended it or a fault that lasts as long as it likes.

    Returns log-likelihood ratios: above 0 where the loss, counted from the renewal at `anchor`, ended when the next
    one was due; 0 where no renewal ended it or too few are known. First for timers that keep to their period as usual,
    then, for phones that are not alone, with the spread of `JITTERS` that explains each phone's returns best.
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
    loose, best = np.zeros(len(losses)), np.full(len(story.peers), -np.inf)
    for price, jitter in enumerate(JITTERS):
        found = odds(roughly, jitter)
        total = np.bincount(losses.phone, found, len(story.peers)) - price * JITTER_PRICE
        loose = np.where((total > best)[losses.phone], found, loose)
        best = np.maximum(best, total)
    return strict, np.where(as_set, loose, strict)


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
        length = np.maximum(losses.end - losses.start, 10.0)
        fault = ((length <= BLINK_S) / BLINK_S + 1 / (length * np.log(720.0))) / 2
        spread = np.hypot(jitter * period, np.where(losses.pjsip, story.settings.probe_interval_s / 3, 1.0))
        gap = (losses.end - losses.rtt - anchor) / spread
        turns = (period / spread)[:, None] * [1.0, 2.0]
        due = np.exp(-0.5 * (gap[:, None] - turns) ** 2) @ [ON_TIME, ONE_LATER] / (spread * np.sqrt(2 * np.pi))
        return np.asarray(np.log(np.nan_to_num(due) / fault + STRAY) - CHANCE)
