"""Signs of life and of trouble beside the losses: refused registrations, late answers, registrations while lost."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.addresses import UNKNOWN, Addresses
from starface_nb.observations.completeness import LIMIT_MS
from starface_nb.observations.intervals import DOWN, UP, of_kind
from starface_nb.observations.story import PJSIP_SLOW_MS

AUTHENTICATION = r"(?i)password|authenticate|no matching (?:peer|endpoint)|username/auth|ACL|not permitted|security"
"""Refusals that count towards a block of the address; too many contacts or an unknown AOR do not."""
MOST_GUESSED = 5
"""An address that tries more accounts than this is guessing."""
ALONE_S = 30.0
"""A registration this long after a loss began and before it ended is one during it."""
_ENDING = r"(\.[^.]+$)"


def refused(states: pl.DataFrame, peers: pl.DataFrame, addresses: Addresses) -> pl.DataFrame:
    """Return the customer's refused registrations: peer, address, reason, counts (`refused`, `authentication`), times.

    Accounts that somebody outside guesses are left out: names unlike the phones' from addresses without phones.
    """
    rows = of_kind(states, "registration_failed").filter(pl.col("peer").is_not_null())
    known = peers["peer"].implode()
    endings = peers["peer"].str.extract(_ENDING).drop_nulls().implode()
    here = pl.Series(list(addresses.site_of), dtype=pl.String).implode()
    few = pl.col("peer").n_unique().over("address") <= MOST_GUESSED
    own = pl.col("peer").is_in(known) | pl.col("peer").str.extract(_ENDING).is_in(endings)
    own |= pl.col("address").is_in(here) & few
    own |= few & pl.lit(peers.is_empty())
    because = pl.col("detail").fill_null("")
    return (
        rows.filter(own.fill_null(value=False))
        .group_by("peer", "address")
        .agg(
            pl.len().cast(pl.Int64).alias("refused"),
            because.str.contains(AUTHENTICATION).sum().cast(pl.Int64).alias("authentication"),
            because.mode().sort().first().alias("reason"),
            pl.min("time").alias("first"),
            pl.max("time").alias("last"),
        )
        .sort("refused", "peer", "address", descending=[True, False, False])
    )


def late(states: pl.DataFrame) -> pl.DataFrame:
    """Return how many late answers each peer gave: peer, late.

    A late answer while a peer is down leaves no line; the next UNREACHABLE tells its round trip.
    """
    kind = pl.col("kind")
    limit = pl.col("limit_ms").max().over("peer").fill_null(LIMIT_MS)
    slow = (pl.col("tech") == "PJSIP") & (pl.col("rtt_ms") >= PJSIP_SLOW_MS)
    missed = (kind == "unreachable") & (pl.col("last_rtt_ms") > limit)
    told = states.select("peer", "kind", "tech", "rtt_ms", "last_rtt_ms", "limit_ms")
    rows = told.filter(pl.col("peer").is_not_null() & ((kind == "lagged") | slow | missed))
    return rows.group_by("peer").agg(pl.len().cast(pl.Int64).alias("late"))


def never_answering(states: pl.DataFrame) -> pl.Series:
    """Return the peers that registered and are called unreachable, and never once reachable."""
    lines = states.select("peer", "state", "kind", "last_rtt_ms").filter(pl.col("peer").is_not_null())
    of_peer = lines.group_by("peer", maintain_order=True)
    told = of_peer.agg(
        (pl.col("state") == UP).any().alias("up"),
        (pl.col("state") == DOWN).any().alias("down"),
        (pl.col("kind") == "registered").any().alias("registered"),
        (pl.col("last_rtt_ms").fill_null(0.0) > 0).any().alias("answered"),
    )
    never = pl.col("down") & pl.col("registered") & ~pl.col("up").fill_null(value=False) & ~pl.col("answered")
    return told.filter(never.fill_null(value=False))["peer"].sort()


def registered(states: pl.DataFrame) -> pl.DataFrame:
    """Return the registrations: peer, time (UTC)."""
    return of_kind(states, "registered").select("peer", "time")


def inside(intervals: pl.DataFrame, lines: pl.DataFrame, end: datetime | None) -> pl.Series:
    """Return for each interval how many of its peer's signs of life stand well inside it.

    Parameters
    ----------
    intervals : polars.DataFrame
        peer, start, end (UTC, null while open).
    lines : polars.DataFrame
        peer, time (UTC).
    end : datetime or None
        Time of the log's last line: what stands just before it may have ended a loss.
    """
    if intervals.is_empty() or lines.is_empty():
        return pl.Series("inside", [0] * intervals.height, dtype=pl.Int64)
    lines = lines.sort("peer", "time")
    names = pl.concat([intervals["peer"], lines["peer"]]).unique().sort()
    code = {name: float(i) * 1e12 for i, name in enumerate(names)}

    def key(peers: pl.Series, times: pl.Series) -> np.ndarray:
        own = peers.replace_strict(code, return_dtype=pl.Float64) if len(peers) else pl.Series([], dtype=pl.Float64)
        return (own + times.dt.epoch("s").cast(pl.Float64)).to_numpy()

    far = intervals.select(pl.coalesce("end", pl.lit(end or lines["time"].max(), UTC_TIME))).to_series()
    at = key(lines["peer"], lines["time"])
    first = np.searchsorted(at, key(intervals["peer"], intervals["start"]) + ALONE_S, side="left")
    past = np.searchsorted(at, key(intervals["peer"], far) - ALONE_S, side="left")
    return pl.Series("inside", np.maximum(past - first, 0), dtype=pl.Int64)


def site_of_refused(rows: pl.DataFrame, addresses: Addresses) -> pl.Series:
    """Return the site of each refused account: that of its address, the address itself, or unknown."""
    own = [addresses.site(address) for address in rows["address"]]
    return pl.Series("site", [site or UNKNOWN for site in own], dtype=pl.String)
