"""Signs of life and of trouble beside the losses: refused registrations, late answers, registrations while lost."""

from datetime import datetime

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.addresses import Addresses
from starface_nb.observations.completeness import LIMIT_MS
from starface_nb.observations.intervals import DOWN, UP, of_kind, phone_index
from starface_nb.observations.story import PJSIP_SLOW_MS

STREAMS = r"(?i);transport=(?:tcp|tls)\b"
"""A contact whose phone notices a dead connection and makes a new one: no UDP entry is its own."""

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
    own |= few & (pl.col("address").is_in(here) | pl.lit(peers.is_empty()))
    because = pl.col("detail").fill_null("")
    found = (
        rows.filter(own)
        .group_by("peer", "address")
        .agg(
            pl.len().cast(pl.Int64).alias("refused"),
            because.str.contains(AUTHENTICATION).sum().cast(pl.Int64).alias("authentication"),
            because.mode().sort().first().alias("reason"),
            pl.min("time").alias("first"),
            pl.max("time").alias("last"),
        )
    )
    return found.sort("refused", "peer", "address", descending=[True, False, False])


def late(states: pl.DataFrame) -> pl.DataFrame:
    """Return how many late answers each peer gave: peer, late.

    A late answer while a peer is down leaves no line; the next UNREACHABLE tells its round trip.
    """
    kind = pl.col("kind")
    limit = pl.col("limit_ms").max().over("peer").fill_null(LIMIT_MS)
    slow = (pl.col("tech") == "PJSIP") & (pl.col("rtt_ms") >= PJSIP_SLOW_MS)
    missed = (kind == "unreachable") & (pl.col("last_rtt_ms") > limit)
    rows = states.filter(pl.col("peer").is_not_null() & ((kind == "lagged") | slow | missed))
    return rows.group_by("peer").agg(pl.len().cast(pl.Int64).alias("late"))


def never_answering(states: pl.DataFrame) -> pl.Series:
    """Return the peers that registered and are called unreachable, and never once reachable."""
    down, up, registered = (pl.col("state") == DOWN).any(), pl.col("state") == UP, pl.col("kind") == "registered"
    answered = (up | (pl.col("last_rtt_ms") > 0)).any()
    told = states.drop_nulls("peer").group_by("peer").agg(never=down & registered.any() & ~answered)
    return told.filter("never")["peer"].sort()


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
    joint = phone_index(intervals["peer"].unique().drop_nulls().sort()) * 1e12
    start, far = pl.col("start"), pl.coalesce("end", pl.lit(end or lines["time"].max(), UTC_TIME))
    at = lines.select(joint + pl.col("time").dt.epoch("s")).to_series().drop_nulls().sort()
    spans = intervals.select(joint + start.dt.epoch("s") + ALONE_S, end=joint + far.dt.epoch("s") - ALONE_S)
    first, past = (at.search_sorted(ends, "left").cast(pl.Int64) for ends in spans)
    return (past - first).clip(lower_bound=0).alias("inside")
