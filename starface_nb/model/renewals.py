"""Which recoveries were renewals, and what the phones' router does with ports."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from starface_nb.model.priors import PRIORS as P
from starface_nb.model.rhythm import find_periods
from starface_nb.observations.intervals import of_kind, phone_index
from starface_nb.observations.signs import STREAMS
from starface_nb.observations.story import (
    BIG,
    BLIP_S,
    SAME_MOMENT_S,
    Bools,
    Floats,
    Ints,
    Losses,
    Renewals,
    Story,
    after,
    find_losses,
    first_up,
    last_answers,
    late_near,
    not_probed,
    pbx_starts_and_stops,
    seconds,
    watched,
)
from starface_nb.settings import Settings

LINE_BACK = 0.6
"""Share of the phones that were down that come back within one probing interval when a line is back."""

SHAKEN_S = 1800.0
"""Losses shorter than this may end at a probe that late answers have shifted."""

ENOUGH_BORROWED = 8
"""Losses from which on one and the same time since the return is more than chance."""

ONE_PROBE_S = 62.0
"""Times that fall between the same two probes lie this close together."""

SAME_AGE = 0.7
"""Share of a site's losses that must come at the same time since the return."""

EXACT_S, ENOUGH_EXACT = 2.0, 4
"""How alike the ways from recovery to recovery are where a phone's timer is exact, seconds, and how many must be."""

BORROWED = 0.3
"""Share of those returns that must be at a repeated probe; of a phone's own renewals one in fourteen is."""

ENOUGH_LINES = 3
"""Registered lines from which on phones are taken to share ports."""

TOGETHER_S = 17.0
"""Phones that one binding brings back are found within one repeated probe: 14 s and a round trip."""


def tell(
    states: pl.DataFrame,
    rows: pl.DataFrame,
    raw: pl.DataFrame,
    peers: pl.DataFrame,
    settings: Settings,
    homes: dict[str, str],
    last: datetime | None = None,
    observed: pl.DataFrame | None = None,
    calls: pl.DataFrame | None = None,
) -> Story:
    """Build the story of a log.

    Parameters
    ----------
    states, rows : polars.DataFrame
        Events with states in the log's order, and the same by peer (`intervals.with_states`, `intervals.by_peer`).
    raw : polars.DataFrame
        From `intervals.unreachable_intervals`.
    peers : polars.DataFrame
        From `phones.find_peers`, sorted by peer.
    settings : Settings
    homes : dict
        Peer to its linked site.
    last : datetime, optional
        Time of the log's last line, aware.
    observed : polars.DataFrame, optional
        peer, start, end (UTC): when silence is evidence, see `observed`.
    calls : polars.DataFrame, optional
        The log's steps of calls, see `reading.schemas.CALLS`.
    """
    names = peers["peer"].to_list()
    origin = int(states["time"].dt.epoch("us").min() or 0) if states.height else 0  # type: ignore[arg-type]
    resolution = 0.01 if (states["time"].dt.microsecond() != 0).any() else 1.0
    starts, stops = pbx_starts_and_stops(states, origin)
    seen, registered = _seen_renewals(states, names, origin)
    losses = find_losses(raw, origin, settings, starts, resolution)
    _run_out(losses, states, names, registered, origin, resolution)
    ups = of_kind(rows, "reachable", "lagged")
    up, up_at = ups["phone"].to_numpy(), seconds(ups["time"], origin)
    last_answers(losses, up, up_at, ups["rtt_ms"].fill_null(0).to_numpy())
    not_probed(losses, starts, stops, np.sort(seconds(states["time"], origin)), settings.probe_interval_s)
    end = max(float(seconds(states["time"], origin).max(initial=0.0)), after(last, origin))
    losses.until = np.minimum(losses.until, end)
    lagged = of_kind(ups, "lagged")
    reachable, lates = (
        np.sort(lines["phone"].to_numpy() * BIG + seconds(lines["time"], origin))
        for lines in (of_kind(ups, "reachable"), lagged)
    )
    story = Story(
        settings, names, origin, end, resolution, losses, seen, starts, stops, reachable, lates,
        _calls_begun(calls, names, origin), homes, peers["trunk"].to_list(),
    )  # fmt: skip
    losses.late_near, story.late_phone, story.late_time = late_near(losses, ups, story.home, origin)
    _endings(losses, seen)
    story.watched = None if observed is None else watched(observed, names, origin)
    story.first_up = first_up(losses, up, up_at, len(names))
    story.shares_ports = _shares_ports(story, registered) | _inherits(story)
    story.shows_ports = _shows_ports(story) & ~story.shares_ports
    story.devices = _devices(story, registered)
    story.streams = _streams(states, names)
    story.leases = _leases(registered, len(names))
    often = np.where(story.leases < settings.keepalive_s, min(P.expires_shares) * story.leases, np.inf)
    story.usual = np.minimum(often, settings.keepalive_s)
    _lead(story)
    losses.renewed &= losses.registered | ~story.shows_ports[losses.phone]
    _on_own_grid(story)
    losses.renewed |= _exact(story) & ~story.shows_ports[losses.phone] & ~story.shares_ports[losses.phone]
    lines = raw["end_line"].fill_null(0).to_numpy()
    story.renewals = merge_renewals(story, seen, lines)
    story.periods = find_periods(story)
    while _rhythmic(story):  # each renewal found may reveal the one after it
        story.renewals = merge_renewals(story, seen, lines)
    return story


def _seen_renewals(states: pl.DataFrame, names: list[str], origin: int) -> tuple[Renewals, pl.DataFrame]:
    """Return the renewals that Registered lines show, and those lines with the phones' indices."""
    lines = of_kind(states, "registered").with_columns(phone_index(names)).drop_nulls("phone")
    phone, time = lines["phone"].to_numpy(), seconds(lines["time"], origin)
    order = np.lexsort((time, phone))
    shown = np.ones(len(order), bool)
    return Renewals(phone[order], time[order], shown, lines["line"].to_numpy()[order], np.zeros(len(order))), lines


def _leases(registered: pl.DataFrame, phones: int) -> Floats:
    """Return the longest time for which the PBX registered each phone, seconds; NaN where no line tells it."""
    told = registered.select("phone", pl.col("detail").cast(pl.Float64, strict=False)).drop_nulls()
    leases = np.zeros(phones)
    np.maximum.at(leases, told["phone"].to_numpy(), told["detail"].to_numpy())
    return np.where(leases > 0, leases, np.nan)


def _run_out(
    losses: Losses, states: pl.DataFrame, names: list[str], registered: pl.DataFrame, origin: int, resolution: float
) -> None:
    """Say at or within which losses the registration ran out.

    A contact that another one has followed runs out whatever the phone does, and so it does where the PBX refuses it.
    """

    def keys(kind: str, rows: pl.DataFrame = states) -> Floats:
        one = of_kind(rows, kind).with_columns(phone_index(names)).drop_nulls("phone")
        return np.append(np.sort(one["phone"].to_numpy() * BIG + seconds(one["time"], origin)), np.inf)

    start, until = losses.phone * BIG + losses.start, losses.phone * BIG + losses.until
    gone = keys("expired")
    first = gone[np.searchsorted(gone, start - resolution)]
    losses.lapsed = first <= start + resolution
    spot = ["address", "port"]
    last = registered.select("peer", "time", *(pl.col(name).alias(f"last_{name}") for name in spot)).sort("time")
    current = of_kind(states, "expired").sort("time").join_asof(last, on="time", by="peer", check_sortedness=False)
    same = [(pl.col(name) == pl.col(f"last_{name}")).fill_null(value=True) for name in spot]
    gone, refused = keys("expired", current.filter(*same)), keys("registration_failed")
    inside = gone[np.searchsorted(gone, start + resolution, "right")] < until
    tried = refused[np.searchsorted(refused, start)] < until
    losses.ran_out = inside & ~tried & ~losses.lapsed


def _calls_begun(calls: pl.DataFrame | None, names: list[str], origin: int) -> Floats:
    """Return the joint keys of phone and time of the calls that phones began: each sent an INVITE."""
    if calls is None:
        return np.empty(0)
    begun = calls.select("time", peer="by").drop_nulls().with_columns(phone_index(names)).drop_nulls("phone")
    return np.sort(begun["phone"].to_numpy() * BIG + seconds(begun["time"], origin))


def _endings(losses: Losses, seen: Renewals) -> None:
    """Decide at which losses' end the phone sent a REGISTER."""
    closed = np.isfinite(losses.end)
    end = np.where(closed, losses.end, 0.0)
    at = seen.before(losses.phone, end + 1.0)
    near = np.where(at >= 0, end - seen.time[np.maximum(at, 0)] if len(seen.time) else np.inf, np.inf)
    losses.registered = closed & (near <= np.maximum(losses.end - losses.start - 1.0, SAME_MOMENT_S))
    # A late answer while down is silent and shifts the probes, so that the rhythm tells nothing then.
    shaken = (losses.late_near >= 2) & (losses.end - losses.start < SHAKEN_S)
    blind = shaken | losses.on_grid | losses.restart_inside | losses.unregistered_end | losses.pjsip
    losses.renewed = losses.registered | (closed & ~blind)


def _shares_ports(story: Story, registered: pl.DataFrame) -> Bools:
    """Say for each phone whether phones of its site take over each other's external ports.

    Shown by one external port that several phones registered from again and again; by chance ports hardly meet.
    """
    rows = registered.filter(pl.col("port").is_not_null()).select("time", "address", "port", "phone").sort("time")
    rows = rows.with_columns(pl.Series("home", story.home[rows["phone"].to_numpy()], dtype=pl.Int64))
    spots = (
        rows.with_columns(pl.len().over("home").alias("all"))
        .group_by("home", "address", "port")
        .agg(pl.col("phone").n_unique().alias("phones"), pl.len().alias("lines"), pl.first("all"))
        .filter((pl.col("phones") >= 2) & (pl.col("lines") >= ENOUGH_LINES) & (pl.col("lines") >= 0.02 * pl.col("all")))
    )
    # The accounts of one device (a DECT base) register one after the other from whatever port that has just then.
    last, ago = (column.shift(1).over("address", "port") for column in (pl.col("phone"), pl.col("time")))
    soon = pl.col("time") - ago <= pl.duration(seconds=int(story.settings.keepalive_s))
    devices = (
        rows.with_columns(joins=((pl.col("phone") != last) & soon).fill_null(value=False))
        .group_by("home")
        .agg(pl.col("joins").sum(), pl.len())
        .filter((pl.col("joins") >= ENOUGH_LINES) & (pl.col("joins") >= 0.1 * pl.col("len")))
    )
    return np.isin(story.home, [*spots["home"], *devices["home"]])


def _streams(states: pl.DataFrame, names: list[str]) -> Bools:
    """Say of each phone whether all its contacts are of TCP or TLS."""
    streams = pl.col("contact").str.contains(STREAMS).all()
    told = of_kind(states, "registered").drop_nulls("contact").group_by("peer").agg(streams.alias("streams"))
    return np.isin(names, told.filter("streams")["peer"].to_list())


def _devices(story: Story, registered: pl.DataFrame) -> Ints:
    """Return each phone's device: accounts that always register from one and the same port, as others do not, are one.

    A router may let all phones of a site out through one port.
    """
    device = np.arange(len(story.home))
    ports = registered.filter(pl.col("port").is_not_null()).sort("address", "port").group_by("phone")
    spots = ports.agg(pl.struct("address", "port").unique(maintain_order=True)).sort("phone")
    for same in spots.group_by("address", maintain_order=True).agg("phone")["phone"]:
        accounts = same.to_numpy()
        if len(accounts) < np.count_nonzero(story.home == story.home[accounts[0]]):
            device[accounts] = accounts[0]
    return device


def _inherits(story: Story) -> Bools:
    """Say for each phone whether its site's phones come back over others' bindings, shown by when they go again.

    Such a phone turns up at a repeated probe, without a REGISTER of its own, and goes again after one and the same
    time, however long the way from one loss to the next is. A line that is down for as long as it likes gives no
    constant time, one that is down by the clock no change of the way.
    """
    losses, home = story.losses, story.home
    inherits = np.zeros(len(home), bool)
    own = (np.diff(losses.phone, prepend=-1) == 0) & ~losses.pjsip
    back = np.concatenate([[-np.inf], losses.end[:-1]])[: len(losses)]
    age, way = losses.failed - back, np.diff(losses.start, prepend=-np.inf)
    borrowed = np.concatenate([[False], losses.on_grid[:-1]])[: len(losses)]
    use = own & np.isfinite(age) & (age > 0) & (losses.end - losses.start > BLIP_S) & ~losses.restart_inside
    for site in np.unique(home[losses.phone[use]]):
        mine = use & (home == site)[losses.phone]
        if mine.sum() < ENOUGH_BORROWED or len(np.unique(losses.phone[mine])) < 2:
            continue
        ages = np.sort(age[mine])
        cell = np.searchsorted(ages, ages + ONE_PROBE_S, "right") - np.arange(len(ages))
        low = ages[int(np.argmax(cell))]
        agree = mine & (age >= low) & (age <= low + ONE_PROBE_S)
        constant = agree.sum() >= SAME_AGE * mine.sum()
        if constant and borrowed[agree].mean() >= BORROWED:
            phones = np.unique(losses.phone[agree])
            spread = [np.ptp(np.quantile(way[agree & (losses.phone == p)], [0.25, 0.75])) for p in phones]
            inherits[home == site] = np.median(spread) > 2 * ONE_PROBE_S
    return inherits


def _lead(story: Story) -> None:
    """Where ports are shared, the first of several phones that come back together is the one that sent a REGISTER."""
    losses = story.losses
    home = story.home[losses.phone]
    closed = np.isfinite(losses.end) & story.shares_ports[losses.phone] & ~losses.restart_inside
    for site in np.unique(home[closed]):
        mine = np.flatnonzero(closed & (home == site))
        order = mine[np.argsort(losses.end[mine], kind="stable")]
        gap = np.diff(losses.end[order], prepend=-np.inf)
        nxt = np.diff(losses.end[order], append=np.inf)
        losses.renewed[order[(gap > TOGETHER_S) & (nxt <= TOGETHER_S)]] = True


def _shows_ports(story: Story) -> Bools:
    """Say for each phone whether its router gives every new binding a new port, so that each recovery shows one.

    Long losses that end off the probing rhythm end with a REGISTER; where nearly all of them stand beside a
    Registered line, a recovery without one is no renewal. A router that keeps ports where it can spares one phone
    the new ones, so that a phone whose own recoveries show none is left out.
    """
    losses = story.losses
    home = story.home
    off = (losses.renewed & ~losses.on_grid & ~losses.lagged_end) | (losses.pjsip & np.isfinite(losses.end))
    length = losses.end - losses.start
    # The first repeated probe comes after ten seconds: only a REGISTER is sooner.
    off &= (length > 20.0) | ((length < story.settings.probe_retry_s - 1.0 - story.resolution) & ~losses.pjsip)
    sure = off & (length > BLIP_S)
    shows = np.zeros(len(home), bool)
    for site in np.unique(home):
        here = sure & (home == site)[losses.phone]
        shows[home == site] = here.sum() >= 3 and (here & losses.registered).sum() >= 0.9 * here.sum()
    own = np.bincount(losses.phone[off], minlength=len(home))
    return shows & ~((own >= 3) & (np.bincount(losses.phone[off & losses.registered], minlength=len(home)) <= own / 2))


def _on_own_grid(story: Story) -> None:
    """Take a PJSIP recovery after a longer loss for a renewal, unless most phones that were down come back with it.

    A REGISTER that changes nothing triggers no probe there, so the recovery stands on the peer's own probing grid.
    """
    losses, step = story.losses, story.settings.probe_interval_s
    gone = losses.pjsip & (losses.end - losses.start > step + 10)
    losses.renewed |= gone & ~with_the_line(story, gone, step) & np.isfinite(losses.end) & ~losses.restart_inside


def with_the_line(story: Story, gone: Bools, step: float) -> Bools:
    """Say which of these losses ended as when a line is back: most phones that were down are back within `step`."""
    losses = story.losses
    home = story.home[losses.phone]
    with_line = np.zeros(len(losses), bool)
    for site in np.unique(home[gone]):
        mine = np.flatnonzero(gone & (home == site))
        mine = mine[np.argsort(losses.end[mine])]
        end, start = losses.end[mine], np.sort(losses.start[mine])
        past, first = np.searchsorted(end, end + step, "right"), np.searchsorted(end, end - step)
        back, down = past - first, np.searchsorted(start, end - step) - first
        with_line[mine] = (back > 2) & (back >= LINE_BACK * down)
    return with_line


def _exact(story: Story) -> Bools:
    """Find recoveries on the probing grid that are renewals: the phone is back again and again after exactly one time.

    A timer that is exact to the second meets the grid in every cycle or in none; a fault ends when it likes.
    """
    losses = story.losses
    gone = np.isfinite(losses.end) & ~losses.pjsip & ~losses.restart_inside
    at = np.flatnonzero(gone & ~with_the_line(story, gone, TOGETHER_S))
    found = np.zeros(len(losses), bool)
    gaps, phones = np.diff(losses.end[at]), losses.phone[at]
    for phone in np.unique(phones):
        first, past = np.searchsorted(phones, [phone, phone + 1])
        mine = np.arange(first, past - 1)
        sizes = np.sort(gaps[mine])
        alike = np.searchsorted(sizes, sizes + EXACT_S + story.resolution, "right") - np.arange(len(sizes))
        if alike.max(initial=0) < max(ENOUGH_EXACT, len(sizes) / 2):
            continue
        low = sizes[int(np.argmax(alike))]
        if low > 2 * story.settings.probe_interval_s:
            exact = mine[(gaps[mine] >= low) & (gaps[mine] <= low + EXACT_S + story.resolution)]
            found[at[exact]] = found[at[exact + 1]] = True
    return found & losses.on_grid


def merge_renewals(story: Story, seen: Renewals, end_lines: Ints) -> Renewals:
    """Join the Registered lines with the recoveries that were renewals, each moment once."""
    losses = story.losses
    own = losses.renewed & ~losses.registered
    phone = np.concatenate([seen.phone, losses.phone[own]])
    time = np.concatenate([seen.time, losses.end[own] - losses.rtt[own]])
    shown = np.concatenate([np.ones(len(seen.phone), bool), np.zeros(int(own.sum()), bool)])
    line = np.concatenate([seen.line, end_lines[losses.row[own]]])
    early = np.concatenate([np.zeros(len(seen.phone)), np.where(losses.pjsip[own], story.settings.probe_interval_s, 0)])
    order = np.argsort(phone * BIG + time, kind="stable")
    phone, time, shown, line, early = phone[order], time[order], shown[order], line[order], early[order]
    fresh = np.ones(len(time), bool)
    fresh[1:] = (np.diff(time) > SAME_MOMENT_S) | (np.diff(phone) != 0)
    return Renewals(phone[fresh], time[fresh], shown[fresh], line[fresh], early[fresh])


def _rhythmic(story: Story) -> bool:
    """Count a recovery on the probing grid as a renewal where it comes just one period after the last one.

    Where the period is not known, one keepalive to the second: phones that started together are back together as well.
    """
    losses, renewals = story.losses, story.renewals
    open_question = np.isfinite(losses.end) & ~losses.renewed & ~losses.unregistered_end
    before = renewals.before(losses.phone, losses.start)
    period = story.periods[losses.phone]
    gap = losses.end - renewals.time[np.maximum(before, 0)] if len(renewals.time) else np.full(len(losses), np.inf)
    tolerance = np.where(losses.on_grid, 0.012, 0.02) * period + 60.0 * losses.pjsip
    tolerance = np.where(np.isnan(period), EXACT_S + story.resolution, tolerance)
    exact = np.where(story.usual < story.settings.keepalive_s, np.nan, story.usual)[losses.phone]
    period = np.where(np.isnan(period), exact, period)
    fits = open_question & (before >= 0) & (np.abs(gap - period) <= tolerance)
    losses.renewed |= fits
    return bool(fits.any())
