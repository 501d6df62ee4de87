"""The losses of one site, each by itself: how well every cause explains it, given the rates and the timeout."""

from __future__ import annotations

import numpy as np

from starface_nb.model.causes import BLOCK, LATENCY, LOSS, NAT, OFFLINE, PBX, RESTART, ROUTER, UNKNOWN, WAN
from starface_nb.model.likelihood import (
    BLOCKING,
    Mark,
    due,
    either,
    expit,
    log_normal,
    log_uniform,
    reached,
    repeats,
    unhurried,
)
from starface_nb.model.priors import DAY_S, HALF, HOUR_S, NEVER
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.renewals import EXACT_S
from starface_nb.model.schedule import at_once, in_time, in_turn
from starface_nb.model.schemas import CAUSES
from starface_nb.model.site import Context, SiteView, Surface, pbx_silence, pick
from starface_nb.model.timeout import Era, era_of
from starface_nb.observations.story import BIG, Bools, Floats, Ints, first_after_start

C = len(CAUSES)
SURE = 0.001
"""Worlds less probable than this are not weighed."""


def table(n: int, value: float) -> Floats:
    """Return a table of losses and causes, shape (n, causes), whose columns lie in one piece."""
    return np.full((C, n), value, np.float32).T


class Alone:
    """The losses of one site with all that is known of them, sorted by start; arrays have the shape (n,).

    Where no line tells how often a phone registers, it is taken to do so every `usual` seconds, or oftener where its
    lease asks for that: exactly, if that is the keepalive, else about.

    `odd`: how many of them are bindings that died at an odd age, where no timeout is seen and where one is; `heavy`:
    how surely the line loses most packets around each loss. Both are learned by each world weighed, for the next.
    """

    def __init__(self, context: Context, site: SiteView, usual: float) -> None:
        story, use = context.story, site.losses
        self.context, self.site, self.story = context, site, story
        self.loss, self.back = story.told.take(use), np.isfinite(story.losses.end[use])
        self.around = context.around.take(use)
        self.ends, self.marks = context.ends.take(use), context.marks.take(use)
        self.best = pick(context, site)
        ages = (context.exposure, context.soft, context.shared)
        self.cuts = [age.take(use) for age in ages if np.isfinite(age.anchor).any()]
        born = np.fmax.reduce([story.first_up[self.loss.phone], *(age.anchor for age in self.cuts)])
        self.outlived = self.loss.answered - born
        self.called = [context.called.take(use)] if np.isfinite(context.called.anchor).any() else []
        own = story.periods[self.loss.phone]
        self.random = context.random[self.loss.phone]
        self.known_period = np.isfinite(own) & ~self.random
        taken = np.minimum(story.usual[self.loss.phone], usual)
        self.period = np.where(self.known_period, own, taken)
        # A phone that uses TCP or TLS makes a new connection soon after its old one is dead.
        streams = story.streams[self.loss.phone]
        self.known_period &= ~streams
        self.period = np.where(streams, P.retry_s, self.period)
        self.anchor = context.exposure.anchor[use]
        turns = np.ceil(np.maximum((self.loss.start - self.anchor) / self.period, 1e-9))
        self.spread = 6.0 + P.period_spread * self.period * np.sqrt(np.nan_to_num(turns, nan=1.0)) + np.where(
            self.loss.pjsip & ~self.loss.registered, 20.0, 0.0)  # fmt: skip
        # A REGISTER that is a little late is the one due now, not the next.
        turns = np.ceil(np.maximum((self.loss.start - self.spread - self.anchor) / self.period, 1e-9))
        told = self.known_period | (taken == story.settings.keepalive_s)
        self.due = np.where((turns <= 12) & ~streams & told, self.anchor + turns * self.period, np.nan)
        self.after_start = first_after_start(self.loss, story.starts)[0]
        surface = context.surfaces.get(site.name, Surface())
        self.heard = surface.times
        self.window = story.window
        self.pbx_silence = pbx_silence(story, self.loss.start[self.after_start], surface)
        self.shares = bool(story.shares_ports[site.phones].any())
        self.span = max(story.end, HOUR_S)
        start = self.loss.start
        self.windows = [
            (np.searchsorted(start, start - half), np.searchsorted(start, start + half, "right"))
            for half in P.burst_windows_s
        ]
        self.seldom, self.fixed = self._seldom(), self._fixed()
        self.odd, self.outside, self.swept = (0.0, 0.0), *np.zeros((2, len(self.loss)), bool)
        step = story.settings.probe_interval_s
        revived = in_turn(self.loss, story.settings, self.period)
        young, back = at_once(self.loss, step)
        self.in_time = in_time(self.loss, step) | revived | young
        # What a keepalive brought back tells of no REGISTER, neither its own age nor the next one's.
        short = np.isin(self.loss.phone, self.loss.phone[revived]) & (self.ends.length < step)
        self.revived = revived | short | (young & np.isnan(back))
        by_chance = np.where(self.in_time, np.log(P.in_time[0]), 0.0)
        in_step = Mark(by_chance, {NAT: np.where(self.in_time, np.log1p(-P.off_cell), 0.0)})
        marks = self.marks
        self.beside = (marks.late, marks.refused, self._moved(), marks.went_on, in_step, marks.ran_out)

    def may_register_often(self) -> bool:
        """Say whether phones whose period no line tells may have another than the keepalive.

        Not where they are back, again and again, one keepalive after the last time, to the second.
        """
        streams, closed = self.story.streams[self.loss.phone], np.isfinite(self.loss.end)
        unknown = closed & ~self.known_period & ~streams & ~self.random
        order = np.lexsort((self.loss.end, self.loss.phone))
        order = order[unknown[order]]
        gaps = np.diff(self.loss.end[order])[np.diff(self.loss.phone[order]) == 0]
        exact = np.abs(gaps - self.story.settings.keepalive_s) <= EXACT_S + self.story.resolution
        return bool(unknown.any() and 2 * exact.sum() <= len(gaps))

    def _fixed(self) -> Floats:
        """Return the densities of all endings but that of the NAT timeout, shape (n, causes)."""
        e, n = self.ends, len(self.loss)
        usual, back, phone = e.trip[1], e.trip[1], e.trip[2]
        out = table(n, NEVER)
        at_due = due(self.due, e, self.loss.end - self.loss.rtt, self.spread, self.period, self.loss.until)
        # Who renews at random does so in the second half of each lease.
        age = self.loss.end - self.loss.rtt - self.anchor
        late = (age >= self.period / 2 - self.spread) & (age <= self.period + self.spread)
        anytime = np.log(np.where(late, 1.0, P.stray) / (self.period / 2))
        self.at_due = at_due = np.where(self.random & np.isfinite(age), anytime, at_due)
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
        self.again = repeats(e, often) + e.probe + usual, repeats(e, seldom) + e.probe + usual
        self.heavy = np.full(n, heavy)
        self.soft_loss = either(self.heavy, *self.again)
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
        out = table(n, NEVER)
        out[:, UNKNOWN] = np.log(P.oddities_per_day * probe / DAY_S)
        near = self.loss.late_near > 0
        out[:, LATENCY] = np.log(np.where(near, P.late_share, P.late_per_hour * probe / HOUR_S))
        others = np.maximum(self.around.at_risk - 1, 0)
        caught = np.clip(self.ends.length / probe, 0.05, 1 - P.missed)
        alone = np.log(probe / DAY_S) + np.maximum(others * np.log1p(-caught), NEVER)
        out[:, WAN] = alone + np.log(P.kinds[0])
        out[:, ROUTER] = alone + np.log(P.kinds[1])
        out[:, PBX] = np.where(self.after_start, np.log(P.after_start), NEVER)
        out[:, BLOCK] = np.where(self.around.refused >= BLOCKING, 0.0, NEVER)
        # Nobody knows why a phone let its registration run out.
        out[self.loss.lapsed] = NEVER
        out[self.loss.lapsed, UNKNOWN] = 0.0
        until = self.loss.until - 1.0
        heard = np.searchsorted(self.heard, until) > np.searchsorted(self.heard, self.loss.start + self.window)
        out[:, BLOCK] += np.where(heard, np.log(P.stray), 0.0)
        return out

    def starts(self, posterior: Floats, kills: float) -> dict[int, Floats]:
        """Return how often the others strike at one probe, log, shape (n,); rates from what is believed."""
        probe, phones = self.story.settings.probe_interval_s, len(self.story.peers)

        def own(cause: int, per_day: float) -> Floats:
            mine = np.bincount(self.loss.phone, posterior[:, cause], minlength=phones)
            looked = self.span / DAY_S * posterior.any()  # before that, nothing is known of how seldom it is
            rate = (per_day * P.history_days + mine) / (P.history_days + looked)
            return np.asarray(np.log(rate * probe / DAY_S)[self.loss.phone], float)

        # An address that was blocked after refusals is so again.
        tried = self.around.refused >= BLOCKING
        blocked = (P.blocks_per_refusals + posterior[tried, BLOCK].sum()) / (1 + tried.sum())
        return {
            BLOCK: self.seldom[:, BLOCK] + np.log(blocked),
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

    def worsen(self, lost: Floats) -> None:
        """Learn from the lost probes around each loss, itself left out, whether the line loses most packets there."""
        few, share = P.burst_kills[1], P.again_lost[2]
        often = lost * expit(np.log(self.heavy) + self.again[0] - np.log1p(-self.heavy) - self.again[1])
        first, past = self.windows[0]
        own, all_ = (np.concatenate([[0.0], np.cumsum(one)]) for one in (often, lost))
        around = (own[past] - own[first] - often + few * share) / (all_[past] - all_[first] - lost + few)
        self.heavy = np.clip(around, P.doubt, 1 - P.doubt)
        self.soft_loss = either(self.heavy, *self.again)

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
        # What dies within one silence has hardly outlived any, whatever renewed it: each as likely, by a share unknown.
        spared = np.where(fits & ~self.after_start, np.round(np.maximum(self.outlived, 0.0) / probe), 0.0)
        steady = spared > 0
        share = share * 2 / ((spared + 1) * (spared + 2))
        for cut in self.cuts:
            over = (cut.lower < latest + slop) & (cut.upper > low - slop)
            fits, near = fits | (over & cut.locked), near | (over & np.isfinite(cut.anchor))
        fits, near = np.where(self.after_start, near, fits), near | self.swept
        fits, near = fits & ~loss.lapsed, near & ~loss.lapsed
        # The last packet of a call is not known, only when it began.
        for called in self.called:
            near |= (called.upper > low - slop) & (called.lower < latest + P.call_s)
        never = np.isinf(high)
        # Deaths at odd ages are learned; they are seldom where a timeout is seen.
        odd, rarer = P.misfit
        usual = np.where(never, odd, odd * rarer)
        misfit = (1 + np.where(never, *self.odd)) / (1 / usual + self.span / probe * len(self.site.phones))
        # Which phone's renewal counts is not known for sure where phones share ports.
        misfit = np.where(self.shares & ~self.around.alone & ~never, P.off_cell, misfit)
        # Late answers, which leave no line, and reloads shift the probes.
        chance = np.where(fits, (1 - P.off_cell) * share, np.where(near, P.shifted, misfit))
        chance = np.where(never, misfit, chance)
        chance[self.in_time] = np.maximum(chance[self.in_time], 1 - P.off_cell)
        self.outside = (never | (~fits & (self.swept | ~near))) & ~self.in_time
        end = loss.end - loss.rtt
        ended = self.at_due + self.ends.register + self.ends.trip[2]
        if self.shares:
            others = np.maximum(len(self.site.phones) - 1, 1) / self.period
            rate = np.where(self.around.inherited, 1 / self.ends.step, others)
            other = np.where(self.ends.open, -3.0, np.log(rate) - others * self.ends.length + self.ends.probe)
            both = np.logaddexp(HALF + ended, other + HALF + self.ends.trip[1])
            ended = np.where(self.around.alone, ended, both)
        # Who is not back within a period lost its first REGISTER, too: what is odd already is hardly that as well.
        late = self.outside & ~np.isfinite(self.due) & (self.ends.length > self.period)
        ended = ended + np.where(late, np.log(P.renewed_at[1]), 0.0)
        # Whose binding was dead by then is lost whatever a start of the PBX did, and back as after that.
        seen = np.log(chance) + np.where(self.after_start, self.restarted, ended)
        beat = self.in_time  # the phone's next keepalive brings it back, perhaps
        seen[beat] = np.logaddexp(seen[beat], np.log(chance[beat]) + self.soft_loss[beat]) + HALF
        # The renewal counted from was none, or not the last: then the return tells when it was.
        width = np.maximum(high - low, probe) + 2 * self.spread
        back = loss.failed - np.minimum(high, self.period) + self.period
        hit = (end >= back - self.spread - slop) & (end <= back + width + slop)
        # Who renews at random does so unseen as long as that is sooner than the timeout.
        width = np.where(self.random, np.maximum(self.period - high, probe), width)
        hit = np.where(self.random, self.ends.length <= width, hit)
        later = P.stray * unhurried(self.ends, self.period)
        density = np.where(self.ends.open, P.stray, np.where(hit, 1 / np.minimum(width, DAY_S), later))
        rate = np.where(np.isfinite(self.anchor) & ~self.random, P.off_cell, 0.5) * probe / self.period
        # A phone whose period is about the timeout now renews a living binding, which no line shows, and now is late.
        age, early = loss.failed - self.due + self.period, reached((high - self.period) / self.spread)
        fits_due = (age - probe - self.spread < high + slop) & (age + self.spread > low - slop)
        rate += np.where(fits_due, early * (1 - early), 0.0)
        unseen = np.log(rate) + np.log(density) + self.ends.register + self.ends.trip[2]
        unseen = np.where(np.isfinite(high) & ~steady, unseen, 2 * NEVER)
        begin = np.log(np.where(never | steady, chance, np.maximum(chance, rate)))
        both = np.logaddexp(seen, unseen)
        # Who answered for longer than a binding lives had renewed it unseen, whatever struck then.
        older = np.isfinite(high) & np.isfinite(self.due) & (self.best.lower > high + slop) & ~steady
        both[older] = np.logaddexp(both[older], (HALF + np.log(probe / self.period) + ended)[older])
        return begin, both - begin

    def alike(self, died: Bools) -> Ints:
        """Return how many bindings of other phones died at about each loss's age: routers sweep at their own times."""
        age, probe = np.nan_to_num(self.best.upper), self.story.settings.probe_interval_s

        def near(key: Floats) -> Ints:
            first, past = np.searchsorted(np.sort(key[died & self.best.locked]), [key - probe, key + probe])
            return np.asarray((past - first) * self.best.locked, np.int64)

        return near(age) - near(self.loss.phone * BIG + age)

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

    def by_silence(self, eras: list[Era]) -> float:
        """Return the probability that bindings do not die by their registration's age, whatever is sent."""
        interval = self.story.settings.probe_interval_s
        return max(1 - max((era.expiring for era in eras if era.low >= interval), default=0.0), SURE)
