"""One site after the other: its timeout, what struck it and each loss's cause, read off one posterior.

Two worlds are weighed for each loss: bindings expire within the bracket that the site's cycles favour, or they do not.
A loss counts in the timeout as much as no event explains it; none is thrown out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from starface_nb.model.alone import SURE, Alone, C, table
from starface_nb.model.causes import ACCUSING, BLOCK, LATENCY, LOSS, NAT, OFFLINE, PBX, ROUTER, WAN
from starface_nb.model.eras import MATCH
from starface_nb.model.events import CAUSE_OF, STEP, Event, Scene, candidates
from starface_nb.model.fates import Struck
from starface_nb.model.found import TERMS, Found, odds_of
from starface_nb.model.no_timeout import ENOUGH_TO_CHANGE
from starface_nb.model.priors import DAY_S
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.settle import Explained, settle
from starface_nb.model.site import Context, SiteView
from starface_nb.model.timeout import DOUBTFUL, PRIOR_EXPIRING, Era, era_of, fit
from starface_nb.observations.addresses import UNKNOWN as UNKNOWN_SITE
from starface_nb.observations.story import Bools, Floats

KINDS_CAUSES = np.eye(C)[CAUSE_OF]
SWITCHED_OFF = np.isin(CAUSE_OF, [WAN, ROUTER])[:, None] * (np.eye(C)[OFFLINE] - KINDS_CAUSES)
"""What strikes a part of a site while the rest answers is neither line nor router: a switch, or its supply."""
MOST_TURNS = 4
"""Where one bracket is not borne out by its losses, the next best is tried."""


def _under(special: dict[int, Floats], table: Floats) -> Callable[[int], Floats]:
    """Return the log-likelihood under a cause, by what this world says of some."""
    return lambda cause: special[cause] if cause in special else table[:, cause]


def reason(context: Context, site: SiteView, *, eras_only: bool = False) -> None:
    """Fill the site's eras and, where not only they are asked for, what is said of its losses.

    Where no line tells how often phones register, that is the keepalive, unless a shorter time tells all losses better.
    """
    data = SiteData(context, site, context.story.settings.keepalive_s)
    eras, expires = _explained(data, eras_only=eras_only)
    # Where bindings expire, returns tell the period.
    if not (eras_only or any(expires.expiring)) and data.may_register_often():
        data, eras, expires = _oftener(data, eras, expires)
    n = len(site.losses)
    site.eras = eras
    if eras_only:
        return
    post, best = expires.posterior, expires
    p = np.array([era.expiring for era in eras])
    if n and ((p > SURE) & (p < 1 - SURE)).any():
        sure = [replace(era, expiring=float(era.expiring > 1 - SURE)) for era in eras]
        never = data.explain(sure)
        mix = p[era_of(eras, data.best, data.loss.start, context.story.settings.keepalive_s)]
        post *= mix[:, None]
        post += (1 - mix)[:, None] * never.posterior
        best = expires if mix.mean() >= 0.5 else never
    post *= 1 - P.doubt
    post += P.doubt / C
    data.question(eras, post[:, NAT] > 0.5)
    site.facts = data.found(post, best)
    for era in site.eras:
        if not era.expires and np.isfinite(data.pbx_silence[1]):
            era.renewed_by = "any_packet"


def _oftener(data: SiteData, eras: list[Era], usual: World) -> tuple[SiteData, list[Era], World]:
    """Return the shorter period, with its eras and losses, that tells all better than the usual one; or the usual."""
    found, keepalive = (data, eras, usual), data.story.settings.keepalive_s
    least = usual.evidence - np.log(SURE) + P.inexact * len(data.loss)
    for often in (float(np.sqrt(keepalive * P.retry_s)), P.retry_s):
        other = SiteData(data.context, data.site, often)
        # What a first look finds no better is not weighed in full.
        if other.explain(eras, replace(usual, posterior=usual.posterior.copy())).evidence > usual.evidence:
            its_eras, world = _explained(other, eras_only=False)
            if world.evidence > least:
                found, least = (other, its_eras, world), world.evidence
    return found


def _explained(data: SiteData, *, eras_only: bool) -> tuple[list[Era], World]:
    """Find the eras that the losses bear out, and explain the losses in them."""
    context, site, n = data.context, data.site, len(data.loss)
    weight, died, otherwise = np.where(data.revived, 0.0, 1.0), np.ones(n, bool), np.zeros(n)
    eras = fit(context, site, weight, died)
    expires = data.explain(eras)
    for _ in range(MOST_TURNS - 1):
        # What anything else may explain as well speaks for the timeout only as far as that is the less probable one.
        otherwise = np.where(data.inside(eras), 1 - expires.posterior[:, NAT], otherwise)
        now = (
            np.clip(-np.log(np.maximum(expires.elsewhere, otherwise) + np.exp(-MATCH)) / MATCH, 0.0, 1.0)
            * ~data.revived
        )
        dead = expires.posterior[:, NAT] > 0.5
        if n == 0 or (np.abs(now - weight).max() < 0.05 and (dead == died).all()):
            break
        weight, died = now, dead
        eras = fit(context, site, weight, died)
        if eras_only:
            break
        expires = data.explain(eras, expires)
    return eras, expires


@dataclass
class World:
    """The losses explained under one assumption; `terms`: the log-likelihood of each of `TERMS` under a cause.

    `expiring`: in which eras bindings expire; `evidence`: the log-likelihood of all losses and events.
    """

    posterior: Floats
    terms: tuple[Callable[[int], Floats], ...]
    elsewhere: Floats
    events: list[Explained]
    expiring: list[bool]
    evidence: float


class SiteData(Alone):
    """The same, and what struck several of them together."""

    def explain(self, eras: list[Era], before: World | None = None) -> World:
        """Weigh all losses in one world; `before`: the same with other eras, whose rates are a good beginning."""
        n = len(self.loss)
        begin, nat_end = self.nat(eras)
        alive = np.log1p(-np.minimum(np.exp(begin), 1 - P.missed))
        starts, ended = {NAT: begin, PBX: self.seldom[:, PBX] + alive}, {NAT: nat_end}
        terms = (_under(starts, self.seldom), _under(ended, self.fixed), *(mark.under for mark in self.beside))
        posterior = table(n, 0.0) if before is None else before.posterior
        expiring = [era.expires for era in eras]
        # What a timeout explained alone may belong to an event where bindings expire no more.
        events = before.events if before is not None and before.expiring == expiring else None
        elsewhere: Floats = np.zeros(n)
        spared = self.by_silence(eras)
        kills = P.burst_kills[0] * spared
        for _ in range((3 if before is None else 1) if n else 0):
            starts |= self.starts(posterior, kills)
            if posterior.any():
                self.worsen(posterior[:, LOSS])
            kills = self.kills(posterior[:, LOSS], kills) * spared
            ended[LOSS] = np.logaddexp(np.log1p(-kills) + self.soft_loss, np.log(kills) + self.hard_loss)
            for cause in range(C):
                posterior[:, cause] = sum(term(cause) for term in terms)
            peak = posterior.max(axis=1)
            posterior -= peak[:, None]
            np.exp(posterior, out=posterior)
            total = posterior.sum(axis=1)
            posterior /= total[:, None]
            alone = peak + np.log(total)
            events = self.events(alone, begin, eras, kills, None if events is None else [e.event for e in events])
            elsewhere = self.join(posterior, events)
        # Routers that sweep, or throw out what is oldest, let bindings die at odd ages again and again.
        died, never = posterior[:, NAT] * self.outside, np.isinf(self.bounds(eras)[1])
        self.odd = float(died[never].sum()), float(died[~never].sum())
        self.swept = self.alike((died > 0.5) & ~never) >= ENOUGH_TO_CHANGE
        evidence = float(alone.sum()) + sum(e.worth for e in events or ()) if n else 0.0
        return World(posterior, terms, elsewhere, events or [], expiring, evidence)

    def events(
        self, alone: Floats, expiry: Floats, eras: list[Era], kills: float, before: list[Event] | None
    ) -> list[Explained]:
        """Return what struck the site."""
        if before == []:
            return []
        _, high, _ = self.bounds(eras)
        last = self.due - self.period  # where it goes unseen, a phone renews its binding in its own period
        outlives = np.where(np.isfinite(self.due) & np.isfinite(high), last + high, np.inf)
        a, e = self.around, self.ends
        again = a.placed & self.back
        unseen = float(np.log(P.shifted)) if self.shares and np.isfinite(high).any() else -np.inf
        late, refused, moved, went_on, in_time, ran_out = self.beside
        mark = sum((one.under(WAN) for one in (late, refused, went_on, in_time, ran_out)), moved.under(NAT))
        spell = late.under(LATENCY) - late.under(WAN)
        struck = Struck(
            self.loss.start, self.loss.end, self.loss.failed, self.loss.answered, self.loss.phone,
            self.story.devices[self.loss.phone], alone - mark,
            e.probe + e.trip[1], e.register + e.trip[2], e.boot + e.trip[2], e.step, self.due, self.spread,
            self.period, self.known_period, outlives, a.new_address, again,
            e.trip[0] - e.trip[1] + spell, self.fixed[:, LATENCY] + spell,
            refused.under(BLOCK) - refused.under(WAN), expiry,
            self.after_start, a.at_risk, self.loss.until, a.port, self.loss.ran_out,
        )  # fmt: skip
        scene = Scene(self.window, self.heard, self.story.end, kills, unseen)
        found = candidates(struck, scene, before)
        kills = P.kills * self.by_silence(eras)
        return settle(found, scene, self.pbx_silence, self.span / DAY_S, shares=self.shares, kills=kills)

    def join(self, posterior: Floats, events: list[Explained]) -> Floats:
        """Mix each loss's own explanation with that of the event it may belong to; return the latter's probability."""
        elsewhere, kept = np.zeros(len(posterior)), np.arange(len(CAUSE_OF)) != STEP
        known = self.site.name != UNKNOWN_SITE  # else they may be several customers
        for e in events:
            members = e.event.members
            share = e.probability * e.kinds[:, None] * e.event.belongs
            causes = KINDS_CAUSES + e.event.partly * known * SWITCHED_OFF
            posterior[members] = posterior[members] * (1 - share.sum(axis=0))[:, None] + share.T @ causes
            elsewhere[members] = e.probability * e.kinds[kept] @ e.event.explains[kept]
        return elsewhere

    def question(self, eras: list[Era], died: Bools) -> None:
        """Take back an all-clear where many losses are deaths of bindings, at whatever age."""
        here = era_of(eras, self.best, self.loss.start, self.story.settings.keepalive_s)
        for i, era in enumerate(eras):
            mine = here == i
            if (died & mine).sum() >= max(ENOUGH_TO_CHANGE, DOUBTFUL * mine.sum()) and era.verdict == "no_expiry_seen":
                era.verdict, era.probability = "undetermined", PRIOR_EXPIRING
                era.estimate = replace(era.estimate, low=0.0)

    def found(self, posterior: Floats, world: World) -> Found:
        """Return what is said of the losses."""
        n, every = len(self.loss), np.arange(len(self.loss))
        cause = posterior.argmax(axis=1) if n else np.zeros(0, np.int64)
        confidence = posterior[every, cause]
        accused = posterior[:, ACCUSING].sum(axis=1)
        posterior[every, cause] = -1.0
        next_best = posterior.argmax(axis=1) if n else cause
        event, together = np.full(n, -1), np.ones(n, np.int64)
        for i, e in enumerate(world.events):
            mine = e.event.members[world.elsewhere[e.event.members] >= 0.5]
            if e.probability >= 0.5 and len(mine):
                event[mine], together[mine] = i, len(e.event.members)
        elsewhere = np.clip(world.elsewhere, SURE / C, 1 - SURE / C)
        shared = np.log(elsewhere) - np.log1p(-elsewhere)
        known = np.isfinite(self.best.anchor)
        best = self.best
        odds = odds_of(world.terms, cause, next_best)
        # Nobody is told that an idle time fits the timeout where it does not: then the renewal went unseen.
        odds[TERMS.index("start")][(cause == NAT) & ~self.inside(self.site.eras)] = 0.0
        return Found(
            cause, confidence, odds, event, shared, together, best.lower, best.upper, known,
            accused, np.zeros(n), np.zeros(n, np.int64),
        )  # fmt: skip
