"""What becomes of the bindings when a whole site is struck, and when each phone is back then."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from starface_nb.model.likelihood import reached
from starface_nb.model.priors import HALF, ROOT
from starface_nb.model.priors import PRIORS as P
from starface_nb.observations.story import Bools, Floats, Ints

Fate = IntEnum("Fate", "MIXED ALIVE PARTLY SHORT LATE GONE REFUSED UNANSWERED REVIVED OWN", start=0)
"""What becomes of the bindings: some die by age, none, each as likely as not, some in a burst, none while answers are
late, all; blocked, unanswered; brought back by one REGISTER on the port that they share, or each by its own."""


AFTER_S = 3.0
"""How far a line in whole seconds stands behind the probe that it tells of."""
STRANGE = 1e-4
"""Likelihood of a return that fits no end of the fault, against one that does."""


@dataclass(frozen=True)
class Struck:
    """What events need to know of each loss of a site (arrays, shape (n,), sorted by start; seconds).

    Attributes
    ----------
    device : what it is an account of
    alone : log-likelihood of the loss by itself, summed over the causes
    probe, register, boot : log-likelihood of its end as an answered probe, as a REGISTER, as a boot
    due, spread, period : when the phone's next REGISTER was due, how exactly, how often it sends one
    known : that is known, and not the usual one taken for it
    outlives : until when its binding lives by the timeout that is known, infinite where none is
    late, spell : what its round trips and the late answers around it say for late answers; its end by itself in those
    refused, expiry : what refused registrations and its binding's age say for a block and for the timeout
    after_start : it was found at the first probe after a start of the PBX, which strikes all sites
    until : its end, or until when it was watched
    port : its external port, 0 where no line shows one
    ran_out : its registration ran out in it: a REGISTER of it was lost, and no probe asks for it any more
    """

    start: Floats
    end: Floats
    failed: Floats
    answered: Floats
    phone: Ints
    device: Ints
    alone: Floats
    probe: Floats
    register: Floats
    boot: Floats
    step: Floats
    due: Floats
    spread: Floats
    period: Floats
    known: Bools
    outlives: Floats
    moved: Bools
    knows: Bools
    late: Floats
    spell: Floats
    refused: Floats
    expiry: Floats
    after_start: Bools
    at_risk: Ints
    until: Floats
    port: Ints
    ran_out: Bools

    def take(self, which: Ints) -> Struck:
        """Return the losses at these indices, in the indices' shape."""
        return Struck(*[column[which] for column in self.__dict__.values()])


def fates(site: Struck, begin: Floats, down: Floats, kills: float) -> Floats:
    """Return the log-density of each end under each fate of the bindings, shape (fates, events, lengths, members).

    Losses have the shape (events, 1, members), `begin` (events, 1, 1) and `down`, the lengths, (events, lengths, 1).
    """
    by_age = np.where(begin + down < site.outlives, 1 - P.missed, P.missed)
    alive, dead = _alive(site, begin, down), _dead(site, begin, down)
    blocked = _blocked(site, begin, down)
    return np.stack([
        np.logaddexp(np.log(by_age) + alive, np.log1p(-by_age) + dead),
        alive,
        np.logaddexp(alive, dead) + HALF,  # the outage was about as long as the silence that they outlive
        np.logaddexp(np.log1p(-kills) + alive, np.log(kills) + dead),
        np.logaddexp(alive + site.late, site.spell) + HALF,  # with the others, or as each is answered in time
        np.logaddexp(np.log(P.missed) + alive, np.log1p(-P.missed) + dead),
        blocked + site.refused,
        blocked,
        # One REGISTER brings back all that live on a shared port; phones in step have their own.
        alive + site.expiry,
        blocked + site.expiry,
    ])  # fmt: skip


def _alive(site: Struck, begin: Floats, down: Floats) -> Floats:
    """Return the log-density of each end, shape (events, lengths, members), where bindings outlive the outage."""
    over = site.end - (begin + down)
    fits = (over >= -2.0) & (over <= site.step + AFTER_S) & ~site.ran_out
    by_probe = np.log(np.where(fits, 1.0, STRANGE) / site.step) + site.probe
    # A phone whose REGISTER went into the dead line tries again soon, and may be sooner than the probe.
    soon = _pending(site, down) / P.retry_s * (over <= P.retry_s) + 1 / site.period
    unprobed = np.where(site.ran_out, 1.0, np.clip(1 - over / (site.step + AFTER_S), P.stray, 1.0))
    by_phone = np.log(np.where((over >= -2.0) & (over <= site.period), soon * unprobed, 1e-9)) + site.register
    ongoing = begin + down >= site.until - site.step.max(axis=2, keepdims=True) - AFTER_S
    return _ended(site, np.logaddexp(by_probe, by_phone), ongoing, np.log(P.stray))


def _dead(site: Struck, begin: Floats, down: Floats) -> Floats:
    """Return the same where bindings are dead afterwards: each phone is back with its own REGISTER or its retry."""
    back = site.until - begin
    soon = _retries(back - down)
    pending = _pending(site, down)
    # What a new address shows is a REGISTER, however often the phone sends one: if that is not known, perhaps oftener.
    known = site.known | ~site.moved
    often = (back <= down + site.period) / site.period
    span = np.log(np.maximum(site.period / P.retry_s, 2.0))
    oftener = np.maximum(1 / np.clip(back - down, P.retry_s, site.period) - 1 / site.period, 0.0) / span
    density = pending * soon + (1 - pending) * np.where(known, often, (often + oftener) / 2)
    at = np.nan_to_num(site.due - begin, nan=0.0)
    after = reached((at - down) / site.spread)
    on_time = np.exp(-0.5 * ((back - at) / site.spread) ** 2) / (ROOT * site.spread)
    timely = np.where(known, P.on_time, P.on_time / 2)
    timed = timely * (after * on_time + (1 - after) * soon) + (1 - timely) * density
    density = np.where(np.isfinite(site.due), timed, density)
    density = np.where(back >= down - 2.0, density, 0.0)
    left = np.where(np.isfinite(site.due), (site.due - site.until) / site.spread, 0.0)
    still = np.log(np.maximum(reached(left), P.stray))
    return _ended(site, np.log(density + 1e-7) + site.register, begin + down >= site.until, still)


def _pending(site: Struck, down: Floats) -> Floats:
    """Return the probability that a REGISTER went into the fault, and is sent again soon after it."""
    return np.where(site.ran_out, 1.0, np.minimum(down / site.period, 1.0))


def _blocked(site: Struck, begin: Floats, down: Floats) -> Floats:
    """Return the same where the PBX blocked the address: all are back at their next try after the block's end."""
    over = site.end - (begin + down)
    density = np.where((over >= -2.0) & (over <= 2 * P.retry_s), 1.0, STRANGE) / (2 * P.retry_s)
    ended = np.log(density) + np.logaddexp(site.register, site.probe) + HALF
    ongoing = begin + down >= site.until - 2 * P.retry_s
    return np.where(np.isfinite(site.end), ended, np.where(ongoing, -0.1, np.log(P.stray)))


def _ended(site: Struck, ended: Floats, ongoing: Bools, still: Floats) -> Floats:
    """Return the density of the ends; of those still open the probability, `still` where the fault is over."""
    return np.where(np.isfinite(site.end), ended, np.where(ongoing, np.log1p(-P.stray), still))


def _retries(over: Floats) -> Floats:
    """Return the density of a phone's next try so long after it can succeed again: most soon, some much later."""
    late, longest = P.retry_late
    density = (1 - late) / P.retry_s * (over <= P.retry_s) + late / longest * (over <= longest)
    return np.asarray(np.where(over >= -2.0, density, 0.0), float)


def silence_kills(down: Floats) -> Floats:
    """Return the probability that bindings are dead after a line was down, shape (..., silences + 1).

    The binding is idle since the last answered probe, on average half an interval before.
    """
    silences = np.array([*P.silences, np.inf], float)
    share = (down[..., None] + 30.0 - silences) / 60.0 + 0.5
    return np.asarray(np.clip(share, 0.003, 0.997), float)
