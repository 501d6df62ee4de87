"""The log as arrays: every loss with what came before and after it, and every known renewal of a binding.

Times are float seconds since the log's first event; phones are indices into a sorted list. Arrays of losses are
sorted by phone and start, so that whatever belongs to a phone stands together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from starface_nb.analysis.intervals import of_kind
from starface_nb.analysis.settings import Settings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BIG = 1e9
"""Spacing of phones in a joint key of phone and time; more seconds than any log has."""

SAME_MOMENT_S = 3.0
"""Lines of one registration (Registered, Saved useragent, Reachable) stand within this time."""

REGISTERED_S = 30.0
"""A registration whose first probe was lost is answered at one of the next repeated probes."""

NEAR_S = 130.0
"""Late answers within this time belong to a loss."""

SHAKEN_S = 1800.0
"""Losses shorter than this may end at a probe that late answers have shifted."""

PJSIP_TIMEOUT_S = 3.0
"""res_pjsip's qualify_timeout (Asterisk 20.20.1 res_pjsip/location.c:1419)."""


@dataclass
class Losses:
    """One entry per unreachable interval (all arrays of the same length).

    Attributes
    ----------
    phone : index of the phone; start, end : seconds, `end` infinite while open
    failed : when the first unanswered probe was sent
    answered : when the last answered probe was sent, as far as the probing rhythm and the lines tell
    last_up : the phone's last line before the start that shows it answering; -inf where there is none
    renewed : the phone sent a REGISTER at the end; certain : that is sure, not only likely
    registered : a Registered line stands at the end
    restart_inside : the PBX started between start and end
    off_grid : seconds between the end and the nearest repeated probe
    late_near : late answers at the site shortly before and in the first minutes
    """

    phone: Ints
    start: Floats
    end: Floats
    failed: Floats
    answered: Floats
    last_up: Floats
    rtt: Floats
    last_rtt: Floats
    lagged_end: Bools
    unregistered_end: Bools
    registered: Bools
    restart_inside: Bools
    off_grid: Floats
    on_grid: Bools
    renewed: Bools
    row: Ints
    late_near: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class Renewals:
    """Known renewals, sorted by phone and time: `seen` where a Registered line shows them, else a recovery does."""

    phone: Ints
    time: Floats
    seen: Bools
    line: Ints

    @property
    def key(self) -> Floats:
        """Joint key of phone and time."""
        return self.phone * BIG + self.time

    def before(self, phone: Ints, time: Floats) -> Ints:
        """Return the index of each phone's last renewal at or before `time`, or -1."""
        index = np.searchsorted(self.key, phone * BIG + time, side="right") - 1
        if not len(self.time):
            return np.full(len(phone), -1)
        return np.where((index >= 0) & (self.phone[np.maximum(index, 0)] == phone), index, -1)

    def after(self, phone: Ints, time: Floats) -> Ints:
        """Return the index of each phone's first renewal after `time`, or -1."""
        index = np.searchsorted(self.key, phone * BIG + time, side="right")
        if not len(self.time):
            return np.full(len(phone), -1)
        inside = index < len(self.time)
        safe = np.minimum(index, len(self.time) - 1)
        return np.where(inside & (self.phone[safe] == phone), index, -1)


@dataclass
class Story:
    """Everything the reasoning needs of one log."""

    settings: Settings
    peers: list[str]
    techs: list[str]
    origin_us: int
    end: float
    resolution: float
    losses: Losses
    renewals: Renewals
    starts: Floats
    stops: Floats
    homes: dict[str, str] = field(default_factory=dict)
    trunks: list[bool] = field(default_factory=list)
    periods: Floats = field(default_factory=lambda: np.empty(0))
    shows_ports: Bools = field(default_factory=lambda: np.empty(0, bool))
    shares_ports: Bools = field(default_factory=lambda: np.empty(0, bool))

    @property
    def slop(self) -> float:
        """How far a time may be off: the lines' resolution plus the way through the net."""
        return self.resolution + 0.5


def seconds(times: pl.Series, origin_us: int) -> Floats:
    """Return float seconds since the origin; null becomes infinity."""
    micro = times.dt.epoch("us").cast(pl.Float64)
    return ((micro - origin_us) / 1e6).fill_null(float("inf")).to_numpy()


def tell(
    states: pl.DataFrame,
    rows: pl.DataFrame,
    raw: pl.DataFrame,
    peers: pl.DataFrame,
    settings: Settings,
    homes: dict[str, str],
    last: datetime | None = None,
) -> Story:
    """Build the story from the events with states, the same by peer, the raw intervals and the peers."""
    names = peers["peer"].to_list()
    index = pl.DataFrame({"peer": names, "phone": range(len(names))}, schema={"peer": pl.String, "phone": pl.Int64})
    origin = int(states["time"].dt.epoch("us").min() or 0) if states.height else 0  # type: ignore[arg-type]
    ends = seconds(states["time"], origin)
    moments = states["time"].dt.microsecond() != 0
    resolution = 1.0 if not moments.any() else 0.01
    starts, stops = pbx_starts_and_stops(states, origin)
    registered = of_kind(states, "registered").join(index, on="peer", how="inner", maintain_order="left")
    reg_phone, reg_time = registered["phone"].to_numpy(), seconds(registered["time"], origin)
    order = np.lexsort((reg_time, reg_phone))
    seen = Renewals(
        reg_phone[order], reg_time[order], np.ones(len(order), bool), registered["line"].to_numpy()[order]
    )
    ups = of_kind(rows, "reachable", "lagged")
    losses = _losses(raw, origin, settings, starts, resolution)
    _last_answers(losses, ups["phone"].to_numpy(), seconds(ups["time"], origin), ups["rtt_ms"].fill_null(0).to_numpy())
    losses.late_near = _late_near(losses, ups, homes, names, origin)
    _endings(losses, seen, [t == "PJSIP" for t in peers["tech"].cast(pl.String).to_list()], resolution)
    story = Story(
        settings,
        names,
        [t or "SIP" for t in peers["tech"].cast(pl.String).to_list()],
        origin,
        max(float(ends.max(initial=0.0)), _after(last, origin)),
        resolution,
        losses,
        seen,
        starts,
        stops,
        homes,
        peers["trunk"].to_list(),
    )
    story.shares_ports = _shares_ports(story, registered)
    story.shows_ports = _shows_ports(story) & ~story.shares_ports
    _lead(story)
    losses.renewed &= losses.registered | ~story.shows_ports[losses.phone]
    story.renewals = merge_renewals(story, seen, raw["end_line"].fill_null(0).to_numpy())
    story.periods = find_periods(story)
    if _rhythmic(story):
        story.renewals = merge_renewals(story, seen, raw["end_line"].fill_null(0).to_numpy())
    return story


def _after(last: datetime | None, origin: int) -> float:
    return 0.0 if last is None else last.timestamp() - origin / 1e6


def pbx_starts_and_stops(states: pl.DataFrame, origin: int) -> tuple[Floats, Floats]:
    """Return when the PBX started, and since when it had been down at each start (the shutdown, or the start)."""
    starts = np.unique(np.round(seconds(of_kind(states, "restart")["time"], origin), 3))
    starts = starts[np.insert(np.diff(starts) > SAME_MOMENT_S * 10, 0, True)] if len(starts) else starts
    stops = np.sort(seconds(of_kind(states, "shutdown")["time"], origin))
    before = np.searchsorted(stops, starts, side="right") - 1
    last = np.where(before >= 0, stops[np.maximum(before, 0)] if len(stops) else starts, starts)
    previous = np.insert(starts[:-1], 0, -np.inf) if len(starts) else starts
    return starts, np.where(last > previous, last, starts)


def _losses(
    raw: pl.DataFrame, origin: int, settings: Settings, starts: Floats, resolution: float
) -> Losses:
    rows = raw.with_row_index("i").sort("phone", "start", "i")
    start, end = seconds(rows["start"], origin), seconds(rows["end"], origin)
    pjsip = (rows["tech"] == "PJSIP").fill_null(value=False).to_numpy()
    timeout = np.where(pjsip, PJSIP_TIMEOUT_S, settings.probe_timeout_s)
    retry = np.where(pjsip, settings.probe_interval_s, settings.probe_timeout_s + settings.probe_retry_s)
    last = seconds(rows["last_down"], origin)
    rtt = rows["end_rtt_ms"].fill_null(0).to_numpy() / 1000
    wait = np.where(pjsip, retry - PJSIP_TIMEOUT_S, settings.probe_retry_s)
    span = np.where(np.isfinite(end), end - last - rtt - wait, 0.0)
    off = np.abs((span + retry / 2) % retry - retry / 2)
    count = np.maximum(span, 0) / retry
    inside = np.searchsorted(starts, end, side="right") > np.searchsorted(starts, start, side="left")
    n = len(start)
    return Losses(
        phone=rows["phone"].to_numpy(),
        start=start,
        end=end,
        failed=start - timeout,
        answered=start - timeout - settings.probe_interval_s,
        last_up=np.full(n, -np.inf),
        rtt=rtt,
        last_rtt=rows["last_rtt_ms"].fill_null(0).to_numpy() / 1000,
        lagged_end=(rows["ended_by"] == "lagged").to_numpy(),
        unregistered_end=(rows["ended_by"] == "unregistered").to_numpy(),
        registered=np.zeros(n, bool),
        restart_inside=inside,
        off_grid=off,
        on_grid=off <= 0.3 + 0.9 * resolution + 0.01 * np.minimum(count, 60),
        renewed=np.zeros(n, bool),
        row=rows["i"].to_numpy().astype(np.int64),
    )


def _last_answers(losses: Losses, phone: Ints, time: Floats, rtt: Floats) -> None:
    """Move the last answered probe up to the last line (sorted by phone) that shows the phone answering."""
    key = phone * BIG + time
    if not len(key):
        return
    at = np.searchsorted(key, losses.phone * BIG + losses.start, side="right") - 1
    safe = np.maximum(at, 0)
    own = (at >= 0) & (phone[safe] == losses.phone)
    losses.last_up = np.where(own, time[safe], -np.inf)
    losses.answered = np.where(own, np.maximum(losses.answered, time[safe] - rtt[safe] / 1000), losses.answered)
    losses.answered = np.minimum(losses.answered, losses.failed)


def _late_near(losses: Losses, ups: pl.DataFrame, homes: dict[str, str], names: list[str], origin: int) -> Ints:
    """Count the late answers at each loss's site from two minutes before it to its first two minutes."""
    lagged = of_kind(ups, "lagged")
    home = np.array([homes.get(peer, "") for peer in names], dtype=object)
    at, times = home[lagged["phone"].to_numpy()], seconds(lagged["time"], origin)
    counts, where = np.zeros(len(losses), np.int64), home[losses.phone]
    for name in np.unique(at.astype(str)):
        mine, use = np.sort(times[at == name]), np.flatnonzero(where == name)
        start = losses.start[use]
        until = np.minimum(losses.end[use] + 15.0, start + NEAR_S)
        counts[use] = np.searchsorted(mine, until, "right") - np.searchsorted(mine, start - NEAR_S)
    return counts


def _endings(losses: Losses, seen: Renewals, pjsip: list[bool], resolution: float) -> None:
    """Decide at which losses' end the phone sent a REGISTER."""
    closed = np.isfinite(losses.end)
    end = np.where(closed, losses.end, 0.0)
    at = seen.before(losses.phone, end + 1.0)
    near = np.where(at >= 0, end - seen.time[np.maximum(at, 0)] if len(seen.time) else np.inf, np.inf)
    losses.registered = closed & (near <= np.minimum(REGISTERED_S, np.maximum(losses.end - losses.start, SAME_MOMENT_S)))
    is_pjsip = np.array(pjsip, bool)[losses.phone] if len(losses.phone) else np.empty(0, bool)
    # A late answer while down is silent and shifts the probes, so that the rhythm tells nothing then.
    shaken = (losses.late_near >= 2) & (losses.end - losses.start < SHAKEN_S)
    by_itself = closed & ~shaken & ~losses.on_grid & ~losses.restart_inside & ~losses.unregistered_end & ~is_pjsip
    losses.renewed = losses.registered | by_itself


def _shares_ports(story: Story, registered: pl.DataFrame) -> Bools:
    """Say for each phone whether phones of its site take over each other's external ports.

    Shown by one external port that several phones registered from again and again; by chance ports hardly meet.
    """
    home = np.array([story.homes.get(peer, "") for peer in story.peers], dtype=object).astype(str)
    rows = registered.filter(pl.col("port").is_not_null()).select("address", "port", "phone")
    rows = rows.with_columns(pl.Series("home", home[rows["phone"].to_numpy()], dtype=pl.String))
    spots = (
        rows.with_columns(pl.len().over("home").alias("all"))
        .group_by("home", "address", "port")
        .agg(pl.col("phone").n_unique().alias("phones"), pl.len().alias("lines"), pl.first("all"))
        .filter((pl.col("phones") >= 2) & (pl.col("lines") >= 3) & (pl.col("lines") >= 0.02 * pl.col("all")))
    )
    return np.isin(home, spots["home"].unique().to_numpy().astype(str))


def _lead(story: Story) -> None:
    """Where ports are shared, the first of several phones that come back together is the one that sent a REGISTER."""
    losses = story.losses
    home = np.array([story.homes.get(peer, "") for peer in story.peers], dtype=object).astype(str)[losses.phone]
    closed = np.isfinite(losses.end) & story.shares_ports[losses.phone] & ~losses.restart_inside
    for name in np.unique(home[closed]):
        mine = np.flatnonzero(closed & (home == name))
        order = mine[np.argsort(losses.end[mine], kind="stable")]
        gap = np.diff(losses.end[order], prepend=-np.inf)
        nxt = np.diff(losses.end[order], append=np.inf)
        losses.renewed[order[(gap > 17.0) & (nxt <= 17.0)]] = True


def _shows_ports(story: Story) -> Bools:
    """Say for each phone whether its router gives every new binding a new port, so that each recovery shows one.

    Long losses that end off the probing rhythm end with a REGISTER; where nearly all of them stand beside a
    Registered line, a recovery without one is no renewal.
    """
    losses = story.losses
    home = np.array([story.homes.get(peer, "") for peer in story.peers], dtype=object)
    sure = losses.renewed & ~losses.on_grid & ~losses.lagged_end & (losses.end - losses.start > 70.0)
    shows = np.zeros(len(home), bool)
    for name in np.unique(home.astype(str)):
        mine = home == name
        here = sure & mine[losses.phone]
        shows[mine] = here.sum() >= 3 and (here & losses.registered).sum() >= 0.9 * here.sum()
    return shows


def merge_renewals(story: Story, seen: Renewals, end_lines: Ints) -> Renewals:
    """Join the Registered lines with the recoveries that were renewals, each moment once."""
    losses = story.losses
    own = losses.renewed & ~losses.registered
    phone = np.concatenate([seen.phone, losses.phone[own]])
    time = np.concatenate([seen.time, losses.end[own] - losses.rtt[own]])
    shown = np.concatenate([np.ones(len(seen.phone), bool), np.zeros(int(own.sum()), bool)])
    line = np.concatenate([seen.line, end_lines[losses.row[own]]])
    order = np.lexsort((time, phone))
    phone, time, shown, line = phone[order], time[order], shown[order], line[order]
    fresh = np.ones(len(time), bool)
    fresh[1:] = (np.diff(time) > SAME_MOMENT_S) | (np.diff(phone) != 0)
    return Renewals(phone[fresh], time[fresh], shown[fresh], line[fresh])


def find_periods(story: Story) -> Floats:
    """Return each phone's re-REGISTER period, from the most usual spacing of its renewals; NaN where none is usual."""
    renewals = story.renewals
    periods = np.full(len(story.peers), np.nan)
    gaps = np.diff(renewals.time)
    same = np.diff(renewals.phone) == 0
    usable = same & (gaps > 2 * SAME_MOMENT_S) & (gaps < 2.2 * max(story.settings.keepalive_s, 3600.0))
    who = renewals.phone[1:]
    for phone in np.unique(who[usable]):
        mine = np.sort(gaps[usable & (who == phone)]) if len(who) < 4096 else np.sort(gaps[_slice(who, phone)][usable[_slice(who, phone)]])
        periods[phone] = usual_gap(mine)
    return periods


def _slice(sorted_values: Ints, value: int) -> slice:
    return slice(*np.searchsorted(sorted_values, [value, value + 1]))


def usual_gap(gaps: Floats, tolerance: float = 0.025) -> float:
    """Return the middle of the densest cluster of sorted gaps (at least two within the tolerance), or NaN.

    Periods are set in whole minutes or halves and tenths of an hour; one next to a whole minute is taken for it.
    """
    if len(gaps) < 2:
        return float("nan")
    reach = np.searchsorted(gaps, gaps * (1 + 2 * tolerance), side="right") - np.arange(len(gaps))
    best = int(np.argmax(reach))
    if reach[best] < max(2, 0.3 * len(gaps)):
        return float("nan")
    usual = float(np.median(gaps[best : best + reach[best]]))
    whole = round(usual / 60.0) * 60.0
    return whole if abs(usual - whole) <= 0.01 * usual else usual


def _rhythmic(story: Story) -> bool:
    """Count a recovery on the probing grid as a renewal where it comes just one period after the last one."""
    losses, renewals = story.losses, story.renewals
    open_question = np.isfinite(losses.end) & ~losses.renewed & ~losses.unregistered_end
    before = renewals.before(losses.phone, losses.start)
    period = story.periods[losses.phone]
    gap = losses.end - renewals.time[np.maximum(before, 0)] if len(renewals.time) else np.full(len(losses), np.inf)
    tolerance = np.where(losses.on_grid, 0.012, 0.02)
    with np.errstate(invalid="ignore"):
        fits = open_question & (before >= 0) & (np.abs(gap - period) <= tolerance * period + 60.0 * _is_pjsip(story))
    losses.renewed |= fits
    return bool(fits.any())


def _is_pjsip(story: Story) -> Bools:
    return np.array([t == "PJSIP" for t in story.techs], bool)[story.losses.phone]
