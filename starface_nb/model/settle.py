"""Which events of a site are believed: what strikes a site does so again, and its bindings outlive one silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.model.events import BURST, LINE, OFF, SPELL, STEP, Event, Scene
from starface_nb.model.fates import silence_kills
from starface_nb.model.priors import DAY_S, HOUR_S
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.rhythm import usual_gap
from starface_nb.observations.story import Floats

EVERY_S = ((HOUR_S, [0]), (HOUR_S, [1]), (HOUR_S, [1 + STEP]), (DAY_S, [0, 1, 1 + OFF]))
"""What comes by the clock comes at the same minute of each hour, or once a day: lines, whose bindings live or die,
bindings of phones in step, and phones that are switched off, but for which a line is taken in the first days."""


@dataclass(frozen=True)
class Explained:
    """An event as it is believed: probability that there was one, of each kind, and each loss's share in it.

    `worth`: how much better it explains its losses than each alone does, log.
    """

    event: Event
    probability: float
    kinds: Floats
    worth: float


def settle(
    events: list[Event], scene: Scene, pbx: tuple[float, float], days: float, *, shares: bool, kills: float
) -> list[Explained]:
    """Believe the events of a site: what kinds strike it and how long a silence its bindings outlive are shared.

    `kills`: the probability that any silence kills bindings: none kills those that die by their registration's age.
    """
    if not events:
        return []
    line = np.array([event.line for event in events])
    other = np.array([event.other for event in events])
    score = np.log(np.where(np.arange(line.shape[2]) == line.shape[2] - 1, 1 - kills, kills / len(P.silences)))
    score = score + np.log(1 - silence_kills(np.array([max(pbx[0], 1.0)])))[0]
    if np.isfinite(pbx[1]):
        score = score + np.log(silence_kills(np.array([pbx[1]])))[0]
    base = np.array([P.kinds[LINE], *P.kinds])
    base[1 + STEP] = P.shared_deaths_per_day if shares else base[1 + STEP]
    most = np.full((len(base), 1), P.restarts_per_day)  # but lines, bursts and bindings fail again and again
    most[[0, 1, 1 + BURST, 1 + STEP, 1 + SPELL]] = np.inf
    kinds = np.zeros((len(base), len(events)))
    begin = np.array([event.begin for event in events])
    _, whose = np.unique([event.device for event in events], return_inverse=True)
    usual = usual_gap(np.sort(np.diff(begin)))  # what comes by a clock of its own, as a job each 50 minutes
    clocks = [*EVERY_S, *((usual, which) for every, which in EVERY_S if every == HOUR_S and usual > 2 * scene.window)]
    again = [(every, which, SameMinute(begin, every, scene.window, begin)) for every, which in clocks]
    for turn in range(8):
        # What strikes a site does so again, and what a device: each event takes its rates from the others.
        others = np.stack([np.bincount(whose, kind)[whose] for kind in kinds]) - kinds
        if turn == 1:
            others[1] += others[2]
        rate = np.minimum((base[:, None] * P.events_days + others) / (P.events_days + days), most)
        each = np.log(rate * scene.window / DAY_S + _by_the_clock(kinds, rate, again, days))
        rest = other.T + each[2:]
        both = np.stack([line[:, 0] + each[0][:, None], line[:, 1] + each[1][:, None],
                         *np.broadcast_to(rest[:, :, None], (len(rest), *line[:, 0].shape))])  # fmt: skip
        total = np.logaddexp(0.0, np.logaddexp.reduce(both, axis=0))
        weight = score + total.sum(axis=0)
        mix = np.exp(weight - weight.max())
        kinds = np.exp(both - total) @ (mix / mix.sum())
    kinds = np.concatenate([kinds[:1] + kinds[1:2], kinds[2:]]).T
    chance, worth = kinds.sum(axis=1), total @ (mix / mix.sum())
    return [
        Explained(event, float(p), k / max(float(p), 1e-12), float(more))
        for event, p, k, more in zip(events, chance, kinds, worth, strict=True)
    ]


def _by_the_clock(kinds: Floats, rate: Floats, again: list[tuple[float, list[int], SameMinute]], days: float) -> Floats:
    """Return how surely each kind strikes when it does because the clock brings it at that minute, shape (kinds, n).

    One other at the same minute may be chance. What comes by the clock is one thing, of a kind as usual as its rate.
    """
    shares = np.zeros((len(again), *kinds.shape))
    for share, (every, which, others) in zip(shares, again, strict=True):
        some = kinds[which].sum(axis=0, keepdims=True)
        more = np.maximum(others.total(some) - some - 1, 0.0)
        share[which] = more / (days * DAY_S / every + 1) * rate[which] / rate[which].max(axis=0)
    return np.asarray(shares.max(axis=0), float)


class SameMinute:
    """The events of about the same minute of each hour or day as the times `at`."""

    def __init__(self, begin: Floats, every: float, window: float, at: Floats) -> None:
        self.order = np.argsort(begin % every, kind="stable")
        minute, asked = (begin % every)[self.order], at % every
        around = np.concatenate([minute - every, minute, minute + every])
        self.first = np.searchsorted(around, asked - window / 2)
        self.past = np.searchsorted(around, asked + window / 2, side="right")

    def total(self, kinds: Floats) -> Floats:
        """Return what they add up to, shape (kinds, len(at))."""
        total = np.zeros((len(kinds), 3 * len(self.order) + 1))
        np.cumsum(np.tile(kinds[:, self.order], 3), axis=1, out=total[:, 1:])
        return np.asarray(total[:, self.past] - total[:, self.first])
