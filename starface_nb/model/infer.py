"""One site after the other: its timeout, what struck it and each loss's cause, read off one posterior.

Two worlds are weighed for each loss: bindings expire within the bracket that the site's cycles favour, or they do not.
A loss counts in the timeout as much as no event explains it; none is thrown out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from starface_nb.model.causes import BLOCK, LATENCY, LOSS, NAT, OFFLINE, PBX, RESTART, ROUTER, UNKNOWN, WAN
from starface_nb.model.eras import MATCH
from starface_nb.model.events import CAUSE_OF, STEP, Event, Explained, Scene, candidates
from starface_nb.model.fates import Struck
from starface_nb.model.found import TERMS, Found, odds_of
from starface_nb.model.likelihood import (
    BLOCKING,
    TWO_TURNS,
    Mark,
    due,
    either,
    expit,
    log_normal,
    log_uniform,
    reached,
    repeats,
)
from starface_nb.model.priors import DAY_S, HALF, HOUR_S, NEVER
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.schemas import CAUSES
from starface_nb.model.settle import settle
from starface_nb.model.site import Context, SiteView, Surface, pbx_silence, pick
from starface_nb.model.timeout import DOUBTFUL, ENOUGH_TO_CHANGE, PRIOR_EXPIRING, Era, era_of, fit
from starface_nb.observations.addresses import UNKNOWN as UNKNOWN_SITE
from starface_nb.observations.story import Bools, Floats, first_after_start

C = len(CAUSES)
SURE = 0.001
"""Worlds less probable than this are not weighed."""
KINDS_CAUSES = np.eye(C)[CAUSE_OF]
SWITCHED_OFF = np.isin(CAUSE_OF, [WAN, ROUTER])[:, None] * (np.eye(C)[OFFLINE] - KINDS_CAUSES)
"""What strikes a part of a site while the rest answers is neither line nor router: a switch, or its supply."""
MOST_TURNS = 4
"""Where one bracket is not borne out by its losses, the next best is tried."""


def _table(n: int, value: float) -> Floats:
    """Return a table of losses and causes, shape (n, causes), whose columns lie in one piece."""
    return np.full((C, n), value, np.float32).T


def _under(special: dict[int, Floats], table: Floats) -> Callable[[int], Floats]:
    """Return the log-likelihood under a cause, by what this world says of some."""
    return lambda cause: special[cause] if cause in special else table[:, cause]


def reason(context: Context, site: SiteView, *, eras_only: bool = False) -> None:
    """Fill the site's eras and, where not only they are asked for, what is said of its losses."""
    data = SiteData(context, site)
    n = len(site.losses)
    weight, died, otherwise = np.ones(n), np.ones(n, bool), np.zeros(n)
    expires: World | None = None
    for turn in range(MOST_TURNS):
        eras = fit(context, site, weight, died)
        if eras_only and turn:
            break
        expires = data.explain(eras, expires)
        # What anything else may explain as well speaks for the timeout only as far as that is the less probable one.
        otherwise = np.where(data.inside(eras), 1 - expires.posterior[:, NAT], otherwise)
        now = np.clip(-np.log(np.maximum(expires.elsewhere, otherwise) + np.exp(-MATCH)) / MATCH, 0.0, 1.0)
        dead = expires.posterior[:, NAT] > 0.5
        if n == 0 or (np.abs(now - weight).max() < 0.05 and (dead == died).all()):
            break
        weight, died = now, dead
    site.eras = eras
    if eras_only or expires is None:
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


@dataclass
class World:
    """The losses explained under one assumption; `terms`: the log-likelihood of each of `TERMS` under a cause.

    `expiring`: in which eras bindings expire.
    """

    posterior: Floats
    terms: tuple[Callable[[int], Floats], ...]
    elsewhere: Floats
    events: list[Explained]
    expiring: list[bool]


class SiteData:
    """The losses of one site with all that is known of them, sorted by start."""

    def __init__(self, context: Context, site: SiteView) -> None:
        story, use = context.story, site.losses
        self.context, self.site, self.story = context, site, story
        self.loss, self.back = story.told.take(use), np.isfinite(story.losses.end[use])
        self.around = context.around.take(use)
        self.ends, self.marks = context.ends.take(use), context.marks.take(use)
        self.best = pick(context, site)
        own = story.periods[self.loss.phone]
        self.known_period = np.isfinite(own)
        self.period = np.where(self.known_period, own, story.settings.keepalive_s)
        self.anchor = context.exposure.anchor[use]
        turns = np.ceil(np.maximum((self.loss.start - self.anchor) / self.period, 1e-9))
        self.spread = 6.0 + P.period_spread * self.period * np.sqrt(np.nan_to_num(turns, nan=1.0)) + np.where(
            self.loss.pjsip & ~self.loss.registered, 20.0, 0.0)  # fmt: skip
        # A REGISTER that is a little late is the one due now, not the next.
        turns = np.ceil(np.maximum((self.loss.start - self.spread - self.anchor) / self.period, 1e-9))
        self.due = np.where(turns <= 12, self.anchor + turns * self.period, np.nan)
        self.after_start = first_after_start(self.loss, story.starts)[0]
        surface = context.surfaces.get(site.name, Surface())
        self.heard = surface.times
        self.window = story.settings.probe_interval_s + story.settings.probe_timeout_s + 4.0
        self.pbx_silence = pbx_silence(story, self.loss.start[self.after_start], surface)
        self.shares = bool(story.shares_ports[site.phones].any())
        self.span = max(story.end, HOUR_S)
        start = self.loss.start
        self.windows = [
            (np.searchsorted(start, start - half), np.searchsorted(start, start + half, "right"))
            for half in P.burst_windows_s
        ]
        self.seldom, self.fixed = self._seldom(), self._fixed()
        self.misfit, self.outside = P.misfit, np.zeros(len(self.loss), bool)
        self.beside = (self.marks.late, self.marks.refused, self._moved(), self.marks.went_on)

    # -- each loss alone ----------------------------------------------------------------------------------------------

    def _fixed(self) -> Floats:
        """Return the densities of all endings but that of the NAT timeout, shape (n, causes)."""
        e, n = self.ends, len(self.loss)
        usual, back, phone = e.trip[1], e.trip[1], e.trip[2]
        out = _table(n, NEVER)
        self.at_due = at_due = due(
            self.due, e, self.loss.end - self.loss.rtt, self.spread, self.period, self.loss.until
        )
        alive = log_uniform(e.length, e.open, *P.outage_s) + e.probe + back
        dead = at_due + e.register + phone
        by_line, by_pbx, by_boot, by_absence = P.by_register
        out[:, WAN] = either(by_line, dead, alive)
        out[:, ROUTER] = dead + np.where(e.length <= 1.1 * self.period + 300.0, 0.0, np.log(P.stray))
        # Phones that sent a REGISTER to a PBX that was down try again soon.
        soon = np.where(e.length <= 2 * P.retry_s, 1.0, P.stray) / (2 * P.retry_s)
        self.restarted = either(by_pbx, at_due, np.where(e.open, -9.0, np.log(soon))) + e.register + phone
        out[:, PBX] = self.restarted
        boot = either(by_boot, e.boot + phone, e.probe + back)
        out[:, RESTART] = log_normal(e.length + 30.0, e.open, *P.boot_s) + boot
        off = either(by_absence, e.boot + phone, e.probe + back)
        out[:, OFFLINE] = log_uniform(e.length, e.open, *P.absence_s) + off
        smeared = np.where(self.loss.pjsip, e.probe, np.logaddexp(np.log(0.4) + e.probe, np.log(0.6) + e.answer))
        spell = np.logaddexp(repeats(e, P.again_late[0]), repeats(e, P.again_late[1])) - np.log(2.0)
        out[:, LATENCY] = spell + smeared + e.trip[0]
        seldom, often, heavy = P.again_lost
        self.soft_loss = either(heavy, repeats(e, often), repeats(e, seldom)) + e.probe + usual
        self.hard_loss = np.where(np.isfinite(self.due) & self.known_period, dead, NEVER)
        day, wait = P.block_s
        block = np.logaddexp(
            HALF - 0.5 * ((e.length - day) / (2 * wait)) ** 2 - np.log(5 * wait),
            HALF + log_uniform(e.length, e.open, 600.0, 7 * DAY_S),
        )
        out[:, BLOCK] = (
            np.where(e.open, np.log(np.where(e.length > 900, 0.9, 0.3)), block)
            + np.logaddexp(e.register, e.probe)
            - np.log(2.0)
        )
        any_end = np.logaddexp(e.register, e.probe) - np.log(2.0)
        out[:, UNKNOWN] = log_uniform(e.length, e.open, 5.0, 3 * DAY_S) + any_end + e.trip.mean(axis=0)
        return out

    def _moved(self) -> Mark:
        """Return the log-probability of the address afterwards: lines often come back with another.

        Where phones change between two lines of their own, a new address says little.
        """
        new, known = self.around.new_address, self.around.placed & self.back
        usual = np.clip(new[known].mean() if known.any() else 0.0, P.moved[2], 0.5)

        def seen(share: float) -> Floats:
            return np.where(known, np.where(new, np.log(share), np.log1p(-share)), 0.0)

        return Mark(seen(usual), {WAN: seen(max(P.moved[0], usual)), ROUTER: seen(max(P.moved[1], usual))})

    def _seldom(self) -> Floats:
        """Return how often each cause strikes at one probe, log, shape (n, causes), where no rate tells that."""
        n, probe = len(self.loss), self.story.settings.probe_interval_s
        out = _table(n, NEVER)
        out[:, UNKNOWN] = np.log(P.oddities_per_day * probe / DAY_S)
        near = self.loss.late_near > 0
        out[:, LATENCY] = np.log(np.where(near, P.late_share, P.late_per_hour * probe / HOUR_S))
        others = np.maximum(self.around.at_risk - 1, 0)
        caught = np.clip(self.ends.length / probe, 0.05, 1 - P.missed)
        alone = np.log(probe / DAY_S) + np.maximum(others * np.log1p(-caught), NEVER)
        out[:, WAN] = alone + np.log(P.kinds[0])
        out[:, ROUTER] = alone + np.log(P.kinds[1])
        out[:, PBX] = np.where(self.after_start, np.log(P.after_start), NEVER)
        out[:, BLOCK] = np.where(self.around.refused >= BLOCKING, np.log(P.blocks_per_refusals / 15), NEVER)
        until = self.loss.until - 1.0
        heard = np.searchsorted(self.heard, until) > np.searchsorted(self.heard, self.loss.start + self.window)
        out[:, BLOCK] += np.where(heard, np.log(P.stray), 0.0)
        return out

    def starts(self, posterior: Floats, kills: float) -> dict[int, Floats]:
        """Return how often the others strike at one probe, log, shape (n,); rates from what is believed."""
        probe, phones = self.story.settings.probe_interval_s, len(self.story.peers)

        def own(cause: int, per_day: float) -> Floats:
            mine = np.bincount(self.loss.phone, posterior[:, cause], minlength=phones)
            rate = (per_day * P.history_days + mine) / (P.history_days + self.span / DAY_S)
            return np.asarray(np.log(rate * probe / DAY_S)[self.loss.phone], float)

        return {
            RESTART: own(RESTART, P.boots_per_day),
            OFFLINE: own(OFFLINE, P.absences_per_day),
            # Only those that cost no binding tell how often probes are lost.
            LOSS: np.log(self._burst_rate(posterior[:, LOSS] * (1 - self.killed(kills))) * probe / HOUR_S),
        }

    def killed(self, kills: float) -> Floats:
        """Return how surely each loss, if a lost probe, cost the binding."""
        return expit(np.log(kills) + self.hard_loss - np.log1p(-kills) - self.soft_loss)

    def kills(self, lost: Floats, kills: float) -> float:
        """Return in what share of the site's lost probes the silence cost the binding."""
        killed = lost * self.killed(kills)
        share, enough = P.burst_kills
        return float((share * enough + killed.sum()) / (enough + lost.sum()))

    def _burst_rate(self, lost: Floats) -> Floats:
        """Return lost probes per phone and hour around each loss, itself left out, at least the usual rate."""
        phones = max(len(self.site.phones), 1)
        total = np.concatenate([[0.0], np.cumsum(lost)])
        usual, few = P.bursts_per_hour
        rates = []
        for half, (first, past) in zip(P.burst_windows_s, self.windows, strict=True):
            around = total[past] - total[first] - lost
            rates.append((few + around) / (few / usual + 2 * half / HOUR_S * phones))
        return np.asarray(np.maximum(*rates))

    def nat(self, eras: list[Era]) -> tuple[Floats, Floats]:
        """Return the log-likelihoods of beginning and end under the NAT timeout of each loss's era."""
        n, loss = len(self.loss), self.loss
        low, high, share = self.bounds(eras)
        slop, probe = self.story.slop, self.story.settings.probe_interval_s
        latest = np.where(share < 1, 0.0, high)  # what only new bindings do, they do at their first silence
        fits, near = high <= probe, np.zeros(n, bool)
        for exposure in (self.context.exposure, self.context.soft, self.context.shared):
            cut = exposure.take(self.site.losses)
            over = (cut.lower < latest + slop) & (cut.upper > low - slop)
            fits, near = fits | (over & cut.locked), near | (over & np.isfinite(cut.anchor))
        fits = np.where(self.after_start, near, fits)
        # The last packet of a call is not known, only when it began.
        called = self.context.called.take(self.site.losses)
        near |= (called.upper > low - slop) & (called.lower < latest + P.call_s)
        # Late answers, which leave no line, and reloads shift the probes.
        # Which phone's renewal counts is not known for sure where phones share ports.
        misfit = np.where(self.shares & ~self.around.alone, P.off_cell, self.misfit)
        chance = np.where(fits, (1 - P.off_cell) * share, np.where(near, P.shifted, misfit))
        never = np.isinf(high)
        chance = np.where(never, self.misfit, chance)
        self.outside = never | (~fits & ~near)
        end = loss.end - loss.rtt
        ended = self.at_due + self.ends.register + self.ends.trip[2]
        if self.shares:
            others = np.maximum(len(self.site.phones) - 1, 1) / self.period
            rate = np.where(self.around.inherited, 1 / self.ends.step, others)
            other = np.where(self.ends.open, -3.0, np.log(rate) - others * self.ends.length + self.ends.probe)
            both = np.logaddexp(HALF + ended, other + HALF + self.ends.trip[1])
            ended = np.where(self.around.alone, ended, both)
        # Whose binding was dead by then is lost whatever a start of the PBX did, and back as after that.
        seen = np.log(chance) + np.where(self.after_start, self.restarted, ended)
        # The renewal counted from was none, or not the last: then the return tells when it was.
        width = np.maximum(high - low, probe) + 2 * self.spread
        back = loss.failed - np.minimum(high, self.period) + self.period
        hit = (end >= back - self.spread - slop) & (end <= back + width + slop)
        later = P.stray * np.where(self.ends.length <= TWO_TURNS * self.period, 1.0, P.stray) / self.period
        density = np.where(self.ends.open, P.stray, np.where(hit, 1 / np.minimum(width, DAY_S), later))
        rate = np.where(np.isfinite(self.anchor), P.off_cell, 0.5) * probe / self.period
        # A phone whose period is about the timeout now renews a living binding, which no line shows, and now is late.
        age, early = loss.failed - self.due + self.period, reached((high - self.period) / self.spread)
        fits_due = (age - probe - self.spread < high + slop) & (age + self.spread > low - slop)
        rate += np.where(fits_due, early * (1 - early), 0.0)
        unseen = np.log(rate) + np.log(density) + self.ends.register + self.ends.trip[2]
        unseen = np.where(np.isfinite(high), unseen, 2 * NEVER)
        begin = np.log(np.where(never, chance, np.maximum(chance, rate)))
        both = np.logaddexp(seen, unseen)
        return begin, both - begin

    def bounds(self, eras: list[Era]) -> tuple[Floats, Floats, Floats]:
        """Return the bracket that holds for each loss, up to infinity where bindings do not expire, and their share."""
        high = [era.high if era.expiring > SURE else np.inf for era in eras]
        here = era_of(eras, self.best, self.loss.start, self.story.settings.keepalive_s)
        low, share = np.array([(era.low, era.share) for era in eras])[here].T
        return low, np.array(high)[here], share

    def inside(self, eras: list[Era]) -> Bools:
        """Say which losses lie within the bracket of their era."""
        low, high, _ = self.bounds(eras)
        return np.asarray(np.isfinite(high) & (self.best.lower < high) & (self.best.upper > low), bool)

    # -- with the events ----------------------------------------------------------------------------------------------

    def explain(self, eras: list[Era], before: World | None = None) -> World:
        """Weigh all losses in one world; `before`: the same with other eras, whose rates are a good beginning."""
        n = len(self.loss)
        begin, nat_end = self.nat(eras)
        alive = np.log1p(-np.minimum(np.exp(begin), 1 - P.missed))
        starts, ended = {NAT: begin, PBX: self.seldom[:, PBX] + alive}, {NAT: nat_end}
        terms = (_under(starts, self.seldom), _under(ended, self.fixed), *(mark.under for mark in self.beside))
        posterior = _table(n, 0.0) if before is None else before.posterior
        expiring = [era.expires for era in eras]
        # What a timeout explained alone may belong to an event where bindings expire no more.
        events = before.events if before is not None and before.expiring == expiring else None
        elsewhere: Floats = np.zeros(n)
        spared = self.by_silence(eras)
        kills = P.burst_kills[0] * spared
        for _ in range((3 if before is None else 1) if n else 0):
            starts |= self.starts(posterior, kills)
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
        if self.outside.any():
            # Routers that sweep, or throw out what is oldest, let bindings die at other ages again and again.
            probes = self.span / self.story.settings.probe_interval_s * len(self.site.phones)
            self.misfit = float((1 + posterior[self.outside, NAT].sum()) / (1 / P.misfit + probes))
        return World(posterior, terms, elsewhere, events or [], expiring)

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
        late, refused, moved, went_on = self.beside
        mark = late.under(WAN) + refused.under(WAN) + went_on.under(WAN) + moved.under(NAT)
        spell = late.under(LATENCY) - late.under(WAN)
        struck = Struck(
            self.loss.start, self.loss.end, self.loss.failed, self.loss.answered, self.loss.phone, alone - mark,
            e.probe + e.trip[1], e.register + e.trip[2], e.boot + e.trip[2], e.step, self.due, self.spread,
            self.period, outlives, a.new_address, again,
            e.trip[0] - e.trip[1] + spell, self.fixed[:, LATENCY] + spell,
            refused.under(BLOCK) - refused.under(WAN), expiry,
            self.after_start, a.at_risk, self.loss.until, a.port,
        )  # fmt: skip
        scene = Scene(self.window, self.heard, self.story.end, kills, unseen)
        found = candidates(struck, scene, before)
        kills = P.kills * self.by_silence(eras)
        return settle(found, scene, self.pbx_silence, self.span / DAY_S, shares=self.shares, kills=kills)

    def by_silence(self, eras: list[Era]) -> float:
        """Return the probability that bindings do not die by their registration's age, whatever is sent."""
        interval = self.story.settings.probe_interval_s
        return max(1 - max((era.expiring for era in eras if era.low >= interval), default=0.0), SURE)

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

    def found(self, posterior: Floats, world: World) -> Found:
        """Return what is said of the losses."""
        n, every = len(self.loss), np.arange(len(self.loss))
        cause = posterior.argmax(axis=1) if n else np.zeros(0, np.int64)
        confidence = posterior[every, cause]
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
        return Found(cause, confidence, odds, event, shared, together, best.lower, best.upper, known)
