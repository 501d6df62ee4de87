"""Which recoveries were renewals, in what rhythm phones renew, and what their router does with ports."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from starface_nb.analysis.intervals import of_kind
from starface_nb.analysis.settings import Settings
from starface_nb.analysis.story import (
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
)

MOST_PASSES = 4
"""Each renewal found by the rhythm may reveal the one after it."""

LINE_BACK = 0.6
"""Share of the phones that were down that come back within one probing interval when a line is back."""

SHAKEN_S = 1800.0
"""Losses shorter than this may end at a probe that late answers have shifted."""

JITTERS = (0.0065, 0.02, 0.05, 0.1)
"""Spreads of a re-REGISTER around the phone's period, as shares of it."""

JITTER_PRICE = 1.5
"""What each less usual spread must explain better: log-odds."""

PARTS, EXPIRES_SHARE, SAME_PERIOD = (1, 2, 3, 4, 6, 12), 0.9, 0.02
"""Periods are the keepalive or a part of it, or that share of it; and how alike two are, as a share."""

ROUGH = 0.1
"""How far apart renewals may be for a phone to keep a rhythm at all, as a share of its period."""

ON_TIME, ONE_LATER, STRAY = 0.8, 0.1, 0.1
"""Shares of a phone's returns: at its next renewal, at the one after it, and off its rhythm for other reasons."""

CHANCE = 0.7
"""What a return near the rhythm is worth less because faults of about that length happen: log-odds each."""

ENOUGH_RENEWALS = 4
"""A phone with so many renewals and no usual spacing between them keeps no rhythm."""

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

TOGETHER_S = 17.0
"""Phones that one binding brings back are found within one repeated probe: 14 s and a round trip."""


def homes_of(story: Story) -> npt.NDArray[np.str_]:
    """Return each phone's linked site."""
    return np.array([story.homes.get(peer, "") for peer in story.peers], dtype=str)


def tell(
    states: pl.DataFrame,
    rows: pl.DataFrame,
    raw: pl.DataFrame,
    peers: pl.DataFrame,
    settings: Settings,
    homes: dict[str, str],
    last: datetime | None = None,
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
    """
    names = peers["peer"].to_list()
    techs = [tech or "SIP" for tech in peers["tech"].cast(pl.String).to_list()]
    origin = int(states["time"].dt.epoch("us").min() or 0) if states.height else 0  # type: ignore[arg-type]
    resolution = 0.01 if (states["time"].dt.microsecond() != 0).any() else 1.0
    starts, stops = pbx_starts_and_stops(states, origin)
    seen, registered = _seen_renewals(states, names, origin)
    losses = find_losses(raw, origin, settings, starts, resolution)
    ups = of_kind(rows, "reachable", "lagged")
    up, up_at = ups["phone"].to_numpy(), seconds(ups["time"], origin)
    last_answers(losses, up, up_at, ups["rtt_ms"].fill_null(0).to_numpy())
    not_probed(losses, starts, stops, np.sort(seconds(states["time"], origin)), settings.probe_interval_s)
    losses.late_near = late_near(losses, ups, homes, names, origin)
    _endings(losses, seen)
    end = max(float(seconds(states["time"], origin).max(initial=0.0)), after(last, origin))
    lagged = of_kind(ups, "lagged")
    lates = np.sort(lagged["phone"].to_numpy() * BIG + seconds(lagged["time"], origin))
    story = Story(
        settings, names, techs, origin, end, resolution, losses, seen, starts, stops, lates, homes,
        peers["trunk"].to_list(),
    )  # fmt: skip
    story.first_up = first_up(losses, up, up_at, len(names))
    story.shares_ports = _shares_ports(story, registered) | _inherits(story)
    story.shows_ports = _shows_ports(story) & ~story.shares_ports
    _lead(story)
    losses.renewed &= losses.registered | ~story.shows_ports[losses.phone]
    _on_own_grid(story)
    losses.renewed |= _exact(story) & ~story.shows_ports[losses.phone] & ~story.shares_ports[losses.phone]
    lines = raw["end_line"].fill_null(0).to_numpy()
    story.renewals = merge_renewals(story, seen, lines)
    story.periods = find_periods(story)
    for _ in range(MOST_PASSES):
        if not _rhythmic(story):
            break
        story.renewals = merge_renewals(story, seen, lines)
    return story


def _seen_renewals(states: pl.DataFrame, names: list[str], origin: int) -> tuple[Renewals, pl.DataFrame]:
    """Return the renewals that Registered lines show, and those lines with the phones' indices."""
    index = pl.DataFrame({"peer": names, "phone": range(len(names))}, schema={"peer": pl.String, "phone": pl.Int64})
    lines = of_kind(states, "registered").join(index, on="peer", how="inner", maintain_order="left")
    phone, time = lines["phone"].to_numpy(), seconds(lines["time"], origin)
    order = np.lexsort((time, phone))
    shown = np.ones(len(order), bool)
    return Renewals(phone[order], time[order], shown, lines["line"].to_numpy()[order], np.zeros(len(order))), lines


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
    home = homes_of(story)
    rows = registered.filter(pl.col("port").is_not_null()).select("address", "port", "phone")
    rows = rows.with_columns(pl.Series("home", home[rows["phone"].to_numpy()], dtype=pl.String))
    spots = (
        rows.with_columns(pl.len().over("home").alias("all"))
        .group_by("home", "address", "port")
        .agg(pl.col("phone").n_unique().alias("phones"), pl.len().alias("lines"), pl.first("all"))
        .filter((pl.col("phones") >= 2) & (pl.col("lines") >= 3) & (pl.col("lines") >= 0.02 * pl.col("all")))
    )
    return np.isin(home, spots["home"].unique().to_numpy().astype(str))


def _inherits(story: Story) -> Bools:
    """Say for each phone whether its site's phones come back over others' bindings, shown by when they go again.

    Such a phone turns up at a repeated probe, without a REGISTER of its own, and goes again after one and the same
    time, however long the way from one loss to the next is. A line that is down for as long as it likes gives no
    constant time, one that is down by the clock no change of the way.
    """
    losses, home = story.losses, homes_of(story)
    inherits = np.zeros(len(home), bool)
    own = (np.diff(losses.phone, prepend=-1) == 0) & ~losses.pjsip
    back = np.concatenate([[-np.inf], losses.end[:-1]])[: len(losses)]
    age, way = losses.failed - back, np.diff(losses.start, prepend=-np.inf)
    borrowed = np.concatenate([[False], losses.on_grid[:-1]])[: len(losses)]
    use = own & np.isfinite(age) & (age > 0) & (losses.end - losses.start > BLIP_S) & ~losses.restart_inside
    for name in np.unique(home[losses.phone[use]]):
        mine = use & (home == name)[losses.phone]
        if mine.sum() < ENOUGH_BORROWED or len(np.unique(losses.phone[mine])) < 2:
            continue
        ages = np.sort(age[mine])
        cell = np.searchsorted(ages, ages + ONE_PROBE_S, "right") - np.arange(len(ages))
        low = ages[int(np.argmax(cell))]
        agree = mine & (age >= low) & (age <= low + ONE_PROBE_S)
        constant = agree.sum() >= SAME_AGE * mine.sum()
        changing = np.ptp(np.quantile(way[agree], [0.25, 0.75])) > 2 * ONE_PROBE_S
        inherits[home == name] = constant and changing and borrowed[agree].mean() >= BORROWED
    return inherits


def _lead(story: Story) -> None:
    """Where ports are shared, the first of several phones that come back together is the one that sent a REGISTER."""
    losses = story.losses
    home = homes_of(story)[losses.phone]
    closed = np.isfinite(losses.end) & story.shares_ports[losses.phone] & ~losses.restart_inside
    for name in np.unique(home[closed]):
        mine = np.flatnonzero(closed & (home == name))
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
    home = homes_of(story)
    off = (losses.renewed & ~losses.on_grid & ~losses.lagged_end) | (losses.pjsip & np.isfinite(losses.end))
    length = losses.end - losses.start
    # The first repeated probe comes after ten seconds: only a REGISTER is sooner.
    off &= (length > 20.0) | ((length < story.settings.probe_retry_s - 1.0 - story.resolution) & ~losses.pjsip)
    sure = off & (length > 70.0)
    shows = np.zeros(len(home), bool)
    for name in np.unique(home):
        here = sure & (home == name)[losses.phone]
        shows[home == name] = here.sum() >= 3 and (here & losses.registered).sum() >= 0.9 * here.sum()
    own = np.bincount(losses.phone[off], minlength=len(home))
    return shows & ~(
        (own >= 3) & (np.bincount(losses.phone[off & losses.registered], minlength=len(home)) <= 0.5 * own)
    )


def _on_own_grid(story: Story) -> None:
    """Take a PJSIP recovery after a longer loss for a renewal, unless most phones that were down come back with it.

    A REGISTER that changes nothing triggers no probe there, so the recovery stands on the peer's own probing grid.
    """
    losses, step = story.losses, story.settings.probe_interval_s
    gone = losses.pjsip & (losses.end - losses.start > step + 10)
    losses.renewed |= gone & ~_with_the_line(story, gone, step) & np.isfinite(losses.end) & ~losses.restart_inside


def _with_the_line(story: Story, gone: Bools, step: float) -> Bools:
    """Say which of these losses ended as when a line is back: most phones that were down are back within `step`."""
    losses = story.losses
    home = homes_of(story)[losses.phone]
    with_line = np.zeros(len(losses), bool)
    for name in np.unique(home[gone]):
        mine = np.flatnonzero(gone & (home == name))
        end, start = np.sort(losses.end[mine]), np.sort(losses.start[mine])
        now = losses.end[mine]
        back = np.searchsorted(end, now + step, "right") - np.searchsorted(end, now - step)
        down = np.searchsorted(start, now - step) - np.searchsorted(end, now - step)
        with_line[mine] = (back > 2) & (back >= LINE_BACK * down)
    return with_line


def _exact(story: Story) -> Bools:
    """Find recoveries on the probing grid that are renewals: the phone is back again and again after exactly one time.

    A timer that is exact to the second meets the grid in every cycle or in none; a fault ends when it likes.
    """
    losses = story.losses
    gone = np.isfinite(losses.end) & ~losses.pjsip & ~losses.restart_inside
    at = np.flatnonzero(gone & ~_with_the_line(story, gone, TOGETHER_S))
    found = np.zeros(len(losses), bool)
    gaps, same = np.diff(losses.end[at]), np.diff(losses.phone[at]) == 0
    for phone in np.unique(losses.phone[at][1:][same]):
        mine = np.flatnonzero(same & (losses.phone[at][1:] == phone))
        sizes = np.sort(gaps[mine])
        alike = np.searchsorted(sizes, sizes + EXACT_S + story.resolution, "right") - np.arange(len(sizes))
        low = sizes[int(np.argmax(alike))]
        if alike.max() >= max(ENOUGH_EXACT, 0.5 * len(sizes)) and low > 2 * story.settings.probe_interval_s:
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
    order = np.lexsort((time, phone))
    phone, time, shown, line, early = phone[order], time[order], shown[order], line[order], early[order]
    fresh = np.ones(len(time), bool)
    fresh[1:] = (np.diff(time) > SAME_MOMENT_S) | (np.diff(phone) != 0)
    return Renewals(phone[fresh], time[fresh], shown[fresh], line[fresh], early[fresh])


def find_periods(story: Story, tolerance: float = 0.025) -> Floats:
    """Return each phone's re-REGISTER period from the most usual spacing of its renewals; NaN where none is usual."""
    renewals = story.renewals
    periods = np.full(len(story.peers), np.nan)
    gaps = np.diff(renewals.time)
    same = np.diff(renewals.phone) == 0
    longest = max(story.settings.keepalive_s, 3600.0)
    usable = same & (gaps > 2 * SAME_MOMENT_S) & (gaps < 2.2 * longest)
    who = renewals.phone[1:]
    for phone in np.unique(who[usable]):
        mine = _slice(who, phone)
        periods[phone] = usual_gap(np.sort(gaps[mine][usable[mine]]), 1.5 * longest, tolerance)
    return periods


def _slice(sorted_values: Ints, value: int) -> slice:
    return slice(*np.searchsorted(sorted_values, [value, value + 1]))


def usual_gap(gaps: Floats, longest: float = np.inf, tolerance: float = 0.025) -> float:
    """Return the middle of the densest cluster of sorted gaps (at least two within the tolerance), or NaN.

    Periods are set in whole minutes or halves and tenths of an hour; one next to a whole minute is taken for it.
    Where every other renewal goes unseen, the spacing is twice the period: one above `longest` is halved.
    """
    if len(gaps) < 2:
        return float("nan")
    reach = np.searchsorted(gaps, gaps * (1 + 2 * tolerance), side="right") - np.arange(len(gaps))
    best = int(np.argmax(reach))
    if reach[best] < max(2, 0.3 * len(gaps)):
        return float("nan")
    usual = float(np.median(gaps[best : best + reach[best]]))
    usual = usual / 2 if usual > longest else usual
    whole = round(usual / 60.0) * 60.0
    return whole if abs(usual - whole) <= 0.01 * usual else usual


def rhythm_odds(story: Story, anchor: Floats) -> tuple[Floats, Floats]:
    """Weigh for each loss whether the phone's own renewal ended it or a fault that lasts as long as it likes.

    Returns log-likelihood ratios: above 0 where the loss, counted from the renewal at `anchor`, ended when the next
    one was due; 0 where no renewal ended it or too few are known. First for timers that keep to their period as usual,
    then, for phones that are not alone, with the spread of `JITTERS` that explains each phone's returns best.
    """
    losses = story.losses
    enough = np.bincount(story.renewals.phone, minlength=len(story.peers)) >= ENOUGH_RENEWALS
    roughly = np.where(np.isfinite(story.periods), story.periods, find_periods(story, ROUGH))
    ended = losses.renewed & np.isfinite(losses.end) & np.isfinite(anchor)

    def odds(periods: Floats, jitter: float) -> Floats:
        counts = ended & (np.isfinite(periods) | enough)[losses.phone]
        return np.where(counts, _on_time_odds(story, anchor, periods[losses.phone], jitter), 0.0)

    strict = odds(story.periods, JITTERS[0])
    as_set = _customary(roughly, story.settings.keepalive_s)[losses.phone]
    strict = np.where(as_set, strict, np.minimum(strict, 0.0))
    loose, best = np.zeros(len(losses)), np.full(len(story.peers), -np.inf)
    for price, jitter in enumerate(JITTERS):
        found = odds(roughly, jitter)
        total = np.bincount(losses.phone, found, len(story.peers)) - price * JITTER_PRICE
        loose = np.where((total > best)[losses.phone], found, loose)
        best = np.maximum(best, total)
    return strict, np.where(as_set, loose, strict)


def _customary(periods: Floats, keepalive: float) -> Bools:
    """Say which periods are such as phones are set to under this keepalive.

    Phones that fail by themselves at regular times have a period as well: from one return to the next.
    """
    usual = np.outer(keepalive / np.array(PARTS), [1.0, EXPIRES_SHARE]).ravel()
    return np.asarray((np.abs(periods[:, None] - usual) <= SAME_PERIOD * usual).any(axis=1), bool)


def _on_time_odds(story: Story, anchor: Floats, period: Floats, jitter: float) -> Floats:
    """Return the log-likelihood ratio of each return: at a renewal of a phone with this spread, or at any time."""
    losses = story.losses
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.maximum(losses.end - losses.start, 10.0)
        fault = 0.5 / 300.0 * (length <= 300.0) + 0.5 / (length * np.log(720.0))
        spread = np.hypot(jitter * period, np.where(losses.pjsip, story.settings.probe_interval_s / 3, 1.0))
        gap = (losses.end - losses.rtt - anchor) / spread
        turns = (period / spread)[:, None] * [1.0, 2.0]
        due = np.exp(-0.5 * (gap[:, None] - turns) ** 2) @ [ON_TIME, ONE_LATER] / (spread * np.sqrt(2 * np.pi))
        return np.asarray(np.log(np.nan_to_num(due) / fault + STRAY) - CHANCE)


def _rhythmic(story: Story) -> bool:
    """Count a recovery on the probing grid as a renewal where it comes just one period after the last one."""
    losses, renewals = story.losses, story.renewals
    open_question = np.isfinite(losses.end) & ~losses.renewed & ~losses.unregistered_end
    before = renewals.before(losses.phone, losses.start)
    period = story.periods[losses.phone]
    gap = losses.end - renewals.time[np.maximum(before, 0)] if len(renewals.time) else np.full(len(losses), np.inf)
    tolerance = np.where(losses.on_grid, 0.012, 0.02)
    with np.errstate(invalid="ignore"):
        fits = open_question & (before >= 0) & (np.abs(gap - period) <= tolerance * period + 60.0 * losses.pjsip)
    losses.renewed |= fits
    return bool(fits.any())
