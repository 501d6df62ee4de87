"""A site's timeout in its eras, from losses that weigh as much as they are probably NAT, and from outlived cycles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import lgamma

import numpy as np

from starface_nb.model.cycles import SHORTEST_TURN, Cycles, Exposure
from starface_nb.model.eras import (
    MATCH,
    Candidates,
    Evidence,
    Survivals,
    find_changes,
    probability_expiring,
    touched_phones,
)
from starface_nb.model.estimate import UNSEEN_RENEWAL, TimeoutEstimate, estimate_timeout, front, longest_outlived
from starface_nb.model.no_timeout import (
    ENOUGH_SURVIVED,
    ENOUGH_TO_CHANGE,
    INCONSISTENT_S,
    SURE,
    WHOLE_SITE,
    at_no_one_age,
    of_no_timeout,
)
from starface_nb.model.priors import HOUR_S
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.settle import SameMinute
from starface_nb.model.site import Context, SiteView, pick
from starface_nb.observations.story import BIG, Bools, Floats, Ints, Story

DOUBTFUL = 0.2
"""What a loss counts in where the timeout lies if nothing confirms the renewal it is counted from."""

PRIOR_EXPIRING = 0.3

WHOLE_TURN = 0.95 * SHORTEST_TURN
"""Share of its period from which on a cycle without a loss was outlived as a whole."""


@dataclass
class Era:
    """A time with one timeout.

    Attributes
    ----------
    start, end : seconds since the log's start
    estimate, probability, verdict, renewed_by : what is said of the timeout
    low, high : where it lies if there is one; `expiring`: the probability that there is
    share : how many of the bindings it strikes; where only new ones die, some of those live as well
    outlived : what bindings outlived, by their phones' registrations, seconds
    young : how many new bindings outlived their first silence
    """

    start: float
    end: float
    estimate: TimeoutEstimate
    probability: float
    verdict: str
    renewed_by: str
    low: float = 0.0
    high: float = np.inf
    expiring: float = 0.0
    share: float = 1.0
    outlived: float = 0.0
    young: int = 0

    @property
    def expires(self) -> bool:
        """Bindings expire within this era."""
        return self.probability >= 0.5 and bool(np.isfinite(self.estimate.high))


def fit(context: Context, site: SiteView, weight: Floats, died: Bools) -> list[Era]:
    """Find the eras of the site's timeout; `weight`: what each loss counts, `died`: which may be a binding's end."""
    evidence = collect(context, site, weight, died)
    phones = len(site.phones)
    changes = find_changes(evidence, phones, context.horizon)
    shares = bool(context.story.shares_ports[site.phones].any())
    turn = _usual_period(context, site)
    while True:
        moments = [-np.inf, *[(a + b) / 2 for a, b in changes], np.inf]
        spans = [(a, b, max(a, 0.0), min(b, context.story.end)) for a, b in pairwise(moments)]
        eras = [
            judge(context, evidence.between(a, b), evidence, phones, start, end, shares, turn)
            for a, b, start, end in spans
        ]
        same = [i for i in range(len(changes)) if _alike(eras[i], eras[i + 1], shares)]
        if not same:
            _carry_rule(eras)
            return eras
        del changes[same[0]]


def _carry_rule(eras: list[Era]) -> None:
    """Let eras without expiry profit from the renewal rule that another era of the same router has proven.

    Where only registrations renew, whole periods between them were outlived, not only the silence between two probes.
    """
    if not any(era.renewed_by == "registration" for era in eras):
        return
    for era in eras:
        if era.verdict == "no_expiry_seen":
            era.renewed_by = "registration"
            era.estimate = replace(era.estimate, low=max(era.estimate.low, era.outlived))


def _alike(one: Era, other: Era, shares: bool) -> bool:
    """Say whether two eras may have the same timeout after all."""
    if one.expires != other.expires:
        sure, rest = (one, other) if one.expires else (other, one)
        if rest.verdict == "undetermined" if shares else max(rest.low, rest.outlived) < sure.high:
            return True  # nothing shows that a binding outlived the timeout
        if not sure.estimate.low and rest.young < ENOUGH_SURVIVED:
            return True  # nor that a new one outlived its first silence
        return sure.verdict != "too_short" and sure.estimate.supported < ENOUGH_TO_CHANGE
    a, b = one.estimate, other.estimate
    return not one.expires or (a.low < b.high + 1.0 and b.low < a.high + 1.0)


def collect(context: Context, site: SiteView, weight: Floats, died: Bools) -> Evidence:
    """Return candidates and survivals of the site with phones counted from 0."""
    story, cycles = context.story, context.cycles
    use = site.losses
    exposure = pick(context, site)
    phone = story.losses.phone[use]
    period = story.periods_taken[phone]
    good = measurable(exposure, period)
    good &= ~story.losses.restart_inside[use] | (exposure.upper <= period)
    good &= ~story.losses.lapsed[use]
    shares = bool(story.shares_ports[site.phones].any())
    alongside = np.ones(len(use)) if shares else _alongside(story, context.around.at_risk, use)
    # Beside phones that use UDP, those that use TCP or TLS say nothing of its entries.
    says = ~story.streams | story.streams[site.phones].all()
    good &= says[story.losses.phone[use]]
    mine = site.cycles[(cycles.idle[site.cycles] > story.settings.probe_interval_s) & says[cycles.phone[site.cycles]]]
    confirmed = _on_time(context, use, exposure.anchor)
    # After a line that was down for all, phones are back at their own renewals as well.
    rhythms = [odds[use] for odds in context.rhythms]
    if (joint := alongside > 1).any():
        for odds in rhythms:
            odds[joint] = np.minimum(odds[joint], odds[joint] / alongside[joint])
    lost = Candidates(
        np.searchsorted(site.phones, phone),
        exposure.anchor,
        exposure.lower,
        exposure.upper,
        weight / alongside,
        weight * np.where(confirmed | ~confirmed[good].any(), 1.0, DOUBTFUL),
        rhythms[0] * weight,
        rhythms[1] * weight,
        weight,
        _in_step(story, use, alongside),
    )
    told = good & (weight <= 0.02)
    good &= ~told
    # A phone that renewed silently before it was lost was silent for as long as usual; at random, half as long.
    back = np.where(np.diff(story.losses.phone, prepend=-1) == 0, np.roll(story.losses.end, 1), -np.inf)[use]
    usual = np.where(context.random[story.losses.phone[use]], 1 / 2, SHORTEST_TURN) * period
    outlived = np.minimum(story.losses.answered[use] - np.maximum(exposure.anchor, back), usual)
    # What a cycle that a line begins is known to have outlived counts there already, and once is enough.
    own = story.renewals.before(story.losses.phone[use], story.losses.failed[use])
    counted = np.append(np.where(story.renewals.seen, cycles.idle[: len(story.renewals.seen)], 0.0), 0.0)[own]
    outlived = np.where(outlived > counted + 1.0, outlived, 0.0)
    outlived = np.where(exposure.locked & says[story.losses.phone[use]], outlived, 0.0)
    until = _first_death(story, use[died], cycles, mine)
    reach = _shared_reach(context, site, mine) if shares else _reach(context, mine)
    kept = Survivals(
        np.searchsorted(site.phones, cycles.phone[mine]),
        cycles.start[mine],
        np.minimum(cycles.idle[mine], until),
        np.clip(np.minimum(cycles.routine[mine], np.floor(until / cycles.period[mine])), 1, 1000).astype(np.int64),
        np.minimum(reach, until),
        cycles.new[mine],
        np.minimum(cycles.idle[mine], until) >= _usual_period(context, site) / 2,
    )
    kept = kept.take(kept.idle > story.settings.probe_interval_s)
    return Evidence(
        lost.take(good),
        kept,
        lost.take(told),
        story.losses.start[use],
        outlived,
        np.searchsorted(site.phones, phone),
    )


def _in_step(story: Story, use: Ints, alongside: Floats | Ints) -> Floats:
    """Return for each loss how many phones went with it and came back without a REGISTER, 0 where it went by itself.

    Where half of the ends show one, by a line or off the probing grid, each phone keeps its own time.
    """
    losses, window = story.losses, story.settings.probe_interval_s + story.settings.probe_timeout_s
    start = losses.start[use]
    gap = np.diff(start, prepend=-np.inf, append=np.inf)
    by_itself = np.minimum(gap[:-1], gap[1:]) > window
    silent = ~losses.registered[use] & (losses.pjsip[use] | losses.on_grid[use])
    share = max(2 * silent.mean() - 1, 0.0) if len(use) else 0.0
    step = np.where(silent, 1 + share * (alongside - 1), 1.0)
    # What strikes most of the site every half hour strikes a phone alone where the others are still away.
    together = start[(alongside > 1) & np.append(True, np.diff(start) > window)[: len(use)]]
    clock = SameMinute(together, HOUR_S / 2, 2 * window, start).total(np.ones((1, len(together))))[0]
    regular = (clock >= max(ENOUGH_SURVIVED, story.end / (2 * HOUR_S))) & (window < INCONSISTENT_S)
    most = float(np.median(alongside[alongside > 1])) if regular.any() else 1.0
    return np.asarray(np.where(regular & (alongside == 1), most, step * ~by_itself))


def measurable(exposure: Exposure, period: Floats) -> Bools:
    """Say of which losses the idle time is known: longer than a period, a renewal between went unseen."""
    return exposure.locked & (exposure.upper > exposure.lower) & (exposure.upper <= 1.06 * period + 60.0)


def _shared_reach(context: Context, site: SiteView, mine: Ints) -> Floats:
    """Return what a shared binding outlived in cycles that saw no loss, where each phone's renewals keep it alive.

    n renewals at any time cut a period into n pieces; the longest is hardly ever (UNSEEN_RENEWAL) shorter than this.
    """
    cycles = context.cycles
    period = cycles.period[mine]
    n = len(site.phones) * period / _usual_period(context, site)
    longest = np.maximum(np.log(n) - np.log(-np.log(UNSEEN_RENEWAL)), 1.0) / n * period
    return np.where(cycles.idle[mine] >= WHOLE_TURN * period, longest, 0.0)


def _usual_period(context: Context, site: SiteView) -> float:
    """Return the period of the site's middle phone."""
    return float(np.median(context.story.periods_taken[site.phones]))


def _on_time(context: Context, use: Ints, anchor: Floats) -> Bools:
    """Say which losses ended just one period after the renewal counted from, which proves that renewal."""
    losses, periods = context.story.losses, context.story.periods
    period = periods[losses.phone[use]]
    with np.errstate(invalid="ignore"):
        back = losses.end[use] - losses.rtt[use] - anchor
        return np.asarray(losses.renewed[use] & (np.abs(back - period) <= 0.02 * period), bool)


def _reach(context: Context, mine: Ints) -> Floats:
    """Return what cycles without a loss outlived if the phone kept to its period, up to the probe after it."""
    cycles = context.cycles
    whole = (cycles.loss[mine] < 0) & (cycles.idle[mine] >= WHOLE_TURN * cycles.period[mine])
    step = context.story.settings.probe_interval_s
    return np.where(whole, cycles.idle[mine] / SHORTEST_TURN + step, cycles.idle[mine])


def _alongside(story: Story, at_risk: Ints, use: Ints) -> Ints:
    """Return for each loss how many phones went with it if nearly all that answered did, else 1.

    Losses of one moment are one piece of evidence, not as many as there are phones.
    """
    start = story.losses.start[use]
    window = story.settings.probe_interval_s + story.settings.probe_timeout_s
    first, past = np.searchsorted(start, start - window), np.searchsorted(start, start + window, side="right")
    size = past - first
    return np.where((size >= 2) & (size >= WHOLE_SITE * at_risk[use[first]]) if len(use) else size >= 2, size, 1)


def _first_death(story: Story, died: Ints, cycles: Cycles, mine: Ints) -> Floats:
    """Return for each cycle after how many seconds a loss that may be its binding's death was seen, or infinity."""
    key = np.sort(story.losses.phone[died] * BIG + story.losses.answered[died])
    start = cycles.phone[mine] * BIG + cycles.start[mine]
    first = np.append(key, np.inf)[np.searchsorted(key, start)] - start
    return np.where(first < BIG / 2, np.maximum(first, 0.0), np.inf)


def judge(
    context: Context, part: Evidence, whole: Evidence, phones: int, start: float, end: float, shares: bool, turn: float
) -> Era:
    """Estimate one era of the whole; where phones share ports, one that answers may do so over another's binding.

    `turn`: the site's usual period, seconds.
    """
    settings, story = context.story.settings, context.story
    own = part.of(touched_phones(part, phones, context.horizon))
    kept = own.kept.take(np.zeros(0, np.int64)) if shares else own.kept
    # At the end of a log no loss has ended yet: where none proves its renewal, each counts in full.
    trust = own.lost.soft if (own.lost.trust < own.lost.soft).all() else own.lost.trust
    estimate = estimate_timeout(
        np.concatenate([own.lost.lower, kept.idle]),
        np.concatenate([own.lost.upper, np.full(len(kept.idle), np.inf)]),
        trust=np.concatenate([trust, np.ones(len(kept.idle))]),
        weight=np.concatenate([own.lost.soft, np.ones(len(kept.idle))]),
        threshold=settings.keepalive_s,
        horizon=context.horizon,
        slop=story.slop,
        level=settings.level,
    )
    if estimate.high <= settings.probe_interval_s + story.slop + 1.0:
        # No probe comes sooner: what was answered in between was late or repeated, and kept the binding alive.
        estimate = replace(estimate, low=0.0, high=settings.probe_interval_s)
    inside = (part.lost.lower < estimate.high) & (part.lost.upper > estimate.low)
    longest = longest_outlived(part.kept.idle, story.slop, settings.level)
    outlived = int(part.kept.count[part.kept.long & (part.kept.reach > 0)].sum())
    if np.isfinite(estimate.high) and inside.any():
        probability = probability_expiring(part, phones, estimate.low, estimate.high, PRIOR_EXPIRING, shares)
        if of_no_timeout(part.lost, inside, whole, estimate, settings, shares):
            probability = min(probability, PRIOR_EXPIRING)
    else:
        probability = PRIOR_EXPIRING / 2 ** min(outlived, 40)
    if probability >= SURE:
        sure = own.lost.take(own.lost.soft > 1 / 2)
        estimate = replace(estimate, low=min(estimate.low, front(sure.lower, sure.upper, estimate.low)))
        probability = PRIOR_EXPIRING if at_no_one_age(sure, part.told, estimate, turn, settings) else probability
    low, high = estimate.low, estimate.high
    # A router may drop at the first silence what it has just mapped, and keep for longer what is in steady use.
    first = settings.probe_interval_s + story.slop
    at_once = (part.lost.lower < story.slop) & (part.lost.upper < 2 * settings.probe_interval_s)
    young, share = (0.0, 1.0) if shares else _young(part, at_once, phones, first)
    if probability < SURE < young:
        probability, low, high = young, 0.0, first
        lost = int(at_once.sum())
        estimate = replace(estimate, low=0.0, high=settings.probe_interval_s, probability_below=young, supported=lost)
    else:
        share = 1.0
    expiring = probability
    below = estimate.low < settings.keepalive_s and estimate.high <= settings.keepalive_s + 61
    short = probability * (1.0 if below else 0.0)
    if short >= SURE:
        verdict = "too_short"
    elif short <= 1 - SURE and young < 0.5 and outlived >= ENOUGH_SURVIVED:
        verdict = "no_expiry_seen"
    else:
        verdict = "undetermined"
    if probability < 0.5:
        # Whichever packets renew, the probes' spacing was outlived.
        floor = settings.probe_interval_s if len(part.kept.idle) else 0.0
        keepalive, lost = settings.keepalive_s, len(own.lost.lower)
        estimate = TimeoutEstimate(floor, np.inf, settings.level, short, keepalive, 0, lost, outlived)
    renewed_by = "undetermined"
    if verdict == "too_short" and estimate.low > settings.probe_interval_s:
        renewed_by = "registration"
    return Era(start, end, estimate, short, verdict, renewed_by, low, high, expiring, share, longest,
               int(part.kept.new.sum()))  # fmt: skip


def _young(part: Evidence, at_once: Bools, phones: int, first: float) -> tuple[float, float]:
    """Return the probability that new bindings die at their first silence, and the share of them that do.

    Held against the losses that strike at any probe: where phones are lost as often later on, they are lost by chance.
    """
    new = part.kept.take(part.kept.new)
    # What was lost later had outlived it as well, whatever took it in the end.
    died, lived = float(part.lost.weight[at_once].sum()), len(new.born) + int((part.outlived >= first).sum())
    later, (usual, few) = float(part.lost.soft[~at_once].sum()), P.bursts_per_hour
    probes = (part.kept.idle * part.kept.count).sum() / first + few * HOUR_S / (usual * first)
    share, chance = (died + 1) / (died + lived + 2), (later + few) / (later + probes)
    if share <= chance:
        return 0.0, share
    odds = min(float(np.log(share / chance)), MATCH), float(np.log1p(-share) - np.log1p(-chance))
    # Any share was as likely before; the one that fits best alone would say too much.
    choice = lgamma(died + 1) + lgamma(lived + 1) - lgamma(died + lived + 2)
    choice -= died * np.log(share) + lived * np.log1p(-share)
    prior = 1 / (1 + (1 / PRIOR_EXPIRING - 1) * np.exp(-choice))
    # That it was back at its own REGISTER tells nothing: so is a phone whose binding a lost probe cost.
    lost = part.lost.take(at_once)
    lost = replace(lost, rhythm=np.minimum(lost.rhythm, 0.0), loose=np.minimum(lost.loose, 0.0))
    evidence = replace(part, lost=lost, kept=replace(new, count=np.ones(len(new.born), np.int64)))
    found = probability_expiring(evidence, phones, 0.0, first, float(prior), False, odds)
    return found, share


def era_of(eras: list[Era], best: Exposure, start: Floats, keepalive: float) -> Ints:
    """Return the era of each loss; when exactly a setting was changed is known to a keepalive or so."""
    born = np.where(np.isfinite(best.anchor), best.anchor, start - 1.0)
    found = np.zeros(len(start), np.int64)
    for i, era in enumerate(eras[1:], 1):
        old = eras[i - 1]
        fits = np.isfinite(old.high) & (best.lower < old.high) & (best.upper > old.low)
        found[(born >= era.start + 1.1 * keepalive) | ((born >= era.start) & ~fits)] = i
    return found
