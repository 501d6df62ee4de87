"""Unrelated sites struck at once: what their lines have in common is the PBX and the PBX's own line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starface_nb.model.causes import ACCUSING, BLOCK, NAT, PBX, UNKNOWN
from starface_nb.model.groups import told
from starface_nb.model.likelihood import expit, ways
from starface_nb.model.priors import DAY_S, HOUR_S
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.settle import SameMinute
from starface_nb.model.site import Context, SiteView
from starface_nb.observations.addresses import UNKNOWN as UNKNOWN_SITE
from starface_nb.observations.story import Bools, Columns, Floats, Ints, Story, first_after_start

ITS_OWN = (NAT, PBX, BLOCK)
"""Causes that need no other, though they may strike several sites at once."""


@dataclass
class Moments(Columns):
    """When something struck a place, sorted by time: a site or a trunk, `named` where its address is known.

    `rarely`: the log-probability, negative, that it is struck in one window.
    """

    time: Floats
    named: Bools
    rarely: Floats


def across(context: Context, views: list[SiteView], overloads: Floats) -> None:
    """Take back what single sites are accused of where unrelated ones were struck at once, or while queues were full.

    Chance is weighed against a fault of the PBX: that strikes the phones of any site alike, and moves none to another
    address. `overloads`: when the PBX said that its queues are full, seconds, sorted.
    """
    story = context.story
    cause = np.full(len(story.losses), UNKNOWN)
    for view in views:
        if view.facts is not None:
            cause[view.losses] = view.facts.cause
    losses, span = story.losses, max(story.end, HOUR_S)
    may = ~np.isin(cause, ITS_OWN) & ~first_after_start(losses, story.starts)[0] & ~losses.lapsed
    use = np.flatnonzero(may)[np.argsort(losses.start[may], kind="stable")]
    if not len(use):
        return
    window, time = story.window, losses.start[use]
    moments = _moments(time, *_places(story, use), window, span)
    past = np.searchsorted(moments.time, moments.time + window, side="right")
    # What is said only after phones were lost may be because of that.
    full = np.diff(np.searchsorted(overloads, [moments.time - window, moments.time + 1.0]), axis=0)[0] > 0
    said = np.minimum(np.diff(overloads, prepend=-np.inf), window).sum() / window
    total = np.cumsum([np.append(0, moments.named), np.append(0, moments.named * moments.rarely)], axis=1)
    places, rarely = total[:, past] - total[:, :-1]
    rarely = np.where(full, np.minimum(rarely, moments.rarely), rarely)
    found, odds, many = np.zeros(2), np.zeros(len(cause)), np.zeros(len(cause), np.int64)
    asked = np.flatnonzero((places > 1) | full)
    for i in asked[np.argsort(rarely[asked], kind="stable")]:
        # What strikes the PBX does so again; and how many of its overloads strike phones is learned.
        often = (P.oddities_per_day * P.events_days + found[0]) / (P.events_days + span / DAY_S) * window / DAY_S
        weight = np.log((1 + found[1]) / (2 + said) if full[i] else often) - rarely[i]
        first, last = moments.time[past[i] - 1] - window, moments.time[i] + window
        members = use[np.searchsorted(time, first) : np.searchsorted(time, last, side="right")]
        if weight > 0 and not odds[members].any():
            weight += _alike(context, members)
            if weight > 0:
                odds[members], many[members] = weight, places[i]
                found[int(full[i])] += 1
    for view in views:
        if view.facts is not None:
            facts, sure = view.facts, expit(odds[view.losses])
            back = (sure > 0.5) & np.isin(facts.cause, ACCUSING)
            facts.cause[back], facts.confidence[back] = UNKNOWN, (facts.accused * sure)[back]
            facts.across[back], facts.places[back] = odds[view.losses][back], many[view.losses][back]


def _places(story: Story, use: Ints) -> tuple[Ints, Bools]:
    """Return where each loss was, each trunk a place of its own, and whether it is known where."""
    phone = story.losses.phone[use]
    trunk = np.array(story.trunks, bool)[phone]
    known = np.array([told(site) != UNKNOWN_SITE for site in story.sites], bool)
    return np.where(trunk, -1 - phone, story.home[phone]), trunk | known[story.home[phone]]


def _moments(time: Floats, place: Ints, named: Bools, window: float, span: float) -> Moments:
    """Return when each place was struck, as often as it is around then, and at that minute of the hour or day."""
    found = []
    for one in np.unique(place):
        mine = place == one
        at = time[mine][np.diff(time[mine], prepend=-np.inf) > window]
        often = (P.kinds[0] * P.events_days + len(at) - 1) / (P.events_days + span / DAY_S) * window / DAY_S
        share = np.full(len(at), often)
        usual, few = P.bursts_per_hour
        for half in P.burst_windows_s:
            others = np.searchsorted(at, at + half, side="right") - np.searchsorted(at, at - half) - 1
            share = np.maximum(share, (few + others) / (few / usual + 2 * half / HOUR_S) * window / HOUR_S)
        for every in (HOUR_S, DAY_S):
            # One other at the same minute may be chance.
            again = SameMinute(at, every, window, at).total(np.ones((1, len(at))))[0] - 2
            share = np.maximum(share, again / (span / every + 1))
        found.append(Moments(at, np.full(len(at), named[mine][0]), np.log(np.minimum(share, 1.0))))
    both = Moments(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in found), strict=True)))
    return both.take(np.argsort(both.time, kind="stable"))


def _alike(context: Context, members: Ints) -> float:
    """Return what it says, log, which phones were struck: of all that answered just these, or of each site's own."""
    story, losses = context.story, context.story.losses
    begin, phone = losses.start[members].min(), losses.phone[members]
    answering, struck = story.first_up <= begin, np.zeros(len(story.peers), bool)
    answering[losses.phone[(losses.start < begin) & (losses.until > begin)]] = False
    answering[phone] = struck[phone] = True
    home = story.home
    risk, hit = (np.bincount(home[which], minlength=len(story.sites)) for which in (answering, struck))
    odds = _just_these(risk.sum(keepdims=True), hit.sum(keepdims=True))[0]
    odds -= _just_these(risk, hit)[(hit > 0) & (hit < risk)].sum()
    moved = context.around.new_address[members] & np.isfinite(losses.end[members])
    most = 2 * np.bincount(home[phone], moved) > np.bincount(home[phone])
    return float(odds + most.sum() * np.log(P.moved[2] / P.moved[0]))


def _just_these(risk: Ints, hit: Ints) -> Floats:
    """Return the log-probability that a fault that strikes any part of these strikes just those."""
    return np.asarray(-np.log(risk + 1.0) - ways(risk, hit), float)
