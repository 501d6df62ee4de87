"""What happened around each loss: late answers at the site, refused registrations, a new public address, shared ports."""

from __future__ import annotations

import numpy as np
import polars as pl

from starface_nb.analysis.cycles import Exposure, find_cycles, exposures, measure
from starface_nb.analysis.intervals import of_kind
from starface_nb.analysis.reasoning import Context
from starface_nb.analysis.sites import Addresses, place
from starface_nb.analysis.story import SAME_MOMENT_S, Bools, Floats, Ints, Story, seconds

NEAR_S = 120.0
BLACKLIST_S = 86_400.0
"""Addresses stay blocked for 24 h after too many refused registrations."""


def survey(story: Story, states: pl.DataFrame, raw: pl.DataFrame, peers: pl.DataFrame, addresses: Addresses) -> Context:
    """Build what all sites share."""
    losses = story.losses
    exposure = exposures(story)
    placed = place(raw.select("peer", "start", "end"), addresses, "start")[losses.row]
    later = place(raw.select("peer", pl.coalesce("end", "start").alias("start")), addresses, "start")[losses.row]
    inherited, shared = _shared_ports(story, addresses, placed, exposure)
    previous = np.full(len(losses), np.nan)
    if len(losses) > 1:
        same = np.diff(losses.phone) == 0
        soft = np.isfinite(losses.end[:-1]) & ~losses.renewed[:-1] & same
        previous[1:][soft] = losses.end[:-1][soft] - losses.rtt[:-1][soft]
    none = np.full(len(losses), -1)
    return Context(
        story=story,
        exposure=exposure,
        soft=measure(story, previous, none),
        shared=shared,
        cycles=find_cycles(story),
        inherited=inherited,
        new_address=(placed["site"] != later["site"]).to_numpy(),
        lagged_near=_lagged(story, states, addresses, placed["home"]),
        refused=_refused(story, states, addresses, placed["home"]),
        born=seconds(peers["first"], story.origin_us),
        horizon=max(2 * story.settings.keepalive_s, 7200.0),
    )


def _lagged(story: Story, states: pl.DataFrame, addresses: Addresses, homes: pl.Series) -> Ints:
    """Count the late answers at each loss's site shortly before and during it."""
    rows = place(of_kind(states, "lagged").select("peer", "time"), addresses, "time")
    return _count_near(story, seconds(rows["time"], story.origin_us), rows["home"], homes, NEAR_S, NEAR_S)


def _refused(story: Story, states: pl.DataFrame, addresses: Addresses, homes: pl.Series) -> Ints:
    """Count the refused registrations from each loss's site in the hour before it."""
    rows = of_kind(states, "registration_failed").filter(pl.col("address").is_not_null())
    home = rows["address"].replace(addresses.site_of)
    return _count_near(story, seconds(rows["time"], story.origin_us), home, homes, 3600.0, 0.0)


def _count_near(story: Story, times: Floats, at: pl.Series, homes: pl.Series, before: float, after: float) -> Ints:
    counts = np.zeros(len(homes), np.int64)
    if not len(times):
        return counts
    where, home = at.to_numpy(), homes.to_numpy()
    losses = story.losses
    for site in np.unique(where[np.isin(where, home)]):
        mine = np.sort(times[where == site])
        use = home == site
        until = losses.start[use] + np.minimum(after, np.maximum(losses.end[use] - losses.start[use], 0) + 15)
        low = np.searchsorted(mine, losses.start[use] - before)
        counts[use] = np.searchsorted(mine, until, side="right") - low
    return counts


def _shared_ports(
    story: Story, addresses: Addresses, placed: pl.DataFrame, exposure: Exposure
) -> tuple[Bools, Exposure]:
    """Find losses whose phone lived on a mapping that another phone had renewed (a port inherited on the router)."""
    losses, renewals = story.losses, story.renewals
    n = len(losses)
    nothing = measure(story, np.full(n, np.nan), np.full(n, -1))
    seen = addresses.seen.filter(pl.col("port").is_not_null())
    if seen.is_empty() or not n or not len(renewals.time):
        return np.zeros(n, bool), nothing
    names = pl.Series(story.peers)
    at = pl.DataFrame({
        "peer": names[renewals.phone], "i": np.arange(len(renewals.time)),
        "start": pl.Series(((renewals.time + 1.0) * 1e6 + story.origin_us).astype(np.int64)).cast(seen.schema["time"].__class__("us", "UTC")),
    })  # fmt: skip
    at = place(at, addresses, "start")
    spots = pl.concat([at.select("site", "port"), placed.select("site", "port")]).select(
        pl.when(pl.col("port").is_not_null()).then(pl.struct("site", "port").rank("dense")).otherwise(0).cast(pl.Int64)
    ).to_series().to_numpy()  # fmt: skip
    mine, theirs = spots[len(at) :], spots[: len(at)]
    order = np.lexsort((renewals.time, theirs))
    key = theirs[order] * 1e9 + renewals.time[order]

    def last_before(time: Floats) -> tuple[Ints, Bools]:
        k = np.searchsorted(key, mine * 1e9 + time, side="right") - 1
        index = order[np.maximum(k, 0)]
        other = (k >= 0) & (theirs[index] == mine) & (mine > 0) & (renewals.phone[index] != losses.phone)
        return index, other

    index, other = last_before(losses.failed)
    own = np.nan_to_num(exposure.anchor, nan=-np.inf)
    anchor = np.where(other & (renewals.time[index] > own + SAME_MOMENT_S), renewals.time[index], np.nan)
    closed = np.where(np.isfinite(losses.end), losses.end, 0.0)
    ended_by, others = last_before(closed)
    inherited = others & ~losses.registered & (closed - renewals.time[ended_by] <= 18.0) & (closed > 0)
    return inherited, measure(story, anchor, np.full(n, -1))
