"""The phones of a log: who they are, where, in which state, and which peers are trunks."""

import re

import polars as pl

from starface_nb.observations.intervals import of_kind

PHONE_KINDS = ("unreachable", "reachable", "lagged", "registered", "unregistered", "expired")
"""Kinds that only a configured peer can cause; a refused registration alone makes nobody a phone."""

_NUMBER = re.compile(r"\+?\d{6,}(?:-\d+)?")
_ACCOUNT = re.compile(r"[^.]+\..+")


def find_peers(states: pl.DataFrame) -> pl.DataFrame:
    """Return one row per peer: peer, tech, trunk, status, ever_registered, first, last; sorted by peer."""
    rows = of_kind(states.select("peer", "tech", "kind", "time"), *PHONE_KINDS).filter(pl.col("peer").is_not_null())
    kind = pl.col("kind")
    seen = kind.is_in(["reachable", "lagged", "registered", "unregistered"]).any()
    peers = rows.group_by("peer").agg(
        pl.col("tech").drop_nulls().last(),
        (kind == "registered").any().alias("trunk"),
        kind.filter(kind != "registered").last().cast(pl.String).fill_null("unknown").alias("status"),
        seen.replace(False, None).alias("ever_registered"),
        pl.min("time").alias("first"),
        pl.max("time").alias("last"),
    )
    peers = peers.sort("peer")
    trunks = tell_trunks(peers["peer"].to_list(), peers["trunk"].to_list())
    return peers.with_columns(pl.Series("trunk", trunks, dtype=pl.Boolean))


def tell_trunks(peers: list[str], registered: list[bool]) -> list[bool]:
    """Say which peers are trunks: never seen registering here, and named by a number or unlike all other accounts.

    The PBX registers at a trunk, not the trunk at the PBX, so that a trunk leaves no registration line.
    """
    accounts = sum(_ACCOUNT.fullmatch(name) is not None for name in peers)
    customary = accounts >= 0.75 * len(peers) and accounts > 2
    return [
        not seen and (_NUMBER.fullmatch(name) is not None or (customary and _ACCOUNT.fullmatch(name) is None))
        for name, seen in zip(peers, registered, strict=True)
    ]
