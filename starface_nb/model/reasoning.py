"""One site after the other: the timeout explains losses, faults explain the rest, and the rest informs the timeout."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import numpy as np

from starface_nb.model.causes import CODE, Around, Facts, name_causes
from starface_nb.model.cycles import SHORTEST_TURN, Cycles, Exposure
from starface_nb.model.eras import (
    Candidates,
    Evidence,
    Survivals,
    find_changes,
    probability_expiring,
    touched_phones,
)
from starface_nb.model.estimate import UNSEEN_RENEWAL, TimeoutEstimate, estimate_timeout, longest_outlived
from starface_nb.model.together import Surface
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.observations.story import BLIP_S, START_BURST_S, Bools, Floats, Ints, Story, first_after_start

PRIOR_EXPIRING = 0.3
SURE = 0.95
ENOUGH_SURVIVED = 3

WHOLE_SITE = 0.6
"""Share of the answering phones that must go within one probing interval to count as one event."""

ENOUGH_TO_CHANGE = 6
"""Losses that must agree before an era of its own is believed where its verdict is open."""

INCONSISTENT_S = 300.0
"""Many losses of one timeout lie within a few probing intervals; where their bracket is wider they share none."""

BURST = 0.5
"""Where ports are shared, losses that all lie within this share of the keepalive are one disturbance."""

DOUBTFUL = 0.2
"""What a loss counts in where the timeout lies if nothing confirms the renewal it is counted from."""

UNCERTAIN_S = 3960.0
"""A cycle that begins this soon after a change may still be one under the old timeout."""

WHOLE_TURN = 0.95 * SHORTEST_TURN
"""Share of its period from which on a cycle without a loss was outlived as a whole."""

MOST_TURNS = 12
"""After more silent renewals than this nobody knows when the next is due."""


@dataclass
class Era:
    """A time with one timeout: seconds since the log's start, the estimate, how probable it is, and the verdict."""

    start: float
    end: float
    estimate: TimeoutEstimate
    probability: float
    verdict: str
    renewed_by: str
    expired: int = 0
    survived: int = 0
    excluded: int = 0

    @property
    def expires(self) -> bool:
        """Bindings expire within this era."""
        return self.probability >= 0.5 and bool(np.isfinite(self.estimate.high))


@dataclass
class SiteView:
    """One site: which losses, cycles and phones (global indices) are its own."""

    name: str
    phones: Ints
    losses: Ints
    cycles: Ints
    changes: list[tuple[float, float]] = field(default_factory=list)
    eras: list[Era] = field(default_factory=list)
    facts: Facts | None = None


@dataclass
class Context:
    """What all sites share: the story, exposures, cycles and what is known of the surroundings of each loss.

    `exposure` counts from the phone's last known renewal, `soft` from its last recovery without one, `shared` from
    another phone's renewal of the same port; `rhythms` are the log-odds that the phone's own renewal ended the loss,
    for exact timers and for such as vary.
    """

    story: Story
    exposure: Exposure
    soft: Exposure
    shared: Exposure
    rhythms: tuple[Floats, Floats]
    cycles: Cycles
    around: Around
    surfaces: dict[str, Surface]
    horizon: float


def reason(context: Context, site: SiteView) -> None:
    """Fill the site's eras and facts."""
    excluded = np.zeros(len(site.losses), bool)
    by_clock = excluded
    for _ in range(3):
        fit(context, site, excluded)
        site.facts = gather(context, site, by_clock)
        name_causes(site.facts)
        by_clock = site.facts.by_clock
        now = (site.facts.cause != CODE["nat_expiry"]) & site.facts.elsewhere
        if (now == excluded).all():
            break
        excluded = now
    for era in site.eras:
        if not era.expires and site.facts is not None and np.isfinite(site.facts.pbx_silence[1]):
            era.renewed_by = "any_packet"


def fit(context: Context, site: SiteView, excluded: Bools) -> None:
    """Find the eras of the site's timeout from the losses not excluded."""
    evidence = collect(context, site, excluded)
    phones = len(site.phones)
    site.changes = find_changes(evidence, phones, context.horizon)
    shares = bool(context.story.shares_ports[site.phones].any())
    while True:
        moments = [-np.inf, *[(a + b) / 2 for a, b in site.changes], np.inf]
        site.eras = [
            judge(context, evidence.between(a, b), phones, max(a, 0.0), min(b, context.story.end), shares)
            for a, b in pairwise(moments)
        ]
        same = [i for i in range(len(site.changes)) if _alike(site.eras[i], site.eras[i + 1])]
        if not same:
            return _carry_rule(context, site, evidence)
        del site.changes[same[0]]


def _carry_rule(context: Context, site: SiteView, evidence: Evidence) -> None:
    """Let eras without expiry profit from the renewal rule that another era of the same router has proven.

    Where only registrations renew, whole periods between them were outlived, not only the silence between two probes.
    """
    if not any(era.renewed_by == "registration" for era in site.eras):
        return
    for era in site.eras:
        if era.verdict == "no_expiry_seen":
            survived = evidence.between(era.start, era.end).kept.idle
            floor = longest_outlived(survived, context.story.slop, context.story.settings.level)
            era.renewed_by = "registration"
            era.estimate = replace(era.estimate, low=max(era.estimate.low, floor))


def _alike(one: Era, other: Era) -> bool:
    """Say whether two eras may have the same timeout after all."""
    if one.expires != other.expires:
        sure = one if one.expires else other
        return sure.verdict != "too_short" and sure.estimate.supported < ENOUGH_TO_CHANGE
    a, b = one.estimate, other.estimate
    return not one.expires or (a.low < b.high + 1.0 and b.low < a.high + 1.0)


def collect(context: Context, site: SiteView, excluded: Bools) -> Evidence:
    """Return candidates and survivals of the site with phones counted from 0."""
    story, cycles = context.story, context.cycles
    use = site.losses[~excluded]
    exposure = pick(context, use)
    phone = story.losses.phone[use]
    period = np.where(np.isfinite(story.periods), story.periods, story.settings.keepalive_s)[phone]
    good = exposure.locked & (exposure.upper <= 1.06 * period + 60) & (exposure.upper > exposure.lower)
    good &= ~story.losses.restart_inside[use] | (exposure.upper <= period)
    shares = bool(story.shares_ports[site.phones].any())
    alongside = np.ones(len(use)) if shares else _alongside(story, context.around.at_risk, site.losses)[~excluded]
    mine = site.cycles[cycles.idle[site.cycles] > story.settings.probe_interval_s]
    confirmed = _on_time(context, use, exposure.anchor)
    lost = Candidates(
        np.searchsorted(site.phones, phone),
        exposure.anchor,
        exposure.lower,
        exposure.upper,
        1.0 / alongside,
        np.where(confirmed | ~confirmed[good].any(), 1.0, DOUBTFUL),
        context.rhythms[0][use],
        context.rhythms[1][use],
        np.ones(len(use)),
    )
    kept = Survivals(
        np.searchsorted(site.phones, cycles.phone[mine]),
        cycles.start[mine],
        cycles.idle[mine],
        np.clip(cycles.routine[mine], 1, 1000),
        _shared_reach(context, site, mine) if shares else _reach(context, mine),
    )
    return Evidence(lost.take(good), kept)


def _shared_reach(context: Context, site: SiteView, mine: Ints) -> Floats:
    """Return what a shared binding outlived in cycles that saw no loss, where each phone's renewals keep it alive.

    n renewals at any time cut a period into n pieces; the longest is hardly ever (UNSEEN_RENEWAL) shorter than this.
    """
    cycles, periods = context.cycles, context.story.periods[site.phones]
    period = cycles.period[mine]
    usual = np.median(np.where(np.isfinite(periods), periods, context.story.settings.keepalive_s))
    n = len(periods) * period / usual
    longest = np.maximum(np.log(n) - np.log(-np.log(UNSEEN_RENEWAL)), 1.0) / n * period
    return np.where(cycles.idle[mine] >= WHOLE_TURN * period, longest, 0.0)


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


def pick(context: Context, use: Ints) -> Exposure:
    """Return the exposure of each loss from its best anchor: another phone's renewal where the port was inherited."""
    own, other = context.exposure.take(use), context.shared.take(use)
    known = np.isfinite(other.anchor)
    return Exposure(*[np.where(known, getattr(other, f.name), getattr(own, f.name)) for f in fields(Exposure)])


def judge(context: Context, part: Evidence, phones: int, start: float, end: float, shares: bool) -> Era:
    """Estimate one era; where phones share ports, one that answers may do so over another's binding."""
    settings, story = context.story.settings, context.story
    own = part.of(touched_phones(part, phones, context.horizon))
    kept = own.kept.take(np.full(len(own.kept.idle), not shares))
    estimate = estimate_timeout(
        np.concatenate([own.lost.lower, kept.idle]),
        np.concatenate([own.lost.upper, np.full(len(kept.idle), np.inf)]),
        trust=np.concatenate([own.lost.trust, np.ones(len(kept.idle))]),
        threshold=settings.keepalive_s,
        horizon=context.horizon,
        slop=story.slop,
        level=settings.level,
    )
    if estimate.high <= settings.probe_interval_s + story.slop + 1.0:
        # No probe comes sooner: what was answered in between was late or repeated, and kept the binding alive.
        estimate = replace(estimate, low=0.0, high=settings.probe_interval_s)
    inside = (part.lost.lower < estimate.high) & (part.lost.upper > estimate.low)
    outlived = int(part.kept.count.sum())
    if np.isfinite(estimate.high) and inside.any():
        probability = probability_expiring(part, phones, estimate.low, estimate.high, PRIOR_EXPIRING, shares)
        if estimate.high - estimate.low > INCONSISTENT_S and inside.sum() >= ENOUGH_TO_CHANGE:
            probability = min(probability, PRIOR_EXPIRING)
        if shares and np.ptp((part.lost.born + part.lost.upper)[inside]) < BURST * settings.keepalive_s:
            probability = min(probability, PRIOR_EXPIRING)
    else:
        probability = PRIOR_EXPIRING * 0.5 ** min(outlived, 40)
    below = estimate.low < settings.keepalive_s and estimate.high <= settings.keepalive_s + 61
    short = probability * (1.0 if below else 0.0)
    if short >= SURE:
        verdict = "too_short"
    elif short <= 1 - SURE and outlived >= ENOUGH_SURVIVED:
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
    return Era(start, end, estimate, short, verdict, renewed_by)


def gather(context: Context, site: SiteView, by_clock: Bools) -> Facts:
    """Collect the facts about the site's losses, sorted by start."""
    story, losses, use = context.story, context.story.losses, site.losses
    best = pick(context, use)
    low, high, expires = era_bounds(site, best, losses.start[use])
    start = losses.start[use]
    period = np.where(np.isfinite(story.periods), story.periods, story.settings.keepalive_s)[losses.phone[use]]
    anchor = context.exposure.anchor[use]
    turns = np.ceil(np.maximum((start - anchor) / period, 1e-9))
    spread = 6.0 + 0.007 * period * np.sqrt(turns)
    due = np.where(turns <= MOST_TURNS, anchor + turns * period, np.nan)
    after = first_after_start(losses, story.starts)[0][use]
    surface = context.surfaces.get(site.name, Surface())
    return Facts(
        loss=losses.take(use),
        around=context.around.take(use),
        lower=best.lower,
        upper=best.upper,
        anchored=np.isfinite(best.anchor),
        fits=fitting(context, use, low, high, expires, period),
        expires=expires,
        low=low,
        after_pbx_start=after,
        due=due,
        on_time=on_time(context, use, period),
        spread=spread,
        period=period,
        outlives=np.where(expires & np.isfinite(anchor), anchor + high, np.inf),
        shows_ports=story.shows_ports[losses.phone[use]],
        by_clock=by_clock.copy(),
        window=story.settings.probe_interval_s + story.settings.probe_timeout_s + 4.0,
        log_end=story.end,
        surface=surface,
        shares=bool(story.shares_ports[site.phones].any()),
        unplaced=site.name == UNKNOWN,
        pbx_silence=pbx_silence(story, start[after & ~expires], surface),
    )


def on_time(context: Context, use: Ints, period: Floats) -> Bools:
    """Say which losses ended when the phone's renewal was due, counted in its own period from the last one known."""
    losses = context.story.losses
    known = np.isfinite(context.story.periods[losses.phone[use]])
    with np.errstate(invalid="ignore"):
        gap = losses.end[use] - losses.rtt[use] - context.exposure.anchor[use]
        turns = np.maximum(np.round(gap / period), 1.0)
        near = np.abs(gap - turns * period) <= 0.012 * period * np.sqrt(turns)
    return known & np.isfinite(gap) & (turns <= MOST_TURNS) & near


def era_bounds(site: SiteView, best: Exposure, start: Floats) -> tuple[Floats, Floats, Bools]:
    """Return the bracket that holds for each loss, and whether bindings expire at all."""
    n = len(start)
    low, high, expires = np.zeros(n), np.full(n, np.inf), np.zeros(n, bool)
    born = np.where(np.isfinite(best.anchor), best.anchor, start - 1.0)
    for i, era in enumerate(site.eras):
        inside = (born >= era.start) | (i == 0)
        if i and site.eras[i - 1].expires:
            # When exactly a setting was changed is known to a keepalive or so.
            old = site.eras[i - 1].estimate
            inside &= (born >= era.start + UNCERTAIN_S) | (best.lower >= old.high) | (best.upper <= old.low)
        low[inside], high[inside], expires[inside] = era.estimate.low, era.estimate.high, era.expires
    return low, high, expires


def fitting(context: Context, use: Ints, low: Floats, high: Floats, expires: Bools, period: Floats) -> Bools:
    """Say which losses fall into the timeout's cell, from any anchor that may be the last renewal."""
    story, losses = context.story, context.story.losses
    known = np.isfinite(story.periods[losses.phone[use]])
    end = losses.end[use] - losses.rtt[use]
    anchor = context.exposure.anchor[use]
    with np.errstate(invalid="ignore"):
        # Slow answers, which leave no line, shift the probes; a return at the phone's own next renewal makes up for it.
        on_time = known & np.isfinite(end) & (np.abs(end - anchor - period) <= 0.02 * period)
        fits = high <= story.settings.probe_interval_s
        for exposure in (context.exposure, context.soft, context.shared):
            near = (exposure.lower[use] < high + story.slop) & (exposure.upper[use] > low - story.slop)
            fits |= near & (exposure.locked[use] | (on_time & np.isfinite(exposure.anchor[use])))
        longer = np.isfinite(end) & (losses.renewed[use] | (losses.end[use] - losses.start[use] > BLIP_S))
        # Where the renewal counted from is none or not the phone's last, its next one tells when that was.
        upper = losses.failed[use] - (end - period)
        spread = 0.012 * period + story.slop
        cell = (upper - story.settings.probe_interval_s < high + spread) & (upper > low - spread) & (upper < period)
        fits |= known & longer & ~on_time & cell
    return fits & expires


def pbx_silence(story: Story, lost: Floats, surface: Surface) -> tuple[float, float]:
    """Return the longest PBX stop that the site's bindings outlived, and the shortest that killed some of them."""
    outlived, killed = 0.0, np.inf
    for start, stop in zip(story.starts, story.stops, strict=True):
        dead = int(((lost >= start) & (lost <= start + START_BURST_S)).sum())
        heard = surface.heard(start, start + START_BURST_S)
        if dead == 0 and heard >= 2:
            outlived = max(outlived, start - stop)
        elif dead >= 2:
            killed = min(killed, start - stop)
    return outlived, max(killed, 60.0)
