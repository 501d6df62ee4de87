"""The cause of every loss of one site, by the closed vocabulary, with how sure it is and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from starface_nb.model.outages import Members, Verdict, explain_site
from starface_nb.model.schemas import CAUSES
from starface_nb.model.together import SHORT_PJSIP_S, SHORT_S, Event, Surface, find_events
from starface_nb.observations.story import BIG, BLIP_S, Bools, Columns, Floats, Ints, Losses

CODE = {name: code for code, name in enumerate(CAUSES)}

BOOT_S = 330.0
"""A phone that is back within this time restarted; later, it was off."""

OFF_GRID_S, SOONEST_BOOT_S = 3.0, 12.0
"""So far from every repeated probe a return is a REGISTER; so soon no phone has booted."""

BLIP_PJSIP_S = 130.0
"""There the second repeated probe comes two probing intervals later."""

SLOW_S = 0.9
"""A round trip above this was late, or one packet of the probe was lost."""

REFUSED = 3
"""Refused registrations shortly before that make a block by the PBX possible."""

STILL_BLOCKED_S = 900.0
"""A loss still open when the log ends may be a block after this time."""

MISFIT = 0.3
"""Share of an event's losses that must not fit the timeout for it to be an event of its own."""

IN_STEP = 0.6
"""Share of the answering phones that go together where phones are in step, and of a site's losses that are such."""

ON_TIME = 0.4
"""Share of a site's returns that must be at renewals for that to be more than chance."""

CLOCK_S = 1800.0
"""What goes by the clock comes every half-hour, or every hour or two."""

CLOCK_WINDOW_S = 90.0
"""A line that goes at a fixed minute is noticed within the probing interval."""

CLOCK_SHARE = 0.8
"""Share of a site's longer losses that must start at that minute."""

CLOCK_ENOUGH = 8
"""Losses from which on a fixed minute is more than chance."""

UNSURE = 0.58
"""Below this probability the cause stays unknown."""

BLOCK_S, BLOCK_SPREAD_S = 86_400.0, 180.0
"""The PBX blocks an address for 24 h; phones that try again soon are back within the spread, seconds."""

REASONS = {
    "undecided": "no rule of the log decides it",
    "expired": "idle time fits the timeout and a renewal ended it",
    "expired_during_stop": "the binding ran out while the PBX was down",
    "no_binding_after_start": "the first probe after a PBX start found no binding",
    "back_together": "the site's phones went together and came back together",
    "none_back": "the site's phones went together; none was back when the log ended",
    "new_address": "the site's phones went together and came back with a new public address",
    "back_one_by_one": "the site's phones went together; each came back only with its own renewal",
    "refused": "refused registrations from the site's address, then nobody from there was heard",
    "late_answers": "late answers around it",
    "lost_probe": "back at one of the next probes without a renewal",
    "short_absence": "one phone, back with a new registration after a short time",
    "long_absence": "one phone, back with a new registration after a long time",
    "not_back": "one phone, not back when the log ends",
    "back_without_registration": "one phone, away for long, back without a new registration",
    "died_meanwhile": "the line was down; the binding had died meanwhile",
    "nobody_else": "no other phone of the site could show whether the line was down",
    "two_explanations": "the site's phones went together; line outage and router restart explain it equally well",
    "renewal_unseen": "no renewal was seen before it; bindings of this site expire most of the time",
    "by_the_clock": "the site's phones are lost at the same minutes of every hour, however old their bindings are",
    "phone_was_on": "the phone kept to its renewals, so it was on, and its binding was too young to expire",
    "silence_killed": "a lost probe's silence cost the binding, as often here: back at the phone's own renewal",
    "one_day": "the site's phones were gone for 24 h to the minute, as long as the PBX blocks an address",
}
"""Why a loss is given its cause, as it stands in the evidence."""

REASON = {name: code for code, name in enumerate(REASONS)}


@dataclass
class Around(Columns):
    """What happened around each loss.

    Attributes
    ----------
    inherited : another phone's renewal of the same external port ended it
    placed, new_address : an address of the phone was known before; it is another one afterwards
    refused : refused registrations from the site's address shortly before
    at_risk : phones of the site that answered until then
    spot, on_spot : number of the external port, phones that answered over it (where ports are shared)
    """

    inherited: Bools
    placed: Bools
    new_address: Bools
    refused: Ints
    at_risk: Ints
    spot: Ints
    on_spot: Ints


@dataclass
class Facts:
    """What is known about each loss of a site (arrays of one length, sorted by start; seconds), and what it was.

    Attributes
    ----------
    lower, upper, anchored : idle time of the binding, and whether the renewal it counts from is known
    fits : it lies in the cell of the site's timeout at that time; `expires`: there is one, `low` its lower end
    after_pbx_start : the first probe's after a PBX start
    due, spread, period : when the next REGISTER was expected, how exactly, and how often the phone sends one
    on_time : the loss ended when a REGISTER was due
    outlives : until when the binding would have lived
    by_clock : lost at a fixed minute, known from before or found here
    unplaced : no line shows these phones' address
    pbx_silence : longest PBX stop that bindings outlived, and shortest that killed them
    elsewhere : something that struck the whole site explains it
    """

    loss: Losses
    around: Around
    lower: Floats
    upper: Floats
    anchored: Bools
    fits: Bools
    expires: Bools
    low: Floats
    after_pbx_start: Bools
    due: Floats
    on_time: Bools
    spread: Floats
    period: Floats
    outlives: Floats
    shows_ports: Bools
    by_clock: Bools
    window: float
    log_end: float
    surface: Surface
    shares: bool
    unplaced: bool
    pbx_silence: tuple[float, float]
    cause: Ints = field(init=False)
    confidence: Floats = field(init=False)
    reason: Ints = field(init=False)
    together: Ints = field(init=False)
    event: Ints = field(init=False)
    elsewhere: Bools = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.loss)
        self.cause = np.full(n, CODE["unknown"])
        self.confidence = np.full(n, 0.5)
        self.reason = np.zeros(n, np.int64)
        self.together = np.ones(n, np.int64)
        self.event = np.full(n, -1)
        self.elsewhere = np.zeros(n, bool)


def name_causes(facts: Facts) -> None:
    """Fill `cause`, `confidence`, `reason`, `together` and `event` of the facts."""
    ending = facts.loss.renewed | facts.around.inherited | np.isinf(facts.loss.end)
    ending |= ~facts.shows_ports & (facts.loss.end - facts.loss.start > BLIP_S)
    nat = facts.fits & ending & ~facts.after_pbx_start
    nat |= _shared_deaths(facts, nat) & ~facts.after_pbx_start
    facts.by_clock |= _by_the_clock(facts, nat)
    nat &= ~facts.by_clock
    free = ~nat & ~facts.after_pbx_start
    _set(facts, nat, "nat_expiry", 0.97, "expired")
    _singles(facts, free)
    _set(facts, facts.by_clock & (facts.reason != REASON["lost_probe"]), "wan_outage", 0.75, "by_the_clock")
    facts.elsewhere |= facts.by_clock
    _events(facts, nat, free)
    _after_pbx_start(facts)
    _blocked(facts)


def _shared_deaths(facts: Facts, nat: Bools) -> Bools:
    """Find bindings that several phones lived on: all phones of one external port go, the others stay.

    Where every answering phone was on that port, the return tells: a line brings all back without a renewal, a binding
    comes back with the renewal of the first of them.
    """
    found = np.zeros(len(nat), bool)
    if not facts.shares or not len(nat):
        return found
    order = np.lexsort((facts.loss.start, facts.around.spot))
    key = facts.around.spot[order] * BIG + facts.loss.start[order]
    mine = facts.around.spot * BIG + facts.loss.start
    first, past = np.searchsorted(key, mine - facts.window), np.searchsorted(key, mine + facts.window, side="right")
    begin = np.searchsorted(facts.loss.start, facts.loss.start - facts.window)
    end = np.searchsorted(facts.loss.start, facts.loss.start + facts.window, side="right")
    most = np.array([facts.around.on_spot[order[a:b]].max(initial=0) for a, b in zip(first, past, strict=True)])
    together = past - first
    whole = facts.expires & (together >= np.maximum(0.85 * most, 2))
    others = (end - begin) - together
    for i in np.flatnonzero(whole & ~nat):
        group = order[first[i] : past[i]]
        leads = facts.loss.renewed[group[np.argmin(facts.loss.end[group])]]
        alone = int(facts.around.at_risk[group].max()) > most[i] + 1 and others[i] <= 1
        found[i] = alone or bool(leads) or bool(nat[group].any())
    return found


def _set(facts: Facts, which: Bools | Ints, cause: str, confidence: float, reason: str) -> None:
    facts.cause[which] = CODE[cause]
    facts.confidence[which] = confidence
    facts.reason[which] = REASON[reason]


def _after_pbx_start(facts: Facts) -> None:
    """A loss at the first probe after a PBX start: the binding ran out meanwhile, by itself or for want of probes."""
    due = facts.after_pbx_start & facts.expires & facts.anchored & (facts.upper >= facts.low)
    _set(facts, facts.after_pbx_start, "pbx_restart", 0.9, "no_binding_after_start")
    _set(facts, due, "nat_expiry", 0.9, "expired_during_stop")


def _blocked(facts: Facts) -> None:
    """Losses after refused registrations from the site's address, with nobody from there heard until the block ends."""
    gone = np.minimum(facts.loss.end, facts.log_end) - facts.loss.start
    enough = np.where(np.isfinite(facts.loss.end), 3600.0, STILL_BLOCKED_S)
    for i in np.flatnonzero((facts.around.refused >= REFUSED) & (gone > enough)):
        until = min(facts.loss.end[i], facts.log_end, facts.loss.start[i] + BLOCK_S - 900.0)
        # Without addresses in the log, phones of other sites may be among those heard.
        alone = facts.unplaced or facts.surface.heard(facts.loss.start[i] + facts.window, until - 1.0) == 0
        if alone:
            _set(facts, np.array([i]), "blacklisted", 0.9 if gone[i] > 3600.0 else 0.7, "refused")
    day = np.abs(facts.loss.end - facts.loss.start - BLOCK_S) <= BLOCK_SPREAD_S
    for event in np.unique(facts.event[day & (facts.event >= 0)]):
        members = facts.event == event
        if day[members].mean() >= 0.5:
            _set(facts, members, "blacklisted", 0.8, "one_day")


def _events(facts: Facts, nat: Bools, free: Bools) -> None:
    """Find what struck the whole site, and say what it was."""
    events = _everywhere(facts, nat, free)
    taken = np.zeros(len(nat), bool)
    for event in events:
        taken[event.members] = True
    events += _find(facts, free & ~taken)
    found = explain_site([(e, _members(facts, e)) for e in events], facts.log_end, facts.pbx_silence)
    for number, (verdict, event) in enumerate(zip(found, events, strict=True)):
        facts.event[event.members] = number
        facts.elsewhere[event.members] = True
        facts.together[event.members] = len(event.members)
        facts.around.at_risk[event.members] = event.at_risk
        _name_event(facts, event, verdict)


def _find(facts: Facts, which: Bools) -> list[Event]:
    short = SHORT_PJSIP_S if facts.loss.pjsip.any() else SHORT_S
    return find_events(
        facts.loss.start,
        facts.loss.end,
        facts.loss.phone,
        which,
        facts.around.at_risk,
        facts.window,
        facts.surface,
        short,
    )


def _everywhere(facts: Facts, nat: Bools, free: Bools) -> list[Event]:
    """Find events among all losses, those that fit the timeout included: some may fit by chance.

    A timeout strikes phones together only where they are in step, and then all of them fit. A line that is down again
    and again puts phones in step as well: then the whole site goes each time, whether the phones' ages fit or not.
    """
    if not nat.any():
        return []
    kept, in_step = [], []
    for event in _find(facts, free | nat):
        others = int((~nat[event.members]).sum())
        if others >= 2 and others >= MISFIT * len(event.members):
            kept.append(event)
        elif len(event.members) >= max(3.0, IN_STEP * event.at_risk):
            in_step.append(event)
    fitting = sum(int(nat[event.members].sum()) for event in kept + in_step)
    misfits = sum(int((~nat[event.members]).sum()) for event in kept)
    if fitting >= IN_STEP * nat.sum() and misfits >= 0.5 * fitting:
        kept += in_step
    return kept


def _by_the_clock(facts: Facts, nat: Bools) -> Bools:
    """Find losses at a fixed minute of every hour or half-hour, of bindings of different ages.

    What goes by the clock (a line reset by a timer) strikes every phone at that minute; a timeout strikes each phone at
    its own, and phones that are in step at the same age.
    """
    found = np.zeros(len(nat), bool)
    longer = facts.loss.end - facts.loss.start > BLIP_S
    if longer.sum() < CLOCK_ENOUGH:
        return found
    minute = facts.loss.start % CLOCK_S
    turns = np.sort(np.concatenate([minute[longer], minute[longer] + CLOCK_S]))
    inside = np.searchsorted(turns, turns + CLOCK_WINDOW_S, "right") - np.arange(len(turns))
    best = int(np.argmax(inside))
    if inside[best] < CLOCK_SHARE * longer.sum():
        return found
    found = longer & ((minute - turns[best]) % CLOCK_S <= CLOCK_WINDOW_S)
    misfits = int((found & ~nat).sum())
    mixed = misfits >= MISFIT * 0.8 * found.sum() and len(np.unique(facts.loss.phone[found])) >= 2
    ages = facts.upper[found & facts.anchored]
    mixed &= bool((found & nat).any()) or (len(ages) > 0 and np.ptp(np.quantile(ages, [0.1, 0.9])) > 2 * CLOCK_WINDOW_S)
    return found if mixed else np.zeros(len(nat), bool)


def _members(facts: Facts, event: Event) -> Members:
    i = event.members
    return Members(
        facts.loss.start[i], facts.loss.end[i], facts.loss.renewed[i], facts.loss.registered[i], facts.due[i],
        facts.spread[i], facts.period[i],
        facts.outlives[i], facts.around.new_address[i], facts.around.placed[i],
    )  # fmt: skip


def _name_event(facts: Facts, event: Event, verdict: Verdict) -> None:
    members = event.members
    again = facts.loss.registered[members]
    if np.median(facts.loss.late_near[members]) >= max(2.0, 0.3 * len(members)) and again.mean() <= 0.5:
        _set(facts, members[~again | (facts.loss.last_rtt >= SLOW_S)[members]], "latency", 0.85, "late_answers")
        return
    sure = min(verdict.probability, 1 / (1 + np.exp(-event.odds)), 0.97)
    if verdict.probability < UNSURE:
        _set(facts, members, "unknown", verdict.probability, "two_explanations")
        return
    if verdict.cause == "router_restart":
        _set(facts, members, "router_restart", sure, "back_one_by_one")
    elif facts.around.new_address[members].any():
        _set(facts, members, "wan_outage", sure, "new_address")
    else:
        none_back = bool(np.isinf(facts.loss.end[members]).all())
        _set(facts, members, "wan_outage", sure, "none_back" if none_back else "back_together")
        back = np.min(facts.loss.end[members])
        facts.reason[members[facts.loss.renewed[members] & (facts.loss.end[members] > back + 20.0)]] = REASON[
            "died_meanwhile"
        ]


def _singles(facts: Facts, single: Bools) -> None:
    """Name the cause of losses that no other phone shared."""
    length = np.minimum(facts.loss.end, facts.log_end) - facts.loss.start
    closed = np.isfinite(facts.loss.end)
    # After an absence the first probe may have been repeated until the phone was back: a long round trip says nothing.
    long_trip = (facts.loss.rtt >= SLOW_S) & (length <= BLIP_S)
    late = (facts.loss.late_near > 0) | long_trip | (facts.loss.last_rtt >= SLOW_S)
    hard = facts.loss.renewed & (facts.loss.registered | (length > BLIP_S) | ~facts.shows_ports)
    most = np.where(facts.loss.pjsip, BLIP_PJSIP_S, BLIP_S)
    booted = facts.loss.renewed & (np.abs(facts.loss.off_grid) >= OFF_GRID_S) & ~late & (length > SOONEST_BOOT_S)
    blip = single & closed & ~facts.loss.registered & (length <= most) & ~booted
    stayed = single & closed & ~hard & ~blip
    _set(facts, stayed, "wan_outage", 0.5, "nobody_else")
    _set(facts, stayed & (facts.around.at_risk > 2), "phone_offline", 0.5, "back_without_registration")
    _set(facts, single & closed & ~blip & hard & (length > BOOT_S), "phone_offline", 0.8, "long_absence")
    _set(facts, single & closed & ~blip & hard & (length <= BOOT_S), "phone_restart", 0.85, "short_absence")
    _set(facts, single & ~closed, "phone_offline", 0.6, "not_back")
    longer = single & closed & ~blip
    # By chance one return in thirty is on time; where many are, the phones were on and silence cost the binding.
    on_time = longer & hard & facts.on_time
    usual = on_time.sum() >= max(3.0, ON_TIME * (longer & hard).sum()) and len(np.unique(facts.loss.phone[on_time])) > 1
    on = longer & facts.on_time & (facts.expires | late | usual)
    _set(facts, on, "unknown", 0.4, "phone_was_on")
    if usual:
        _set(facts, on & ~facts.expires, "packet_loss", 0.6, "silence_killed")
    _set(
        facts,
        longer & hard & ~on & facts.expires & facts.anchored & (facts.around.at_risk == 1),
        "unknown",
        0.4,
        "nobody_else",
    )
    slow = (facts.loss.late_near > 0) & ((facts.loss.rtt >= SLOW_S) | (facts.loss.last_rtt >= SLOW_S))
    _set(facts, (on & late) | (longer & hard & slow), "latency", 0.75, "late_answers")
    unseen = single & ~facts.anchored & facts.expires & ((length > BLIP_S) | ~closed)
    _set(facts, unseen, "nat_expiry", 0.7, "renewal_unseen")
    _set(facts, blip, "packet_loss", 0.9, "lost_probe")
    _set(facts, blip & late, "latency", 0.8, "late_answers")
    _set(
        facts,
        stayed & ((facts.loss.late_near > 1) | (late & (length <= 900))) & (length <= 1800),
        "latency",
        0.8,
        "late_answers",
    )
