"""When each driver sends its probes, and what the end of a loss says about who spoke first: a probe or the phone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from starface_nb.model.priors import PRIORS as P
from starface_nb.model.rhythm import PARTS, usual_gap
from starface_nb.observations.story import PJSIP_TIMEOUT_S, SAME_MOMENT_S, Bools, Floats, Losses, off_the_grid
from starface_nb.settings import Settings

SIP_RESENT_S, PJSIP_RESENT_S = (1.0, 2.0, 3.0), (0.5, 1.5)
"""An unanswered OPTIONS is sent again after this time (chan_sip.c and res_pjsip of 20.20.1, T1 = 500 ms), seconds."""

USUAL, RESENT, LATE = 0, 1, 2
"""Round trips at the end of a loss."""


@dataclass(frozen=True)
class Grid:
    """The probes of each loss while the phone was down (arrays as long as the losses, seconds).

    `step` from one repeated probe to the next; `width` within which a return counts as on the grid.
    """

    step: Floats
    width: Floats


def grid(losses: Losses, settings: Settings, resolution: float) -> Grid:
    """Return the grid of each loss: chan_sip repeats after 14 s, res_pjsip probes on in its interval."""
    interval = settings.probe_interval_s
    step = np.where(losses.pjsip, interval, settings.probe_timeout_s + settings.probe_retry_s)
    width = np.minimum(2 * off_the_grid(resolution) + np.zeros(len(losses)), step)
    return Grid(step, width)


def round_trips(losses: Losses) -> np.ndarray:
    """Tell usual round trips at the end of a loss from those of a resent probe and late ones; shape (n,)."""
    usual = _usual(losses)
    over = losses.rtt - usual
    slack = np.maximum(0.12, usual)
    resent = np.zeros(len(losses), bool)
    for driver, delays in ((~losses.pjsip, SIP_RESENT_S), (losses.pjsip, PJSIP_RESENT_S)):
        for delay in delays:
            resent |= driver & (np.abs(over - delay) <= slack)
    return np.where(resent, RESENT, np.where(over > np.maximum(0.4, 2 * usual), LATE, USUAL))


def _usual(losses: Losses) -> Floats:
    """Return the usual round trip of each loss's phone: the lower quartile of those its losses show."""
    usual = np.full(len(losses), 0.05)
    both = np.stack([losses.rtt, np.where(losses.pjsip, 0.0, losses.last_rtt)])
    edges = np.flatnonzero(np.diff(losses.phone, prepend=-1, append=-2))
    for first, past in pairwise(edges):
        known = both[:, first:past]
        known = known[known > 0]
        usual[first:past] = np.quantile(known, 0.25) if len(known) else 0.05
    return np.asarray(np.minimum(usual, 0.5), float)


def spoke_first(losses: Losses, grid: Grid, on_grid: float) -> tuple[Floats, Floats]:
    """Weigh how a return stands to the grid: log-likelihoods against any time, of a repeated probe and of a REGISTER.

    A REGISTER that res_pjsip sees no change in triggers no probe there, so that the return stands on the grid as well.
    """
    share = grid.width / grid.step
    closed = np.isfinite(losses.end)
    probe = np.where(losses.on_grid, np.log(on_grid / share), np.log((1 - on_grid) / (1 - share)))
    silent = losses.pjsip & ~losses.registered
    return np.where(closed, probe, 0.0), np.where(closed & silent, probe, 0.0)


def in_time(losses: Losses, interval: float) -> Bools:
    """Say which losses come in time with each other, so many seconds after the phone's last: lost packets do not.

    A keepalive of the phone's own that is sent less often than entries live leaves its entry dead for a part of each
    turn, which one probe in so many meets.
    """
    found = np.zeros(len(losses), bool)
    chance, longest = P.in_time
    order = np.argsort(losses.phone, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(losses.phone[order])) + 1):
        gaps = np.diff(losses.start[mine])
        usual = np.median(gaps) if len(gaps) else 0.0
        alike = np.abs(gaps - usual) <= SAME_MOMENT_S
        if 2 * interval - SAME_MOMENT_S <= usual <= longest and _regular(alike, chance) > P.own_timeout:
            found[mine] = np.append(alike, False) | np.append(False, alike)
    return found


def _regular(alike: Bools, chance: float) -> float:
    """Return how much better a rhythm explains so many spacings alike than `chance`, log."""
    n = len(alike)
    share = np.clip(alike.mean() if n else 0.0, chance, 1 - 1 / (n + 2))
    return float(n * (share * np.log(share / chance) + (1 - share) * np.log((1 - share) / (1 - chance))))


def in_turn(losses: Losses, settings: Settings, period: Floats) -> Bools:
    """Say which short losses come whole turns after the phone's last, each phone's in its own time, with no REGISTER.

    A router that forgets what a REGISTER made, whatever was sent since, does so once a turn: of the phone's period, or
    of its timeout where a keepalive made the entry anew. What strikes by the clock strikes the others as well then.
    """
    found, regular, interval = np.zeros(len(losses), bool), list[float](), settings.probe_interval_s
    often = {turn for part in PARTS if (turn := settings.keepalive_s / part) > P.in_time[1]}
    short = np.flatnonzero(losses.until - losses.start < interval)
    phone, start = losses.phone[short], losses.start[short]
    silent = np.bincount(phone, (losses.on_grid & ~losses.registered)[short]) / np.maximum(np.bincount(phone), 1)
    asked = np.flatnonzero((np.bincount(phone) > 1) & (silent > 0.5))
    spacings = {one: np.diff(start[phone == one]) for one in asked}
    usual = {one: usual_gap(np.sort(gaps)) for one, gaps in spacings.items()}
    shortest = min((gap for gap in usual.values() if gap > 0), default=np.nan)
    for one, gaps in spacings.items():
        mine, others, at, best = short[phone == one], start[phone != one], start[phone == one], 0.0
        past = np.clip(np.searchsorted(at, others), 1, len(at) - 1)
        apart = others - np.where(others - at[past - 1] <= at[past] - others, at[past - 1], at[past])
        near = interval if losses.pjsip[mine[0]] else interval / 2  # whose probes keep their second meets it at one
        # One probe in some meets the gap: who missed some turns shows them in the others' time.
        for turn in {period[mine[0]], usual[one], shortest, *often}:
            turns = np.round(gaps / turn)
            beside = np.abs(apart - np.round(apart / turn) * turn) <= near
            within = np.maximum(turns, 2.0) * interval / 2  # either may be found by the probe after the first
            chance = max(2 * within.mean() / turn, (beside.sum() + 1) / (len(beside) + 2))
            alike = (turns > 0) & (np.abs(gaps - turns * turn) <= within)
            if turn > P.in_time[1] and chance < 1 / 2 < alike.mean() and (odds := _regular(alike, chance)) > 0:
                best, found[mine] = max(best, odds), found[mine] | np.append(alike, False) | np.append(False, alike)
        regular += [best] * (best > 0)
    return np.asarray(found & (len(regular) > 1) & (sum(regular) > P.own_timeout), bool)


def at_once(losses: Losses, interval: float) -> tuple[Bools, Floats]:
    """Say which losses are among those of a phone that is nearly always lost at the first probe after its return.

    Its keepalive brought it back, not a REGISTER, to an entry that lives for less than a probe. Returns also since when
    the phone was back, NaN where it was not just.
    """
    found, back = np.zeros(len(losses), bool), np.full(len(losses), np.nan)
    silent, resent = losses.on_grid & ~losses.registered, np.round(losses.rtt)
    for one in np.flatnonzero(np.bincount(losses.phone) > 1):
        mine = np.flatnonzero(losses.phone == one)
        again = losses.failed[mine[1:]] - losses.end[mine[:-1]] <= interval + SAME_MOMENT_S
        # Where most packets are lost, the first to arrive is this probe's second, third or fourth as well.
        alike = np.unique(resent[mine], return_counts=True)[1].max() / len(mine)
        if (
            silent[mine].mean() > 1 / 2
            and min(alike, again.mean()) >= 1 - P.in_time[0]
            and _regular(again, P.in_time[0]) > P.own_timeout
        ):
            found[mine] = np.append(again, False) | np.append(False, again)
            back[mine[1:]] = np.where(again, losses.end[mine[:-1]], np.nan)
    return found, back


def early_return(losses: Losses, settings: Settings) -> Bools:
    """Say which losses ended before the first repeated probe could be answered: only a REGISTER is sooner."""
    wait = np.where(losses.pjsip, settings.probe_interval_s - PJSIP_TIMEOUT_S, settings.probe_retry_s)
    return losses.end - losses.start < wait - 1.5
