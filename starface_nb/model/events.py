"""What struck a whole site: losses that begin together are weighed against what each would be alone.

An event of a kind and a length catches each phone at risk with a probability; a phone that was lost then may still have
been lost by itself. The event is taken with the odds that it has, and each loss belongs to it as far as it fits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from starface_nb.model.causes import BLOCK, LATENCY, LOSS, NAT, OFFLINE, RESTART, ROUTER, WAN
from starface_nb.model.fates import AFTER_S, Fate, Struck, fates, silence_kills
from starface_nb.model.likelihood import expit, log_normal, log_sums, ways
from starface_nb.model.priors import DAY_S, HALF, ROOT
from starface_nb.model.priors import PRIORS as P
from starface_nb.observations.story import Bools, Floats, Ints

LINE, BOX, BURST, BOOTS, BLOCKED, POWER, STEP, SPELL, OFF = range(len(P.kinds))
ABSENT = len(P.kinds)
"""One device is off: no kind of what strikes a site."""
CAUSE_OF = np.array([WAN, ROUTER, LOSS, RESTART, BLOCK, ROUTER, NAT, LATENCY, OFFLINE])
SHORT_S = tuple(range(6, 52, 4))
"""Faults up to these lengths are bounded apart: the shorter one is, the fewer of a site's probes it strikes."""
NEARLY = 0.05
"""Log-likelihoods this near are the same."""
AT_ONCE = 1000
"""Losses that are weighed in one go, about."""
LENGTHS = np.exp(np.linspace(np.log(4.0), np.log(48 * 3600.0), 90))


@dataclass(frozen=True)
class Event:
    """One candidate: its losses, its weights and how far each loss belongs to it under each kind.

    `line` holds one weight per silence tried where bindings outlived the outage and where not, the others one each
    (log-odds against no event, prior left out);
    `belongs`, the probability that it is the cause, and `explains`, that it would have been without any other, have the
    shape (kinds, members). `partly`: the probability that it struck a part of the site only, all of
    which came back together, if it was line or router; `device`: the one that all of them are accounts of, or -1.
    """

    members: Ints
    begin: float
    at_risk: int
    line: Floats
    other: Floats
    belongs: Floats
    explains: Floats
    alone: Floats
    partly: float
    device: int

    def like(self, alone: Floats) -> bool:
        """Say whether it was weighed against nearly these likelihoods of each loss by itself."""
        return bool(np.abs(alone[self.members] - self.alone).max() < NEARLY)


@dataclass(frozen=True)
class Scene:
    """What all events of a site share.

    Attributes
    ----------
    window : seconds in which a fault strikes all that it strikes
    heard : when phones of the site were heard
    log_end : seconds
    kills : in what share of lost probes the silence cost the binding
    unseen : log-probability that nobody saw who renewed the binding that several phones share, and when
    """

    window: float
    heard: Floats
    log_end: float
    kills: float
    unseen: float


def candidates(site: Struck, scene: Scene, before: list[Event] | None = None) -> list[Event]:
    """Return the events worth weighing, each loss in at most one of them, sorted by beginning.

    `before` are those found with other likelihoods of the single losses: only they are weighed again.
    """
    if before is not None:
        again = iter(weigh(site, scene, [e.members for e in before if not e.like(site.alone)]))
        return [e if e.like(site.alone) else next(again) for e in before]
    n, found = len(site.start), list[Event]()
    taken, seen = site.after_start.copy(), np.zeros(n, bool)
    usual = max(P.kinds) / DAY_S
    _take(site, scene, usual, taken, seen, found)
    # Where a line fails each hour, less may be one more of its failures.
    often = len(found) / max(scene.log_end, DAY_S)
    if often > usual:
        seen[~taken] = False
        _take(site, scene, 1 / scene.window, taken, seen, found)
    return sorted(found, key=lambda event: event.begin)


def _take(site: Struck, scene: Scene, per_second: float, taken: Bools, seen: Bools, found: list[Event]) -> None:
    """Find the events that so many in a second make likely, of losses that none has taken."""
    n, rate = len(site.start), float(np.log(min(per_second * scene.window, 1.0)))
    asked, past = _worth(site, scene.window, rate)
    rank = np.full(n, n)
    rank[asked] = np.arange(len(asked))
    earliest = np.searchsorted(past, np.arange(n), side="right")  # whose window reaches into this one's
    behind = defaultdict[int, list[int]](list)
    while len(asked):
        # What overlaps none that is worth more is weighed at once, the rest after the worthiest that it overlaps.
        now, done = list[Ints](), list[int]()
        for first in asked:
            span = slice(first, past[first])
            worthiest = earliest[first] + int(rank[earliest[first] : past[first]].argmin())
            if worthiest != first and not seen[span].all():
                behind[worthiest].append(first)
                continue
            done.append(first)
            free = first + np.flatnonzero(~taken[span])
            if len(free) and not seen[free].all():
                seen[free] = True
                members = free[_down_together(site.start[free], site.end[free])]
                if len(np.unique(site.phone[members])) >= 2:
                    now.append(members)
        for event in weigh(site, scene, now):
            if max(float(event.line.max()), float(event.other.max())) + rate > -3.0:
                taken[event.members] = True
                found.append(event)
        rank[done] = n
        asked = np.array([one for first in done for one in behind.pop(first, ())], np.int64)


def _worth(site: Struck, window: float, rate: float) -> tuple[Ints, Ints]:
    """Return which losses may begin an event by a bound on its weight, the best first, and where each window ends."""
    n = len(site.start)
    past = np.searchsorted(site.start, site.start + window, side="right")
    total = np.concatenate([[0.0], np.cumsum(np.maximum(_most(site) - site.alone, 0.0))])
    first = np.flatnonzero((past - np.arange(n) >= 2) & (total[past] - total[:-1] + rate > 0))
    start, until, before = site.start[first], past[first], total[first]
    size = until - first
    others = np.maximum(site.at_risk[first] - size, 0)
    gap, partly = np.maximum(window / (others + 1), 1.0), _partly(others + size, size)
    bound = total[until] - before + np.maximum(others * np.log(P.missed), partly)
    for shortest, longest in pairwise([AFTER_S, *SHORT_S, window]):
        reached = np.minimum(np.searchsorted(site.start, start + longest + 2.0, side="right"), until)
        spared = np.maximum(others * np.log1p(-_share(shortest, window)), partly)
        begun = np.log(np.minimum(longest - AFTER_S, gap) / window)
        bound = np.maximum(bound, total[reached] - before + spared + begun)
    worth = np.flatnonzero(bound + rate > 0)
    scattered = np.arange(len(worth)) * np.sqrt(2) % 1  # of those worth the same, in time, each would wait
    order = np.lexsort((scattered, -bound[worth].astype(np.float32)))
    return first[worth[order]], past


def _share(down: Floats | float, window: float) -> Floats:
    """Return the share of the phones, probed at any time, that a fault of this length catches."""
    return np.asarray((1 - P.missed) * np.clip((down - AFTER_S) / (window - 5.0), P.stray, 1.0), float)


def _partly(risk: Ints, size: Ints) -> Floats:
    """Return the log-probability that a fault strikes just these phones because it strikes a part of the site only."""
    return np.asarray(np.log(P.partly / (risk + 1.0)) - ways(risk, size), float)


def _most(site: Struck) -> Floats:
    """Return a bound on the log-likelihood of each loss in any event."""
    with np.errstate(invalid="ignore", over="ignore"):
        on_time = np.nan_to_num(np.exp(-0.5 * ((site.end - site.due) / site.spread) ** 2)) / (ROOT * site.spread)
    register = np.maximum(site.register, site.boot) + np.log(np.maximum(on_time, 1 / P.retry_s))
    probe = site.probe + np.maximum(site.late, 0.0) - np.log(site.step)
    return np.where(np.isfinite(site.end), np.maximum(probe, register), 0.0)


def _down_together(start: Floats, end: Floats) -> Ints:
    """Return the largest set of losses that are all open at one moment (the latest start among them)."""
    open_at = (start[None, :] <= start[:, None]) & (end[None, :] >= start[:, None] - 1.0)
    most = open_at.sum(axis=1)
    return np.flatnonzero(open_at[len(most) - 1 - int(np.argmax(most[::-1]))])


def weigh(site: Struck, scene: Scene, groups: list[Ints]) -> list[Event]:
    """Weigh candidates, each a group of losses, under every kind and length."""
    order = sorted(range(len(groups)), key=lambda i: len(groups[i]))
    found: dict[int, Event] = {}
    while order:
        # Groups of like size at once: each is filled up to the largest of them.
        size = len(groups[order[0]])
        part = [i for i in order[: AT_ONCE // size + 1] if len(groups[i]) <= 2 * size]
        order = order[len(part) :]
        found |= zip(part, _weigh(site, scene, [groups[i] for i in part]), strict=True)
    return [found[i] for i in range(len(groups))]


def _weigh(losses: Struck, scene: Scene, groups: list[Ints]) -> Iterator[Event]:
    """Yield the events of these groups; arrays have the shape (..., events, lengths, members)."""
    longest = max(map(len, groups))
    members = np.array([group[np.minimum(np.arange(longest), len(group) - 1)] for group in groups])
    here = (np.arange(longest) < np.array([[len(group)] for group in groups]))[:, None, :]
    site = losses.take(members[:, None, :])
    begin, back = site.failed.min(axis=2), site.end.min(axis=2)
    down, share_of = lengths(begin, back)
    size = 1 + np.count_nonzero(np.diff(np.sort(site.phone)), axis=2)
    risk = np.maximum(site.at_risk.max(axis=2), size)
    if np.isfinite(scene.unseen):
        unseen = np.where(_on_one_port(site.port, here), (scene.unseen / size)[..., None], -np.inf)
        site = replace(site, expiry=np.maximum(site.expiry, unseen))
    caught, first = _caught(site.failed - begin[:, None], down, scene.window, risk - size)
    every = np.broadcast_to(1 - P.missed, caught.shape)
    taken = np.stack([caught] * Fate.GONE + [every] * (Fate.OWN + 1 - Fate.GONE))
    # Whose binding expires just then is as likely to have gone before the fault began.
    first_gone = taken.copy()
    first_gone[: Fate.REVIVED] = np.minimum(taken[: Fate.REVIVED], 1 - np.exp(site.expiry) / 2)
    odds = np.exp(np.clip(fates(site, begin[..., None], down[..., None], scene.kills) - site.alone, -60, 60))
    spared = np.stack([_share(down, scene.window), np.broadcast_to(1 - P.missed, down.shape)])
    few = np.logaddexp((risk - size) * np.log1p(-spared), _partly(risk, size))
    partly = np.exp(_partly(risk, size) - few[0])
    few += _possible(site, scene, begin, down)
    weight = np.where(here, np.log(first_gone * odds + 1 - first_gone), 0.0).sum(axis=-1)
    weight[: Fate.GONE] += few[0] + first
    weight[Fate.GONE :] += few[1]
    moved, new = _moved(site, here)
    prior = _lengths_before(site, down, share_of)
    own = site.device.min(axis=2) == site.device.max(axis=2)  # what strikes one device strikes no others
    spared_all = np.where(own, few[1], 0.0)
    prior[OFF] = np.where(own, np.log(P.absences_per_day / P.kinds[OFF]) + prior[ABSENT], prior[OFF]) - spared_all
    a = np.logaddexp(np.log1p(-P.missed) + weight[Fate.MIXED], np.log(P.missed) + weight[Fate.ALIVE]) + new["alive"]
    d = weight[Fate.GONE] + new["dead"]
    p = weight[Fate.PARTLY] + new["alive"]
    silence = silence_kills(down + site.step.max(axis=2) / 2)  # which lasts until the next probe
    line = _line(prior[LINE][..., None], a[..., None], p[..., None], d[..., None],
                 np.where(moved[..., None], 0.9999, silence))  # fmt: skip
    step = np.logaddexp(weight[Fate.REVIVED], weight[Fate.OWN]) + HALF - spared_all
    fate_sum = np.logaddexp(np.logaddexp(a, d), p)
    # Phones that a switch fed are back together; those of another customer behind the address, each in its time.
    again = np.logaddexp(a, weight[Fate.UNANSWERED] + new["alive"])
    # Who may register often is back soon, too, after a longer outage.
    soon = (down >= site.period.max(axis=2)) & ~site.known.any(axis=2)
    again = np.where(soon, np.logaddexp(again, d), again) - np.log(P.partly)
    partly *= np.exp(again - np.logaddexp(fate_sum, again)) * (down > scene.window)
    booted, boots = _boots(site, here, np.where(own, 0, risk - size))
    booted += np.where(own, np.log(P.boots_per_day / P.kinds[BOOTS]), 0.0)
    over = np.stack([
        prior[LINE] + fate_sum,
        prior[BOX] + weight[Fate.GONE] + new["box"],
        prior[BURST] + weight[Fate.SHORT] + new["alive"],
        np.where(np.arange(down.shape[1]) == 0, booted + new["alive"], -np.inf),
        prior[BLOCKED] + weight[Fate.REFUSED] + new["alive"],
        prior[POWER] + weight[Fate.UNANSWERED] + new["box"],
        prior[STEP] + step + new["alive"],
        prior[SPELL] + weight[Fate.LATE] + new["alive"],
        prior[OFF] + weight[Fate.GONE] + new["alive"],
    ])  # fmt: skip
    total = log_sums(over, axis=2)
    post = np.exp(over - total[..., None])
    lived, died, some = (np.exp(one - fate_sum)[..., None] for one in (a, d, p))
    revived = expit(weight[Fate.REVIVED] - weight[Fate.OWN])[..., None]

    def share(taken: Floats) -> Floats:
        part = taken * odds / (taken * odds + 1 - taken)
        kinds = [
            lived * part[Fate.MIXED] + died * part[Fate.GONE] + some * part[Fate.PARTLY],
            part[Fate.GONE], part[Fate.SHORT],
            np.broadcast_to(boots, every.shape), part[Fate.REFUSED], part[Fate.UNANSWERED],
            revived * part[Fate.REVIVED] + (1 - revived) * part[Fate.OWN], part[Fate.LATE],
            part[Fate.GONE],
        ]  # fmt: skip
        return np.stack([(one[:, None, :] @ kind)[:, 0] for one, kind in zip(post, kinds, strict=True)], axis=1)

    belongs, explains = share(first_gone), share(taken)
    for i, group in enumerate(groups):
        n = len(group)
        yield Event(
            group, float(begin[i, 0]), int(risk[i, 0]), line[:, i], total[1:, i],
            belongs[i, :, :n], explains[i, :, :n], site.alone[i, 0, :n], float(partly[i] @ post[LINE, i]),
            int(site.device[i, 0, 0]) if own[i, 0] else -1,
        )  # fmt: skip


def _on_one_port(port: Ints, here: Bools) -> Bools:
    """Say which of a group may live on one binding: those on the port that most have, or of which none is known."""
    may = np.ones(port.shape, bool)
    for own, ports, mine in zip(may[:, 0], port[:, 0], here[:, 0], strict=True):
        known, count = np.unique(ports[mine & (ports > 0)], return_counts=True)
        if len(known):
            own[:] = (ports == 0) | (ports == known[count.argmax()])
    return may


def _line(prior: Floats, alive: Floats, partly: Floats, dead: Floats, silence: Floats) -> Floats:
    """Return the weights of a line outage that all bindings outlived, and of one that cost some or all of them.

    `silence` is the probability that the silence kills. Phones are probed one after the other, so that each was silent
    for another time: where that decides, some bindings are dead and others live. So they are, now and then, where some
    phones try again from a new port.
    """
    either = silence * (1 - silence)
    lost = np.logaddexp(dead + np.log(silence - either / 2), partly + np.log(np.maximum(either, P.missed)))
    return np.stack([log_sums(prior + alive + np.log(1 - silence - either / 2)), log_sums(prior + lost)])


def _possible(site: Struck, scene: Scene, begin: Floats, down: Floats) -> Floats:
    """Return how little speaks against each length: nobody is back before it, and nobody of the site is heard in it."""
    latest, heard = site.start.max(axis=2), scene.heard
    inside = np.searchsorted(heard, latest - 4.5) - np.searchsorted(heard, begin + 4.5)
    over = np.minimum(begin + down - 1.0, scene.log_end)
    until = np.searchsorted(heard, over) - np.searchsorted(heard, latest + 1.0, "right")
    spoken = np.maximum(inside, 0) + np.maximum(until, 0)
    sooner = begin + down > site.end.min(axis=2) + 2.0
    return np.asarray(np.where(sooner, -1e4, np.log(P.heard) * np.minimum(spoken, 4)), float)


def _moved(site: Struck, here: Bools) -> tuple[Bools, dict[str, Floats]]:
    """Say whether most have a new address afterwards, and return how likely that is under each fate, log."""
    known = site.knows & here
    count = known.sum(axis=2)
    moved = 2 * (site.moved & known).sum(axis=2) >= np.maximum(count, 1)
    shares = zip(("dead", "box", "alive"), P.moved, strict=True)
    return moved, {name: np.where(moved, np.log(share), np.log1p(-share)) * (count > 0) for name, share in shares}


def _lengths_before(site: Struck, down: Floats, share: Floats) -> dict[int, Floats]:
    """Return the log-prior of each length under each kind; `share`: the log of the part of its axis that it stands for.

    Shape (events, lengths).
    """
    log_down = np.log(down)

    def normal(middle: float, spread: float) -> Floats:
        off = (log_down - np.log(middle)) / spread
        return np.asarray(share - 0.5 * off**2 - np.log(spread * ROOT), float)

    def even(low: float, high: Floats | float) -> Floats:
        inside = np.where((down >= low) & (down <= high), 0.0, np.log(P.stray))
        return np.asarray(share + inside - np.log(np.log(high / low)), float)

    day, wait = P.block_s
    middle, spread, flushed = P.router_s
    moment = even(LENGTHS[0], SHORT_S[1])
    whole_day = down * np.exp(-0.5 * ((down - day) / wait) ** 2) / (2 * wait * ROOT)
    return {
        LINE: even(*P.outage_s),
        BOX: np.logaddexp(np.log1p(-flushed) + normal(middle, spread), np.log(flushed) + moment),
        BURST: share + 2 * np.log(down / P.burst_s) - down / P.burst_s,
        BLOCKED: np.logaddexp(share + np.log(whole_day + 1e-9), HALF + even(10 * wait, 2 * day)),
        POWER: normal(*P.power_s),
        STEP: even(LENGTHS[0], np.maximum(site.period.max(axis=2), LENGTHS[1])),
        SPELL: even(P.outage_s[0], P.spell_s),
        OFF: normal(*P.closed_s),
        ABSENT: even(*P.absence_s),
    }


def _caught(after: Floats, down: Floats, window: float, others: Ints) -> tuple[Floats, Floats]:
    """Return how surely each loss's probe, sent `after` the first one, falls into the fault.

    And the log of the share of faults that strike just that probe first, shape (events, lengths): phones that are
    probed in step go together however short the fault is.
    """
    reach = np.maximum(down - AFTER_S, 1.0)
    caught = np.where(after <= reach[..., None] + 2.0, 1 - P.missed, P.stray)
    gap = (window - after.max(axis=2)) / (others + 1)
    return caught, np.asarray(np.log(np.minimum(reach, np.maximum(gap, 1.0)) / window), float)


def _boots(site: Struck, here: Bools, spared: Ints) -> tuple[Floats, Floats]:
    """Weigh phones that boot together, by an order from the PBX: nearly all of them do, each takes its own time.

    Returns the weight, shape (events, 1), and how far each loss belongs to it.
    """
    caught = (1 - P.partly) * (1 - P.missed)
    ends = log_normal(site.until - site.failed, np.isinf(site.end), *P.boot_s) + site.boot
    gain = caught * np.exp(np.clip(ends - site.alone, -60, 60))
    weight = np.where(here, np.log(gain + 1 - caught), 0.0).sum(axis=2) + spared * np.log1p(-caught)
    return weight, np.asarray(gain / (gain + 1 - caught), float)


def lengths(begin: Floats, back: Floats) -> tuple[Floats, Floats]:
    """Return the lengths to try for each event: evenly in the logarithm, closer next to the first return.

    And the logarithm of the part of the logarithmic axis that each stands for: none where an event has fewer lengths
    than others. `begin` and `back` have the shape (events, 1), both results (events, lengths).
    """
    near = back - begin + 2.0 - np.arange(0.0, P.retry_s + 20.0, 4.0)
    near = np.where(np.isfinite(near) & (near > LENGTHS[0]), near, np.inf)
    every = np.concatenate([np.broadcast_to(LENGTHS, (len(near), len(LENGTHS))), near], axis=1)
    down = np.sort(np.round(every, 1), axis=1)
    down[:, 1:][down[:, 1:] == down[:, :-1]] = np.inf
    down = np.sort(np.where(down <= np.maximum(back - begin + 60.0, 30.0), down, np.inf), axis=1)
    down = down[:, : int(np.isfinite(down).sum(axis=1).max())]
    known, log_down = np.isfinite(down), np.log(down)
    before = np.column_stack([2 * log_down[:, 0] - log_down[:, 1], log_down[:, :-1]])
    after = np.pad(log_down[:, 1:], ((0, 0), (0, 1)), constant_values=np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.log(np.where(known, (np.where(np.isinf(after), 2 * log_down - before, after) - before) / 2, 0.0))
    return np.where(known, down, LENGTHS[0]), part
