"""The log as arrays: every loss with what came before and after it, and every known renewal of a binding.

Times are float seconds since the log's first event; phones are indices into a sorted list. Arrays of losses are
sorted by phone and start, so that whatever belongs to a phone stands together.
"""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from starface_nb.observations.intervals import of_kind, phone_index
from starface_nb.settings import Settings

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BIG = 1e9
"""Spacing of phones in a joint key of phone and time; more seconds than any log has."""

SAME_MOMENT_S = 3.0
"""Lines of one registration (Registered, Saved useragent, Reachable) stand within this time."""

BLIP_S = 70.0
"""Losses that end at one of the first repeated probes: bursts of lost packets."""

NEAR_S = 130.0
"""Late answers within this time belong to a loss."""

LATE_S = 1800.0
"""Late answers later in a loss than this do not belong to it."""

START_BURST_S = 70.0
"""After a PBX start every known phone is probed within the probing interval."""

PJSIP_SLOW_MS = 900.0
"""Round trips this long are late, or one packet of the probe was lost."""

RESENT_MS = 250.0
"""So much over a resend's delay a round trip is one of the resent probe."""

WAY_S = 0.3
"""The usual way through the net and the PBX, at most."""

PJSIP_TIMEOUT_S = 3.0
"""res_pjsip's qualify_timeout (Asterisk 20.20.1 res_pjsip/location.c:1419)."""


@dataclass
class Columns:
    """Arrays of one length side by side."""

    def take(self, which: Ints | Bools) -> Self:
        """Return the entries at these indices, or where the mask is true."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: column[which] for name, column in columns.items()})


def latest(phones: Ints, times: Floats, phone: Ints, time: Floats) -> Ints:
    """Return the index of each phone's last entry at or before `time` (entries sorted by phone and time), or -1."""
    at = np.searchsorted(phones * BIG + times, phone * BIG + time, side="right") - 1
    return np.where((at >= 0) & (phones[at] == phone), at, -1) if len(phones) else np.full(len(phone), -1)


@dataclass
class Losses(Columns):
    """One entry per unreachable interval (all arrays of the same length).

    Attributes
    ----------
    phone : index of the phone; start, end : seconds, `end` infinite while open
    until : its end, or until when it was watched: to a hole of the log or its last line
    failed : when the first unanswered probe was sent
    answered : when the last answered probe was sent, as far as the probing rhythm and the lines tell
    last_up : the phone's last line before the start that shows it answering; -inf where there is none
    renewed : the phone sent a REGISTER at the end
    registered : a Registered line stands at the end
    restart_inside : the PBX started between start and end
    late_near : late answers at the site shortly before and in the first minutes
    pjsip : the peer is probed by res_pjsip: on a grid of its own, up and down alike
    lapsed : no probe failed: the registration ran out in that moment
    ran_out : it ran out later in the loss, and the PBX had refused none: no REGISTER of the phone arrived
    """

    phone: Ints
    start: Floats
    end: Floats
    until: Floats
    failed: Floats
    answered: Floats
    last_up: Floats
    rtt: Floats
    last_rtt: Floats
    lagged_end: Bools
    unregistered_end: Bools
    registered: Bools
    restart_inside: Bools
    on_grid: Bools
    renewed: Bools
    row: Ints
    pjsip: Bools
    lapsed: Bools
    ran_out: Bools
    late_near: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class Renewals:
    """Known renewals, sorted by phone and time.

    `seen` where a Registered line shows it, else a recovery does; it may have been `early` seconds before its time.
    """

    phone: Ints
    time: Floats
    seen: Bools
    line: Ints
    early: Floats

    @property
    def key(self) -> Floats:
        """Joint key of phone and time."""
        return self.phone * BIG + self.time

    def before(self, phone: Ints, time: Floats) -> Ints:
        """Return the index of each phone's last renewal at or before `time`, or -1."""
        return latest(self.phone, self.time, phone, time)


@dataclass
class Watched(Columns):
    """Stretches in which a phone was under observation, sorted by phone and start; see `observed`."""

    phone: Ints
    start: Floats
    end: Floats

    def until(self, phone: Ints, time: Floats) -> Floats:
        """Return until when each phone was observed from `time` on; `time` itself where it was not."""
        at = latest(self.phone, self.start, phone, time + SAME_MOMENT_S)
        end: Floats = np.append(self.end, -np.inf)[at]
        return np.where(end > time, end, time)


def watched(stretches: pl.DataFrame, peers: list[str], origin_us: int) -> Watched:
    """Return the stretches (peer, start, end in UTC) with phones and times as in a story."""
    rows = stretches.with_columns(phone_index(peers)).drop_nulls("phone").sort("phone", "start")
    return Watched(rows["phone"].to_numpy(), seconds(rows["start"], origin_us), seconds(rows["end"], origin_us))


@dataclass
class Story:
    """Everything the reasoning needs of one log.

    `ups`, `lates` and `calls` are the joint keys of phone and time, sorted, of all lines that say that a phone answers
    (again), of all late answers and of all calls that phones began, `first_up` is since when each phone is known to
    answer (infinite where it never is), `periods` how often it sends a REGISTER, `leases` how long the PBX registers it
    for (both NaN where unknown), `usual` the period taken where it is not known, `devices` the first account of the
    device that it is an account of, `streams` says who uses TCP or TLS,
    `watched` when it was observed.
    """

    settings: Settings
    peers: list[str]
    origin_us: int
    end: float
    resolution: float
    losses: Losses
    renewals: Renewals
    starts: Floats
    stops: Floats
    ups: Floats = field(default_factory=lambda: np.empty(0))
    lates: Floats = field(default_factory=lambda: np.empty(0))
    calls: Floats = field(default_factory=lambda: np.empty(0))
    homes: dict[str, str] = field(default_factory=dict)
    trunks: list[bool] = field(default_factory=list)
    first_up: Floats = field(default_factory=lambda: np.empty(0))
    periods: Floats = field(default_factory=lambda: np.empty(0))
    leases: Floats = field(default_factory=lambda: np.empty(0))
    usual: Floats = field(default_factory=lambda: np.empty(0))
    late_phone: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    late_time: Floats = field(default_factory=lambda: np.empty(0))
    shows_ports: Bools = field(default_factory=lambda: np.empty(0, bool))
    shares_ports: Bools = field(default_factory=lambda: np.empty(0, bool))
    devices: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    streams: Bools = field(default_factory=lambda: np.empty(0, bool))
    watched: Watched | None = None

    @cached_property
    def home(self) -> Ints:
        """Each phone's linked site, as its index in `sites`."""
        number = {name: i for i, name in enumerate(self.sites)}
        return np.array([number[self.homes.get(peer, "")] for peer in self.peers], np.int64)

    @cached_property
    def sites(self) -> list[str]:
        """The names of the linked sites, sorted."""
        return sorted({self.homes.get(peer, "") for peer in self.peers})

    @property
    def periods_taken(self) -> Floats:
        """How often each phone registers, as far as that is known, or as is usual."""
        return np.where(np.isfinite(self.periods), self.periods, self.usual)

    @cached_property
    def told(self) -> Losses:
        """The losses as far as their ends tell of their causes: when the PBX stops, nobody sees how one would end."""
        losses, stopped = self.losses, np.append(self.stops, np.inf)
        following = np.searchsorted(self.starts, self.losses.start, side="right")
        unseen = np.append(self.starts, np.inf)[following] < losses.until
        until = np.where(unseen, np.maximum(stopped[following], losses.start), losses.until)
        return replace(losses, end=np.where(unseen, np.inf, losses.end), until=until)

    def seen_until(self, phone: Ints, time: Floats) -> Floats:
        """Return until when each phone was under observation from `time` on; infinite where nobody asked that."""
        return np.full(len(time), np.inf) if self.watched is None else self.watched.until(phone, time)

    @property
    def window(self) -> float:
        """Return in how many seconds a fault is seen at all phones that it strikes: one round of probes, given up."""
        return self.settings.probe_interval_s + self.settings.probe_timeout_s + 4.0

    @property
    def slop(self) -> float:
        """How far a time may be off: the lines' resolution plus the way through the net."""
        return self.resolution + WAY_S


def off_the_grid(resolution: float) -> float:
    """Return how far an answer to a repeated probe may stand from where the grid wants it, seconds."""
    return WAY_S + 0.9 * resolution


def seconds(times: pl.Series, origin_us: int) -> Floats:
    """Return float seconds since the origin; null becomes infinity."""
    time = times.to_numpy()
    return np.where(np.isnat(time), np.inf, (time.astype(np.int64) - origin_us) / 1e6)


def after(last: datetime | None, origin: int) -> float:
    """Return the seconds from the origin to the log's last line; 0 where it has none."""
    return 0.0 if last is None else last.timestamp() - origin / 1e6


def pbx_starts_and_stops(states: pl.DataFrame, origin: int) -> tuple[Floats, Floats]:
    """Return when the PBX started, and since when it had been down at each start (the shutdown, or the start)."""
    starts = np.unique(np.round(seconds(of_kind(states, "restart")["time"], origin), 3))
    starts = starts[np.diff(starts, prepend=-np.inf) > SAME_MOMENT_S * 10]
    stops = np.append(-np.inf, np.sort(seconds(of_kind(states, "shutdown")["time"], origin)))
    last, previous = stops[np.searchsorted(stops, starts, side="right") - 1], np.append(-np.inf, starts)[:-1]
    return starts, np.where(last > previous, last, starts)


def find_losses(raw: pl.DataFrame, origin: int, settings: Settings, starts: Floats, resolution: float) -> Losses:
    """Return the losses of the raw intervals, sorted by phone and start."""
    rows = raw.with_row_index("i").sort("phone", "start", "i")
    start, until = seconds(rows["start"], origin), seconds(rows["end"], origin)
    end = np.where((rows["ended_by"] == "open").to_numpy(), np.inf, until)
    pjsip = (rows["tech"] == "PJSIP").fill_null(value=False).to_numpy()
    timeout = np.where(pjsip, PJSIP_TIMEOUT_S, settings.probe_timeout_s)
    retry = np.where(pjsip, settings.probe_interval_s, settings.probe_timeout_s + settings.probe_retry_s)
    last = seconds(rows["last_down"], origin)
    rtt = rows["end_rtt_ms"].fill_null(0).to_numpy() / 1000
    wait = np.where(pjsip, retry - PJSIP_TIMEOUT_S, settings.probe_retry_s)
    span = np.where(np.isfinite(end), end - last - rtt - wait, 0.0)
    off = (span + retry / 2) % retry - retry / 2
    count = np.maximum(span, 0) / retry
    inside = np.searchsorted(starts, until, side="right") > np.searchsorted(starts, start, side="left")
    n = len(start)
    return Losses(
        phone=rows["phone"].to_numpy(),
        start=start,
        end=end,
        until=until,
        failed=start - timeout,
        answered=start - timeout - settings.probe_interval_s,
        last_up=np.full(n, -np.inf),
        rtt=rtt,
        last_rtt=rows["last_rtt_ms"].fill_null(0).to_numpy() / 1000,
        lagged_end=(rows["ended_by"] == "lagged").to_numpy(),
        unregistered_end=(rows["ended_by"] == "unregistered").to_numpy(),
        registered=np.zeros(n, bool),
        restart_inside=inside,
        on_grid=np.abs(off) <= off_the_grid(resolution) + 0.01 * np.minimum(count, 60),
        renewed=np.zeros(n, bool),
        row=rows["i"].to_numpy().astype(np.int64),
        pjsip=pjsip,
        lapsed=np.zeros(n, bool),
        ran_out=np.zeros(n, bool),
    )


def first_up(losses: Losses, phone: Ints, time: Floats, phones: int) -> Floats:
    """Return since when each phone answers: its first line that says so, or the log's start where its first loss does.

    An UNREACHABLE line gives the round trip before; it is 0 where there was none (chan_sip.c 13.38.3:30329).
    """
    since = np.full(phones, np.inf)
    np.minimum.at(since, phone, time)
    lost = np.full(phones, np.inf)
    np.minimum.at(lost, losses.phone, losses.start)
    first = losses.start == lost[losses.phone]
    before = losses.phone[first & (losses.last_rtt > 0) & (losses.start < since[losses.phone])]
    since[before] = 0.0
    return since


def last_answers(losses: Losses, phone: Ints, time: Floats, rtt: Floats) -> None:
    """Move the last answered probe up to the last line (sorted by phone) that shows the phone answering."""
    at = latest(phone, time, losses.phone, losses.start)
    losses.last_up = np.append(time, -np.inf)[at]
    probed = np.append(time - rtt / 1000, -np.inf)[at]
    losses.answered = np.minimum(np.maximum(losses.answered, probed), losses.failed)


def first_after_start(losses: Losses, starts: Floats) -> tuple[Bools, Ints]:
    """Say which losses are the first probe's after a PBX start (the phone was not heard since), and after which."""
    k = np.searchsorted(starts, losses.start, side="right") - 1
    since = starts[np.maximum(k, 0)] if len(starts) else np.full(len(losses), np.inf)
    return (k >= 0) & (losses.start - since <= START_BURST_S) & (losses.last_up < since), k


def not_probed(losses: Losses, starts: Floats, stops: Floats, heard: Floats, interval: float) -> None:
    """Move the last answered probe back where a PBX start made the failed one: to an interval before the stop.

    After a crash, which leaves no line, that is the last line before the start; `heard` are the times of all lines.
    """
    first, k = first_after_start(losses, starts)
    if not first.any():
        return
    at = np.maximum(np.searchsorted(heard, starts - SAME_MOMENT_S) - 1, 0)
    ran = np.where(stops < starts, stops, np.minimum(heard[at], starts))[k[first]]
    lower = np.minimum(losses.answered[first], ran - interval)
    losses.answered[first] = np.maximum(lower, np.minimum(losses.last_up[first], ran))


def late_near(losses: Losses, ups: pl.DataFrame, home: Ints, origin: int) -> tuple[Ints, Ints, Floats]:
    """Count the late answers at each loss's site in it and two minutes around; return them with phones and times.

    res_pjsip knows no Lagged state; there a long round trip on a Reachable line tells.
    """
    # A probe that was sent again adds its delay to the round trip (chan_sip 1, 2, 3 s; res_pjsip 0.5, 1.5 s).
    over = pl.col("rtt_ms") + pl.when(pl.col("tech") == "PJSIP").then(500.0).otherwise(0.0)
    resent = (over % 1000.0 < RESENT_MS).fill_null(value=False)
    slow = (pl.col("kind") == "lagged") | ((pl.col("tech") == "PJSIP") & (pl.col("rtt_ms") >= PJSIP_SLOW_MS))
    slow &= ~resent
    lagged = ups.filter(slow)
    at, times = home[lagged["phone"].to_numpy()], seconds(lagged["time"], origin)
    counts, where = np.zeros(len(losses), np.int64), home[losses.phone]
    for site in np.unique(at):
        mine, use = np.sort(times[at == site]), np.flatnonzero(where == site)
        start = losses.start[use]
        until = np.minimum(losses.until[use], start + LATE_S) + NEAR_S
        counts[use] = np.searchsorted(mine, until, "right") - np.searchsorted(mine, start - NEAR_S)
    return counts, lagged["phone"].to_numpy(), times
