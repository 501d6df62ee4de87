"""Losses that belong together: a site's phones that go within one probing interval of each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.analysis.story import Bools, Floats, Ints

JOINT_SHARE = 0.6
"""Share of the phones that could still be lost that must go together to call it one event."""

RARE = 1e-4
"""Or so many that the usual rate of single losses makes them this improbable."""


@dataclass
class Groups:
    """Which losses went together (arrays as long as the losses given).

    Attributes
    ----------
    group : number of the group, -1 for a loss on its own
    lost, at_risk : phones lost in the window, and phones that answered until then
    """

    group: Ints
    lost: Ints
    at_risk: Ints


def find_groups(start: Floats, phone: Ints, free: Bools, at_risk: Ints, window: float) -> Groups:
    """Group losses whose starts lie within `window` seconds.

    Parameters
    ----------
    start, phone : arrays, shape (n,)
        Losses of one site, sorted by start.
    free : array of bool
        Losses that nothing explains yet; only they make a group.
    at_risk : array of int
        Phones of the site that answered just before each loss.
    window : float
        Probing interval plus time-out, seconds.
    """
    n = len(start)
    group = np.full(n, -1)
    lost, risk = np.ones(n, np.int64), at_risk.copy()
    index = np.flatnonzero(free)
    times = start[index]
    reach = np.searchsorted(times, times + window, side="right") - np.arange(len(times))
    rate = _local_rate(times)
    expected = rate * window
    many = reach >= 2
    order = np.flatnonzero(many)[np.argsort(-reach[many], kind="stable")]
    taken = np.zeros(len(times), bool)
    number = 0
    for first in order:
        inside = np.arange(first, first + reach[first])
        inside = inside[~taken[inside]]
        if taken[first] or len(inside) < 2:
            continue
        members = index[inside]
        size, could = len(np.unique(phone[members])), max(int(at_risk[members[0]]), 1)
        if size >= 2 and (size >= JOINT_SHARE * could or _improbable(size, float(expected[first]))):
            taken[inside] = True
            group[members], lost[members], risk[members] = number, size, max(could, size)
            number += 1
    return Groups(group, lost, risk)


def _local_rate(times: Floats, half: float = 1800.0, core: float = 70.0) -> Floats:
    """Return losses per second in the hour around each loss, its own minute left out."""
    around = np.searchsorted(times, times + half) - np.searchsorted(times, times - half)
    near = np.searchsorted(times, times + core) - np.searchsorted(times, times - core)
    return np.maximum(around - near, 1) / (2 * (half - core))


def _improbable(size: int, expected: float) -> bool:
    """Say whether so many single losses by chance are less likely than `RARE` (Poisson)."""
    if size < 3:
        return False
    term = total = float(np.exp(-expected))
    for k in range(1, size):
        term *= expected / k
        total += term
    return 1 - total < RARE


def answering(start: Floats, end: Floats, born: Floats, at: Floats) -> Ints:
    """Return how many phones were known and not lost just before each moment `at`."""
    known = np.searchsorted(np.sort(born), at, side="right")
    gone = np.searchsorted(np.sort(start), at, side="left") - np.searchsorted(np.sort(end), at, side="left")
    return np.maximum(known - gone, 0)
