"""One site's timeout over time: which timeout explains its cycles, and whether and when it was changed.

A router setting is one number until somebody changes it. Each cycle speaks for the timeouts its losses allow and
against those it outlived; the sums over time are cut where two different timeouts explain the cycles much better
than one. A raised timeout acts from each binding's next renewal, so cycles are ordered by their beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from starface_nb.model.cycles import SHORTEST_TURN
from starface_nb.model.likelihood import expit
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.rhythm import RHYTHM
from starface_nb.observations.story import Bools, Columns, Floats, Ints

STEP_S = 30.0
"""Spacing of the timeouts tried here; a bracket of one probe interval covers two."""

MATCH = 3.7
"""Log-likelihood ratio of a loss inside its cell: two thirds of 3,600 s against 60 s."""

CELL_S = 60.0
"""The bracket that one probing interval leaves."""

CONTRADICTION = -3.9
"""Logarithm of the probability that a cycle outlived its timeout because a renewal was not seen (2 %)."""

IN_USE = (-1.6, 2)
"""The same for a timeout below the probing interval, and for how many cycles in a row: a binding in steady use, as
while answers are lost, may be kept for longer from then on (Linux: 30 s unreplied, 120 s as a stream)."""

LOCKSTEP = 0.03
"""Share of faulty phones that by themselves fail at the same age of their registration again and again."""

CHANGE_PENALTY = 14.0
"""What a change must gain in log-likelihood, for its two ends and its moment."""

MOST_BINS = 600


@dataclass
class Candidates(Columns):
    """Losses that the timeout may have caused; phones counted within the site, seconds.

    `born`: start of its cycle; `lower`, `upper`: its bracket; `weight`: its share in the evidence of one moment;
    `trust`: in its beginning; `rhythm`, `loose`: log-odds that a renewal ended it, of an exact timer and of any;
    `soft`: how far nothing else explains it; `step`: how many went with it and came back without a REGISTER, or 0.
    """

    phone: Ints
    born: Floats
    lower: Floats
    upper: Floats
    weight: Floats
    trust: Floats
    rhythm: Floats
    loose: Floats
    soft: Floats
    step: Floats


@dataclass
class Survivals(Columns):
    """Cycles: `idle` is surely outlived, `count` cycles are alike, `reach` outlived if the phone kept to its period.

    `new`: those that began with a new binding; `long`: those that outlived half the period of the site's phones: few of
    the timeouts below it are longer than that (evenly in the logarithm).
    """

    phone: Ints
    born: Floats
    idle: Floats
    count: Ints
    reach: Floats
    new: Bools
    long: Bools


@dataclass
class Evidence:
    """What a site's cycles say, and all of its losses.

    `told`: those that something else explains; `every`: when each began, of which phone it is (`who`) and what its
    binding had `outlived` until then, seconds.
    """

    lost: Candidates
    kept: Survivals
    told: Candidates
    every: Floats
    outlived: Floats
    who: Ints

    def between(self, start: float, end: float) -> Evidence:
        """Return the evidence of cycles that began in [start, end)."""
        if np.isneginf(start) and np.isposinf(end):
            return self
        return Evidence(
            self.lost.take((self.lost.born >= start) & (self.lost.born < end)),
            self.kept.take((self.kept.born >= start) & (self.kept.born < end)),
            self.told.take((self.told.born >= start) & (self.told.born < end)),
            self.every[(self.every >= start) & (self.every < end)],
            self.outlived[(self.every >= start) & (self.every < end)],
            self.who[(self.every >= start) & (self.every < end)],
        )

    def of(self, phones: Bools) -> Evidence:
        """Return the evidence of these phones."""
        if phones.all():
            return self
        return Evidence(
            self.lost.take(phones[self.lost.phone]),
            self.kept.take(phones[self.kept.phone]),
            self.told,
            self.every,
            self.outlived,
            self.who,
        )


def _column(age: Floats, columns: int) -> Ints:
    """Return the first of the timeouts tried that is longer than each age."""
    return np.asarray(np.clip(np.ceil(age / STEP_S - 0.5), 0, columns), np.int64)


def score_table(
    evidence: Evidence,
    rows: Ints,
    s_rows: Ints,
    n: int,
    horizon: float,
    used: Bools | None = None,
    contradiction: float = CONTRADICTION,
) -> Floats:
    """Return log-likelihood ratios, shape (n, timeouts + 1); the last column is "never expires" (zero).

    `used`: which survivals speak against a timeout below the probing interval, by their count where not given;
    `contradiction`: what an outlived cycle weighs, log.
    """
    columns = int(horizon / STEP_S)
    table = np.zeros((n, columns + 2))
    first, past = _column(evidence.lost.lower, columns), _column(evidence.lost.upper, columns)
    np.add.at(table, (rows, first), MATCH * evidence.lost.weight)
    np.add.at(table, (rows, np.maximum(past, first)), -MATCH * evidence.lost.weight)
    outlived = _column(evidence.kept.idle, columns)
    weight = contradiction * evidence.kept.count
    soft = IN_USE[0] * (np.minimum(evidence.kept.count, IN_USE[1]) if used is None else used)
    probed = np.minimum(np.int64(CELL_S / STEP_S), outlived)
    np.add.at(table, (s_rows, np.zeros_like(s_rows)), soft)
    np.add.at(table, (s_rows, probed), weight - soft)
    np.add.at(table, (s_rows, outlived), -weight)
    table = np.cumsum(table[:, :-1], axis=1)
    table[:, columns] = 0.0
    return table


def touched_phones(evidence: Evidence, phones: int, horizon: float) -> Bools:
    """Return which phones take part in the timeout that most losses agree on; the others may be immune."""
    columns = int(horizon / STEP_S)
    counts = np.zeros((phones, columns + 2))
    first, past = _column(evidence.lost.lower, columns), _column(evidence.lost.upper, columns)
    np.add.at(counts, (evidence.lost.phone, first), evidence.lost.soft)
    np.add.at(counts, (evidence.lost.phone, past), -evidence.lost.soft)
    counts = np.cumsum(counts, axis=1)[:, :columns]
    if not counts.size or counts.max() <= 0:
        return np.zeros(phones, bool)
    counts = np.where(counts > 1e-6, counts, 0.0)
    return counts[:, int(np.argmax(np.sqrt(counts).sum(axis=0)))] > 0


def find_changes(evidence: Evidence, phones: int, horizon: float) -> list[tuple[float, float]]:
    """Return the moments the timeout changed, each as (not before, not after) seconds; empty where it did not.

    Each silent renewal of a long cycle counts at its own time: others may lose their bindings meanwhile.
    """
    part = evidence.of(touched_phones(evidence, phones, horizon))
    if len(part.lost.born) + len(part.kept.born) < 4:
        return []
    kept, n = part.kept, np.minimum(part.kept.count, MOST_BINS)
    turn = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    begun = np.repeat(kept.born, n) + turn * np.repeat(kept.idle / SHORTEST_TURN, n)
    moments = np.unique(np.concatenate([part.lost.born, begun]))
    edges = moments if len(moments) <= MOST_BINS else np.quantile(moments, np.linspace(0, 1, MOST_BINS))
    rows = np.searchsorted(edges, part.lost.born, side="right") - 1
    s_rows = np.searchsorted(edges, begun, side="right") - 1
    each = replace(kept.take(np.repeat(np.arange(len(n)), n)), count=np.ones(len(turn), np.int64))
    evidence = replace(part, kept=each)

    def summed(contradiction: float) -> Floats:
        table = score_table(evidence, rows, s_rows, len(edges), horizon, turn < IN_USE[1], contradiction)
        return np.vstack([np.zeros(table.shape[1]), np.cumsum(table, axis=0)])

    sums = summed(CONTRADICTION)
    cuts = sorted(_cut(sums, 0, len(edges)))
    if cuts and _gain(summed(_unseen(evidence, s_rows, sums, cuts)), cuts) < CHANGE_PENALTY:
        cuts.pop()
    return [_moment(edges, sums, cut, cuts) for cut in cuts]


def _unseen(evidence: Evidence, s_rows: Ints, sums: Floats, cuts: list[int]) -> float:
    """Return what an outlived cycle weighs, log, where renewals go unseen as often as before the last change.

    Phones that are called in the daytime outlive a timeout for hours; that ends, and may come again.
    """
    bounds, never = [0, *cuts], sums.shape[1] - 1
    gains = [sums[b] - sums[a] for a, b in pairwise(bounds)]
    best = np.array([int(gain.argmax()) if gain.max() > 0 else never for gain in gains])
    known = np.maximum.accumulate(np.where(best < never, np.arange(len(best)), -1))
    timeout = np.where(known >= 0, best[known], never)
    before = s_rows < cuts[-1]
    outlived = _column(evidence.kept.idle[before], never) > timeout[np.searchsorted(cuts, s_rows[before], side="right")]
    return float(np.log((1 + np.count_nonzero(outlived)) / (np.exp(-CONTRADICTION) + np.count_nonzero(before))))


def _gain(sums: Floats, cuts: list[int]) -> float:
    """Return what the last change gains, log."""
    first, cut = [0, *cuts][-2:]
    left, right = sums[cut] - sums[first], sums[-1] - sums[cut]
    return float(left.max() + right.max() - (left + right).max())


def _cut(sums: Floats, i: int, j: int) -> list[int]:
    """Cut [i, j) where that gains most, again and again."""
    if j - i < 2:
        return []
    whole = (sums[j] - sums[i]).max()
    left = (sums[i + 1 : j] - sums[i]).max(axis=1)
    right = (sums[j] - sums[i + 1 : j]).max(axis=1)
    best = int(np.argmax(left + right))
    if left[best] + right[best] - whole < CHANGE_PENALTY:
        return []
    cut = i + 1 + best
    return [*_cut(sums, i, cut), cut, *_cut(sums, cut, j)]


def _moment(edges: Floats, sums: Floats, cut: int, cuts: list[int]) -> tuple[float, float]:
    """Return the last beginning of a cycle under the old timeout and the first under the new one."""
    at = cuts.index(cut)
    start = cuts[at - 1] if at else 0
    end = cuts[at + 1] if at + 1 < len(cuts) else len(edges)
    old = int(np.argmax(sums[cut] - sums[start]))
    new = int(np.argmax(sums[end] - sums[cut]))
    difference = np.diff(sums[:, old] - sums[:, new])
    before = np.flatnonzero(difference[:cut] > 0)
    after = np.flatnonzero(difference[cut:] < 0)
    low = edges[before[-1]] if len(before) else edges[max(cut - 1, 0)]
    high = edges[cut + after[0]] if len(after) else edges[min(cut, len(edges) - 1)]
    return float(low), float(high)


def probability_expiring(
    evidence: Evidence,
    phones: int,
    low: float,
    high: float,
    prior: float,
    shares: bool,
    speaks_for: tuple[float, float] = (MATCH, CONTRADICTION),
) -> float:
    """Return the probability that bindings of this site expire inside the bracket, phones weighed one by one.

    A phone may be untouched by a short timeout, and one phone may fail in lockstep by itself; so a single regular
    phone among many that show nothing proves no timeout of the router, and one that returns when it likes, not at its
    next renewal, proves little. Where ports are shared, phones answer over others' bindings and contradict nothing.
    `speaks_for`: what a loss inside and an outlived cycle weigh, log.
    """
    match, contradiction = speaks_for
    inside = (evidence.lost.lower < high) & (evidence.lost.upper > low)
    matches = np.bincount(evidence.lost.phone[inside], evidence.lost.weight[inside], minlength=phones)
    outlived = evidence.kept.reach >= high
    kept = evidence.kept.take(outlived)
    # Between a timeout just below its period and its REGISTER a phone may not be probed at all.
    period = np.where(kept.reach > kept.idle, kept.reach - CELL_S, np.inf)
    unseen = np.clip(1 - (period - (low + high) / 2) / CELL_S, 0.0, 1.0)
    speaks = np.log(unseen + (1 - unseen) * np.exp(contradiction))
    against = np.bincount(kept.phone, kept.count * speaks, minlength=phones)
    # What was lost later had outlived it as well, whatever took it.
    against = against + contradiction * np.bincount(evidence.who[evidence.outlived >= high], minlength=phones)
    several = (np.bincount(evidence.lost.phone[inside], evidence.lost.soft[inside], minlength=phones) >= 1.5).sum() >= 2
    odds = evidence.lost.loose if several else evidence.lost.rhythm
    rhythm = np.bincount(evidence.lost.phone[inside], odds[inside], minlength=phones) * (not shares)
    # The wider the bracket, the less it says that losses fall inside, and the fewer brackets there were to choose from.
    wider = max(0.0, float(np.log((high - low) / CELL_S)))
    cells = max(1.0, 3600.0 / max(high - low, CELL_S))
    touched = np.minimum((match - wider) * matches + against, np.log(cells / LOCKSTEP))
    rhythm = np.where(matches > 0, np.clip(rhythm, *RHYTHM), 0.0)
    # One phone may fail by itself again and again; several do not at the same age of their registrations.
    worst = np.arange(phones) == (rhythm.argmin() if phones else 0)
    touched += np.where((rhythm < 0) & ~worst, 0.0, rhythm)
    # Phones that always go together, and come back without a REGISTER, may hang on one fault: they are one witness,
    # but for what each of them lost by itself, before a power cut brought them into step.
    went, phone = evidence.lost.step[inside], evidence.lost.phone[inside]
    usual = np.bincount(phone, np.maximum(went, 1.0), phones) / np.maximum(np.bincount(phone, minlength=phones), 1)
    alone = (match - wider) * np.bincount(phone, evidence.lost.weight[inside] * (went == 0), phones)
    step = touched - np.maximum(rhythm, 0.0)  # a line by the clock gives as regular returns
    one = np.where(usual > 1, np.minimum(touched, np.maximum(step / np.maximum(usual, 1.0), alone)), touched)
    # Who registers more often or has a keepalive of its own is not touched: some phones, or most, as they were set up.
    few, many, chance = P.immune
    spared = np.array([few, many])[:, None]

    def expiring(touched: Floats) -> float:
        each = np.logaddexp(np.log1p(-spared) + touched, np.log(spared)).sum(axis=1)
        total = np.logaddexp(np.log1p(-chance) + each[0], np.log(chance) + each[1])
        return float(expit(total + np.log(prior / (1 - prior)) - np.log(cells)))

    # Where they would convict the router if each of them counted, they do not clear it.
    return max(expiring(one), min(expiring(touched), prior))
