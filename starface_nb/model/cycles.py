"""Renewal cycles: from one renewal of a phone's binding to the next, and what each says about the timeout."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from starface_nb.model.priors import PRIORS as P
from starface_nb.model.renewals import with_the_line
from starface_nb.observations.story import BIG, BLIP_S, Bools, Columns, Floats, Ints, Story

LOCK_EARLY_S = 1.5
SHORTEST_TURN = 0.97
"""A silent renewal may come this much earlier than the phone's usual period."""

DRIFT_PER_PROBE = 0.15
"""Each probe follows the last answer by the interval: round trip and scheduling add up, seconds per probe."""


@dataclass
class Exposure(Columns):
    """How long each loss's binding had been without renewal (arrays as long as the losses).

    Attributes
    ----------
    anchor : the renewal counted from, NaN where none is known
    lower, upper : idle seconds at the last answered and the first failed probe
    locked : the failed probe stands where the probing rhythm since that renewal wants it
    """

    anchor: Floats
    lower: Floats
    upper: Floats
    locked: Bools


def exposures(story: Story) -> Exposure:
    """Measure every loss from the phone's last known renewal."""
    losses, renewals = story.losses, story.renewals
    at = renewals.before(losses.phone, losses.failed + 1e-6)
    anchor = np.where(at >= 0, renewals.time[np.maximum(at, 0)] if len(renewals.time) else np.nan, np.nan)
    found = measure(story, anchor)
    if len(renewals.time):
        found.upper = found.upper + np.where(at >= 0, renewals.early[np.maximum(at, 0)], 0.0)
    # A call that the phone had then or since may have renewed the binding: nobody knows how long that was idle.
    found.locked &= ~(_last_call(story) > anchor - P.call_s)
    return found


def _last_call(story: Story) -> Floats:
    """Return when the phone of each loss last began a call before it, NaN where it began none."""
    losses = story.losses
    keys = np.append(-np.inf, story.calls)
    last = keys[np.searchsorted(keys, losses.phone * BIG + losses.failed) - 1] - losses.phone * BIG
    return np.where(last >= 0, last, np.nan)


def since_calls(story: Story) -> Exposure:
    """Measure every loss from the last call that its phone began."""
    return measure(story, _last_call(story))


def measure(story: Story, anchor: Floats) -> Exposure:
    """Return the exposure of every loss counted from `anchor` (NaN: unknown)."""
    losses = story.losses
    lower = np.maximum(losses.answered - anchor, 0.0)
    upper = np.maximum(losses.failed - anchor, 0.0)
    step = story.settings.probe_interval_s
    count = np.round(np.nan_to_num(upper) / step)
    off = upper - count * step
    early = LOCK_EARLY_S + story.resolution
    in_step = (off >= -early) & (off <= 2.0 + story.resolution + DRIFT_PER_PROBE * count) & (count >= 1)
    shifted = (losses.last_up > anchor + 3.0) & (losses.last_up <= losses.start)
    known = np.isfinite(anchor)
    return Exposure(anchor, np.where(known, lower, 0.0), upper, known & (in_step | shifted | losses.pjsip))


@dataclass
class Cycles:
    """One entry per renewal (arrays as long as the story's renewals), then the times before phones' first known one.

    Attributes
    ----------
    phone, start, end : whose, since when, until when (next renewal, loss for good, or the log's end)
    idle : longest silence that the binding is known to have outlived, seconds
    routine : silent renewals that must lie inside, by the phone's own period
    period : the period used, seconds: the phone's own, or the keepalive taken for it
    loss : index of the loss that ended the cycle, -1 where none did
    new : it began with what may be a new binding: a Registered line, or a renewal that ended a loss
    """

    phone: Ints
    start: Floats
    end: Floats
    idle: Floats
    routine: Ints
    period: Floats
    loss: Ints
    new: Bools


def find_cycles(story: Story, shortest: Floats) -> Cycles:
    """Cut every phone's time into cycles at its known renewals; `shortest`: how soon one at random may be the next."""
    losses, renewals = story.losses, story.renewals
    n = len(renewals.time)
    last = np.ones(n, bool)
    last[:-1] = np.diff(renewals.phone) != 0
    end = np.where(last, story.end, np.roll(renewals.time, -1)) if n else np.empty(0)
    periods = np.where(np.isfinite(shortest), shortest, story.periods_taken)
    period = periods[renewals.phone]
    loss = np.full(n, -1)
    finals = np.flatnonzero(losses.renewed | np.isinf(losses.end) | losses.unregistered_end)
    cycle = renewals.before(losses.phone[finals], losses.failed[finals] + 1e-6)
    loss[cycle[cycle >= 0]] = finals[cycle >= 0]
    quiet = end - story.settings.probe_interval_s
    until = np.where(loss >= 0, losses.answered[np.maximum(loss, 0)], quiet) if len(losses) else quiet
    key = renewals.key
    # While answers are late every tenth second brings a probe, which keeps a binding that any packet renews:
    # of one that begins so nothing is known. After it has outlived a silence of the probes, no timeout is left to hide.
    late = np.append(story.lates, np.inf)[np.searchsorted(story.lates, key)] - renewals.phone * BIG
    at_once = late < renewals.time + 2 * story.settings.probe_interval_s
    until = np.where((loss < 0) & at_once, np.minimum(until, late), until)
    called = np.append(story.calls, np.inf)[np.searchsorted(story.calls, key - P.call_s)] - renewals.phone * BIG
    # It, and what the phone sends until its end, may have renewed the binding; seen alive was that by the probe before.
    until = np.minimum(until, called - story.settings.probe_interval_s)
    down = np.searchsorted(losses.phone * BIG + losses.start, key) - 1
    here = np.maximum(down, 0)
    if len(losses):
        away = (down >= 0) & (losses.phone[here] == renewals.phone) & (losses.until[here] >= end)
        until = np.where(away, renewals.time, until)
    if len(story.stops):
        # Nobody probed while the PBX was down, and phones that registered right after it leave no line.
        at = np.searchsorted(story.stops, renewals.time)
        until = np.minimum(until, np.append(story.stops, np.inf)[at])
    until = np.minimum(until, _first_doubt(story))
    until = np.minimum(until, story.seen_until(renewals.phone, renewals.time))
    length = np.maximum(until - renewals.time, 0.0)
    routine = np.where(length > 1.04 * period, np.floor(length / period + 0.04), 0).astype(np.int64)
    idle = np.minimum(length, SHORTEST_TURN * period)
    # A return found by the peer's own probe was found because that came soon after the REGISTER: it was no test.
    found = Cycles(renewals.phone, renewals.time, end, idle, routine, period, loss, renewals.early == 0)
    return _with_unseen(story, found, until, periods)


def _first_doubt(story: Story) -> Floats:
    """Return for each renewal until when the next loss leaves no doubt that its binding lived, or infinity.

    A phone that was away for long and is back alone at a repeated probe may have renewed its binding just then; over
    PJSIP, whose probes are a minute apart, so may phones that come back with the line, which try again until it is.
    """
    losses, renewals = story.losses, story.renewals
    gone = np.isfinite(losses.end) & (losses.end - losses.start > BLIP_S)
    alone = losses.pjsip | ~with_the_line(story, gone, story.settings.probe_interval_s)
    doubtful = np.flatnonzero(gone & ~losses.renewed & alone)
    key = np.append(losses.phone[doubtful] * BIG + losses.answered[doubtful], np.inf)
    first = key[np.searchsorted(key, renewals.key)] - renewals.phone * BIG
    return np.where(first < BIG / 2, first, np.inf)


def _with_unseen(story: Story, found: Cycles, until: Floats, period: Floats) -> Cycles:
    """Add the times without a known renewal in which whole periods must lie: before the first, and after a doubt.

    Each begins with a line that says that the phone answers, and lasts for as long as nothing is seen of it. When its
    renewals were is not known, so that one period more or less than the time holds is left out. After a doubt that is
    told only of times that no further loss ends.
    """
    losses, renewals = story.losses, story.renewals
    answers = np.flatnonzero(np.isfinite(story.first_up))
    earliest = answers * BIG + story.first_up[answers]
    since = np.unique(np.concatenate([earliest, story.ups]))
    phone = (since // BIG).astype(np.int64)
    known = np.append(until, -np.inf)[renewals.before(phone, since - phone * BIG)]
    since, phone = since[since - phone * BIG > known], phone[since - phone * BIG > known]
    serious = (losses.end - losses.start > BLIP_S) | losses.renewed
    lost = losses.phone * BIG + losses.answered
    last = phone * BIG + story.end - story.settings.probe_interval_s
    for keys in (renewals.key, np.sort(lost[serious]), story.lates, story.calls):
        last = np.minimum(last, np.append(keys, np.inf)[np.searchsorted(keys, since)])
    # What strikes now and then leaves times like these out; a keepalive may have made the entry anew at once.
    in_peace = np.isin(since, earliest) | (
        np.append(np.sort(lost), np.inf)[np.searchsorted(np.sort(lost), since)] > last
    )
    start, last = since - phone * BIG, last - phone * BIG
    if len(story.stops):
        last = np.minimum(last, np.append(story.stops, np.inf)[np.searchsorted(story.stops, start)])
    last = np.minimum(last, story.seen_until(phone, start))
    whole = np.floor((last - start) / period[phone]) - 1
    first = np.append(True, (np.diff(phone) != 0) | (np.diff(last) > 0))[: len(phone)]
    use = first & in_peace & (whole >= 1) & ~np.array(story.trunks, bool)[phone]
    phone, start, whole = phone[use], start[use], whole[use].astype(np.int64)
    none, turn = np.full(len(phone), -1), period[phone]
    more = (phone, start, start + (whole + 0.5) * turn, SHORTEST_TURN * turn, whole, turn, none, none > 0)
    return Cycles(*[np.concatenate([getattr(found, f.name), new]) for f, new in zip(fields(Cycles), more, strict=True)])
