"""The cause of every loss of one site, by the closed vocabulary, with how sure it is and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from starface_nb.analysis.schemas import CAUSES
from starface_nb.analysis.story import Bools, Floats, Ints
from starface_nb.analysis.together import Groups

CODE = {name: code for code, name in enumerate(CAUSES)}

BOOT_S = 330.0
"""A phone that is back within this time restarted; later, it was off."""

BLIP_S = 70.0
"""Losses that end at one of the first repeated probes: bursts of lost packets."""

BACK_TOGETHER_S = 20.0
"""After a line came back every phone is found by its next repeated probe (14 s) at the latest."""

RESTART_DOWN_S = 420.0
"""A router that restarts is back within this time."""

START_BURST_S = 70.0
"""After a PBX start every known phone is probed within the probing interval."""


@dataclass
class Facts:
    """What is known about each loss of a site (arrays of one length, sorted by start; seconds).

    `lower`/`upper`: idle time of the binding, `fits`: it lies in the cell of the site's timeout at that time.
    """

    phone: Ints
    start: Floats
    end: Floats
    rtt: Floats
    lower: Floats
    upper: Floats
    anchored: Bools
    fits: Bools
    expires: Bools
    low: Floats
    high: Floats
    renewed: Bools
    registered: Bools
    on_grid: Bools
    own_rhythm: Bools
    inherited: Bools
    new_address: Bools
    after_pbx_start: Bools
    spans_pbx_stop: Bools
    lagged_near: Ints
    slow_before: Bools
    refused: Ints
    shows_ports: bool
    window: float
    log_end: float
    at_risk: Ints
    cause: Ints = field(init=False)
    confidence: Floats = field(init=False)
    reason: Ints = field(init=False)
    groups: Groups = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.start)
        self.cause = np.full(n, CODE["unknown"])
        self.confidence = np.full(n, 0.5)
        self.reason = np.zeros(n, np.int64)


REASONS = (
    "no rule of the log decides it",
    "idle time fits the timeout and the phone's next renewal ended it",
    "the binding ran out while the PBX was down",
    "first probe after a PBX start found no binding",
    "phones of the site went together and came back together",
    "phones of the site went together and came back with a new public address",
    "phones of the site went together; bindings that should have lived came back only with a renewal",
    "phones of the site went together and stayed away after refused registrations from their address",
    "late answers around it",
    "back at one of the next probes without a renewal",
    "one phone, back with a new registration after a short time",
    "one phone, back with a new registration after a long time",
    "one phone, not back when the log ends",
    "one phone, away for long, back without a new registration",
    "the line was down longer than the bindings live",
    "single loss that ended at the phone's own next renewal, at an age at which bindings live",
)


def name_causes(facts: Facts) -> None:
    """Fill `cause`, `confidence`, `reason` and `groups` of the facts."""
    soft_ok = facts.renewed | facts.inherited | np.isinf(facts.end)
    if not facts.shows_ports:
        soft_ok |= facts.end - facts.start > BLIP_S
    nat = facts.fits & soft_ok & ~facts.after_pbx_start
    _set(facts, nat, "nat_expiry", 0.97, 1)
    _after_pbx_start(facts)
    free = ~nat & ~facts.after_pbx_start
    facts.groups = find(facts, free)
    for number in range(int(facts.groups.group.max(initial=-1)) + 1):
        _group(facts, np.flatnonzero(facts.groups.group == number))
    _singles(facts, free & (facts.groups.group < 0))


def find(facts: Facts, free: Bools) -> Groups:
    """Group the losses that nothing explains yet."""
    from starface_nb.analysis.together import find_groups

    return find_groups(facts.start, facts.phone, free, facts.at_risk, facts.window)


def _set(facts: Facts, which: Bools | Ints, cause: str, confidence: float | Floats, reason: int) -> None:
    facts.cause[which] = CODE[cause]
    facts.confidence[which] = confidence
    facts.reason[which] = reason


def _after_pbx_start(facts: Facts) -> None:
    """A loss at the first probe after a PBX start: the binding ran out meanwhile, by itself or for want of probes."""
    due = facts.after_pbx_start & facts.expires & facts.anchored & (facts.upper >= facts.low)
    _set(facts, facts.after_pbx_start, "pbx_restart", 0.9, 3)
    _set(facts, due, "nat_expiry", 0.9, 2)


def _group(facts: Facts, members: Ints) -> None:
    """Name the cause of losses that went together."""
    end = facts.end[members]
    back = end[np.isfinite(end)]
    size, risk = facts.groups.lost[members[0]], facts.groups.at_risk[members[0]]
    sure = 0.95 if size >= 3 and size >= 0.8 * risk else 0.8
    if facts.refused[members[0]] >= 3 and _stayed_away(facts, members):
        _set(facts, members, "blacklisted", sure, 7)
    elif facts.lagged_near[members].max() >= 2 and np.median(facts.lagged_near[members]) >= 2:
        _set(facts, members, "latency", 0.85, 8)
    elif facts.new_address[members].any():
        _set(facts, members, "wan_outage", sure, 5)
    elif not len(back):
        _set(facts, members, "wan_outage", 0.6, 4)
    else:
        _line_or_router(facts, members, sure)


def _stayed_away(facts: Facts, members: Ints) -> bool:
    end = np.minimum(facts.end[members], facts.log_end)
    return bool(np.median(end - facts.start[members]) > 3600.0)


def _line_or_router(facts: Facts, members: Ints, sure: float) -> None:
    """Tell a line that came back (bindings alive) from a router that forgot all bindings."""
    end, renewed = facts.end[members], facts.renewed[members]
    soft = np.isfinite(end) & ~renewed
    first = float(end.min())
    died = facts.expires[members] & facts.anchored[members] & (
        facts.upper[members] + (first - facts.start[members]) > facts.low[members])
    if soft.any():
        back = float(np.median(end[soft]))
        _set(facts, members, "wan_outage", sure, 4)
        late = renewed & (end > back + BACK_TOGETHER_S)
        facts.reason[members[late]] = 14
        return
    if len(members) > 1 and (np.isfinite(end)).all() and end.max() - first <= BACK_TOGETHER_S and len(members) > 2:
        _set(facts, members, "wan_outage", sure * 0.9, 4)
        return
    if died.all() and first - float(facts.start[members].min()) > RESTART_DOWN_S:
        _set(facts, members, "wan_outage", 0.7, 14)
        return
    _set(facts, members, "router_restart", sure * 0.95, 6)


def _singles(facts: Facts, single: Bools) -> None:
    """Name the cause of losses that no other phone shared."""
    length = np.minimum(facts.end, facts.log_end) - facts.start
    closed = np.isfinite(facts.end)
    late = single & closed & ~facts.registered & ((facts.lagged_near > 0) | (facts.rtt >= 1.0) | facts.slow_before)
    blip = single & closed & ~facts.registered & (facts.on_grid | (length < 15)) & (length <= BLIP_S)
    boot = single & closed & ~blip & facts.renewed & (length <= BOOT_S)
    off = single & closed & ~blip & facts.renewed & (length > BOOT_S)
    gone = single & ~closed
    stayed = single & closed & ~facts.renewed & ~blip
    _set(facts, stayed, "phone_offline", 0.55, 13)
    _set(facts, off, "phone_offline", 0.8, 11)
    _set(facts, boot, "phone_restart", 0.85, 10)
    _set(facts, gone, "phone_offline", 0.6, 12)
    _set(facts, blip, "packet_loss", 0.9, 9)
    _set(facts, late & (blip | stayed) & (length <= 1200), "latency", 0.8, 8)
