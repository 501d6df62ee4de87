"""Losses at one age that no timeout took: too far apart, of one disturbance, or at one minute of the clock."""

from __future__ import annotations

import numpy as np

from starface_nb.model.eras import Candidates, Evidence
from starface_nb.model.estimate import FULL_GAIN, TimeoutEstimate
from starface_nb.model.priors import HOUR_S
from starface_nb.observations.story import Bools, Floats, Ints
from starface_nb.settings import Settings

BURST = 0.5
"""Where ports are shared, losses that all lie within this share of the keepalive are one disturbance."""

ENOUGH_SURVIVED = 3

ENOUGH_TO_CHANGE = 6
"""Losses that must agree before an era of its own is believed where its verdict is open."""

INCONSISTENT_S = 300.0
"""Many losses of one timeout lie within a few probing intervals; where their bracket is wider they share none."""

SURE = 0.95

WHOLE_SITE = 0.6
"""Share of the answering phones that must go within one probing interval to count as one event."""


def of_no_timeout(
    lost: Candidates, inside: Bools, whole: Evidence, estimate: TimeoutEstimate, settings: Settings, shares: bool
) -> bool:
    """Say whether the losses in a bracket are of something else: too far apart, one disturbance, or by the clock.

    `whole` is the evidence of all of the log, `lost` that of one era.
    """
    if estimate.high - estimate.low > INCONSISTENT_S and inside.sum() >= ENOUGH_TO_CHANGE:
        return True
    window = settings.probe_interval_s + settings.probe_timeout_s
    failed, phone = (lost.born + lost.upper)[inside], lost.phone[inside]
    if shares and np.ptp(failed) < BURST * settings.keepalive_s:
        return True
    other = (whole.lost.lower >= estimate.high) | (whole.lost.upper <= estimate.low)
    beside = np.append(whole.told.born + whole.told.upper, (whole.lost.born + whole.lost.upper)[other])
    # Bindings that live nearly an hour die in their phones' own time, which drifts: no clock takes them.
    nearly = estimate.low > SURE * HOUR_S - window
    return (nearly and _each_hour(phone, failed, window)) or _by_a_clock(np.sort(failed), beside, whole.every, window)


def at_no_one_age(
    lost: Candidates, told: Candidates, estimate: TimeoutEstimate, turn: float, settings: Settings
) -> bool:
    """Say whether losses come as often just below a timeout, or phones together at ages that stray yet end as one.

    Below it none dies: where something else tells (`told`) as many losses shortly before, it tells these, too. Bindings
    that were renewed unseen die at any age above it until their phone registers again, after `turn`. What strays within
    each phone, over some minutes only, is a disturbance that comes again after more or less one while. A router that
    sweeps its table now and then takes each phone at an age, and so at a time, of its own.
    """
    low, high, window = estimate.low, estimate.high, settings.probe_interval_s + settings.probe_timeout_s
    before = (told.upper <= low) & (told.upper > low - INCONSISTENT_S)
    if before.sum() > ((lost.lower < high) & (lost.upper > low)).sum() / 2:
        return True
    if high - low <= window or turn - high <= 2 * window:
        return False
    inside = lost.take((lost.lower < high) & (lost.upper > low))
    failed, phones = np.sort(inside.born + inside.upper), np.unique(inside.phone)
    moments = 1 + int((np.diff(failed) > window).sum())
    if len(failed) < WHOLE_SITE * moments * len(phones):
        return False
    later = int((lost.lower >= high).sum())
    strays = sum(_strays(inside.take(inside.phone == phone)) for phone in phones)
    n, even = max(strays + later, 1), (high - low) / (turn - low)
    if strays <= n * even:
        return False
    gain = strays * np.log(strays / n / even)
    gain += later * np.log(later / n / (1 - even)) if later else 0.0
    return bool(gain > FULL_GAIN)


def _strays(lost: Candidates) -> int:
    """Return how many of a phone's losses lie beside the age that most of them share."""
    at = np.sort(lost.upper)
    return len(at) - int((np.searchsorted(np.sort(lost.lower), at) - np.searchsorted(at, at)).max())


def _by_a_clock(failed: Floats, beside: Floats, every: Floats, window: float) -> bool:
    """Say whether losses, and others at other ages (`beside`), come again and again after one and the same while.

    Phones that register together are lost together, too, but at one age, with few others beside them by chance.
    """
    gaps = np.diff(every[np.diff(every, prepend=-np.inf) > window])
    turn = float(np.median(gaps)) if len(gaps) >= ENOUGH_TO_CHANGE else 0.0
    if not len(beside) or turn < 2 * 2 * 2 * window:  # too often: most gaps would be whole turns by chance
        return False
    regular = _whole_turns(gaps, turn, window)
    if not regular.any():
        return False
    turn = float(gaps[regular].sum() / np.round(gaps[regular] / turn).sum())
    by_chance = 2 * window / turn
    nearest = failed[np.clip(np.searchsorted(failed, beside), 0, len(failed) - 1)]
    there = _whole_turns(beside - nearest, turn, window).sum()
    clear = _whole_turns(gaps, turn, window).mean() > 1 - by_chance
    return bool(clear and there * np.log(max(there / len(beside) / by_chance, 1.0)) > FULL_GAIN)


def _whole_turns(apart: Floats, turn: float, window: float) -> Bools:
    """Say what is a whole number of turns apart."""
    return np.asarray(np.abs(apart - turn * np.round(apart / turn)) <= window)


def _each_hour(phone: Ints, failed: Floats, window: float) -> bool:
    """Say whether several phones were lost at one minute of each hour, and not each in its own time.

    What fills the line for some minutes each hour strikes several phones at the same minute. Where each phone's minute
    moves step by step, as that of losses that follow one another does, it is no clock's: what comes by the clock is off
    it to the one side or the other each time anew, so that its steps are twice as wide as it strays (the von Neumann
    ratio, Ann. Math. Stat. 12, 1941).
    """
    often = np.isin(phone, np.flatnonzero(np.bincount(phone) >= ENOUGH_SURVIVED))
    phone, failed = phone[often], failed[often]
    turned = np.exp(2j * np.pi * failed / HOUR_S)
    mean = turned.mean() if len(np.unique(phone)) > 1 else 0.0
    if np.abs(mean) <= np.cos(2 * np.pi * 2 * window / HOUR_S):
        return False
    order = np.lexsort((failed, phone))
    off = np.angle(turned / mean)[order] * HOUR_S / (2 * np.pi)
    step = np.diff(off)[np.diff(phone[order]) == 0]
    return not ((step**2).mean() < (off**2).mean() and off.std() > window / 2)
