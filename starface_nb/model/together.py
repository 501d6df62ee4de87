"""Losses that belong together: a site's phones that go within one probing interval and are down at the same time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from starface_nb.observations.story import Bools, Floats, Ints

EVENTS_PER_DAY = 2.0
"""How often, before looking, something is expected to strike a whole site."""

MISSED = 0.03
"""Probability that a phone that answered until then is not seen lost although the whole site is."""

SHORT_S = 45.0
"""Shorter disturbances are bursts of lost packets, whoever they strike."""

SHORT_PJSIP_S = 64.0
"""There a single lost probe lasts until the next one, a probing interval later."""


HEARD, MOST_HEARD = 2.0, 4
"""What each answer from the site in the midst of it speaks against a common cause (log-odds), and how many count."""

ANSWERED_S = 4.5
"""An answer to a probe sent before may still come for so long, seconds."""


@dataclass
class Event:
    """Losses that went together.

    Attributes
    ----------
    members : indices of the losses, sorted by start
    begin : when the first unanswered probe was sent, seconds
    back : when the first phone of the site was heard again
    at_risk : phones of the site that answered until then
    odds : log-odds of one common cause against chance
    """

    members: Ints
    begin: float
    back: float
    at_risk: int
    odds: float


@dataclass
class Surface:
    """When phones of a site were heard: sorted times of its Reachable, Lagged and Registered lines, seconds."""

    times: Floats = field(default_factory=lambda: np.empty(0))

    def first_after(self, time: float) -> float:
        """Return when the next phone was heard after `time`, or infinity."""
        at = int(np.searchsorted(self.times, time, side="right"))
        return float(self.times[at]) if at < len(self.times) else np.inf

    def heard(self, start: float, end: float) -> int:
        """Return how many lines stand in (start, end]."""
        return int(np.searchsorted(self.times, end, "right") - np.searchsorted(self.times, start, "right"))


def find_events(
    start: Floats, end: Floats, phone: Ints, free: Bools, at_risk: Ints, window: float, surface: Surface, short: float
) -> list[Event]:
    """Find losses with one common cause.

    Parameters
    ----------
    start, end, phone : arrays, shape (n,)
        Losses of one site, sorted by start; seconds.
    free : array of bool
        Losses that nothing explains yet.
    at_risk : array of int
        Phones of the site that answered just before each loss.
    window : float
        Probing interval plus time-out, seconds.
    surface : Surface
        Lines that show phones of the site answering.
    short : float
        Shorter disturbances make no event, seconds.
    """
    index = np.flatnonzero(free)
    times, ends = start[index], end[index]
    if len(times) < 2:
        return []
    reach = np.searchsorted(times, times + window, side="right") - np.arange(len(times))
    rate = _local_rate(times)
    taken = np.zeros(len(times), bool)
    events = []
    many = np.flatnonzero((reach >= 2) & (_best_odds(reach, at_risk[index], rate * window, window) > 0))
    for first in many[np.argsort(-reach[many], kind="stable")]:
        inside = np.arange(first, first + reach[first])
        inside = inside[~taken[inside]]
        if len(inside) < 2:
            continue
        core = _down_together(times[inside], ends[inside])
        members = inside[core]
        if len(np.unique(phone[index[members]])) < 2:
            continue
        event = _weigh(index[members], start, end, phone, at_risk, float(rate[first]), window, surface, short)
        if event is not None:
            taken[members] = True
            events.append(event)
    return sorted(events, key=lambda e: e.begin)


def _best_odds(size: Ints, at_risk: Ints, expected: Floats, window: float) -> Floats:
    """Return a bound that no event of this size can exceed, so that most windows need no closer look."""
    risk = np.maximum(at_risk, size)
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(risk.max(initial=1)) + 1)))])
    share = size / risk
    fit = size * np.log(share) + (risk - size) * np.log(np.where(share < 1, 1 - share, 1.0))
    common = fit + table[risk] - table[size] - table[risk - size] + np.log(EVENTS_PER_DAY * window / 86_400)
    chance = (size - 1) * np.log(np.maximum(expected, 1e-6)) - table[size - 1] + np.log(np.maximum(expected, 1e-3))
    return np.asarray(common - np.minimum(chance, np.log(np.maximum(expected, 1e-3))))


def _down_together(start: Floats, end: Floats) -> Ints:
    """Return the largest set of losses that are all open at one moment (the latest start among them)."""
    open_at = (start[None, :] <= start[:, None]) & (end[None, :] >= start[:, None] - 1.0)
    most = open_at.sum(axis=1)
    return np.flatnonzero(open_at[len(most) - 1 - int(np.argmax(most[::-1]))])


def _weigh(
    members: Ints,
    start: Floats,
    end: Floats,
    phone: Ints,
    at_risk: Ints,
    rate: float,
    window: float,
    surface: Surface,
    short: float,
) -> Event | None:
    """Return the event if one common cause explains these losses better than chance."""
    begin, latest = float(start[members].min()) - 4.0, float(start[members].max())
    back = min(float(end[members].min()), surface.first_after(latest + 1.0))
    length = back - begin
    if length < short:
        return None
    heard = min(surface.heard(begin + ANSWERED_S, latest - ANSWERED_S), MOST_HEARD)
    size = len(np.unique(phone[members]))
    risk = max(int(at_risk[members].max()), size)
    caught = min(1.0, length / window) * (1 - MISSED)
    common = size * np.log(caught) + (risk - size) * np.log1p(-caught) + np.log(EVENTS_PER_DAY * window / 86_400)
    common += _choose(risk, size)
    chance = (size - 1) * np.log(max(rate * window, 1e-6)) - _log_factorial(size - 1) + np.log(max(rate * window, 1e-3))
    odds = float(common - chance) - HEARD * heard
    return Event(np.sort(members), begin, back, risk, odds) if odds > 0 else None


def _choose(n: int, k: int) -> float:
    return _log_factorial(n) - _log_factorial(k) - _log_factorial(n - k)


def _log_factorial(n: int) -> float:
    return float(np.log(np.arange(1, n + 1)).sum())


def _local_rate(times: Floats, half: float = 3600.0, core: float = 70.0) -> Floats:
    """Return losses per second in the two hours around each loss, its own minute left out."""
    around = np.searchsorted(times, times + half) - np.searchsorted(times, times - half)
    near = np.searchsorted(times, times + core) - np.searchsorted(times, times - core)
    return np.maximum(around - near, 0.5) / (2 * (half - core))
