"""Whose log it is: what tells one customer's log from another's, whatever the files are called."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from starface_nb.analysis.common_phones import CONTINUES, SAME_CUSTOMER, SAME_PHONES, in_common
from starface_nb.networks import KINDS, is_of
from starface_nb.observations.intervals import of_kind
from starface_nb.reading.log import Log
from starface_nb.text import few

_OF_PHONES = ("registered", "unregistered", "expired", "reachable", "unreachable", "lagged")
_ENDS = 3  # events
UNTOLD = "no address tells whether it is the same customer's"


def identity(log: Log, paths: Sequence[str]) -> dict[str, Any]:
    """Return what a case keeps of its log: paths, fingerprint, events' number, peers and addresses, and its end.

    Who only tries names, as scanners do everywhere, tells no customer from another; it counts where nobody else is.
    """
    told = of_kind(log.events, *_OF_PHONES)
    told = log.events if told["peer"].is_null().all() else told
    return {
        "paths": list(paths),
        "fingerprint": fingerprint(log),
        "events": log.events.height,
        "peers": sorted(told["peer"].drop_nulls().unique()),
        "addresses": sorted(a for a in told["address"].drop_nulls().unique() if is_of(a, *KINDS) is False),
        "ends": _told(log.events.drop_nulls("time").sort("time").tail(_ENDS)).to_list(),
        "last": log.last and log.last.isoformat(),
    }


def fingerprint(log: Log) -> str:
    """Return what identifies a log's content, as hexadecimal digits."""
    return hashlib.sha256(log.fingerprint.encode()).hexdigest()


def foreign(before: Mapping[str, Any], now: Mapping[str, Any], log: Log | None = None) -> str:
    """Return why a log is not of the customer whose log a case has; nothing where it is.

    Parameters
    ----------
    before, now : Mapping
        Identities of the case's log and of the new one.
    log : Log, optional
        The new one. Where no address speaks for it, it must lie at the same place, hold the end of the case's log or
        begin there; None asks for none of it.
    """
    if before["fingerprint"] == now["fingerprint"]:
        return ""
    old, new = set(before["peers"]), set(now["peers"])
    share = in_common(old, new)
    if share < SAME_CUSTOMER:
        return f"it has {share:.0%} of its phones in common with the new one"
    old, new = set(before.get("addresses", ())), set(now["addresses"])
    if old and new:
        whence, now_from = (few(sorted(addresses), 3) for addresses in (old, new))
        return "" if old & new else f"its phones came from {whence}, those of the new one from {now_from}"
    return "" if log is None or before["paths"] == now["paths"] or _goes_on(before, log) else UNTOLD


def have_same_phones(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether nearly all phones of two logs, by their identities, have the same names."""
    old, new = set(one["peers"]), set(other["peers"])
    return len(old & new) >= SAME_PHONES * max(1, len(old), len(new))


def _goes_on(before: Mapping[str, Any], log: Log) -> bool:
    if (ends := before.get("ends")) and set(ends) <= set(_told(log.events)):
        return True
    if log.first is None or not (last := before.get("last")):
        return False
    return timedelta(0) <= log.first - datetime.fromisoformat(last) <= CONTINUES


def _told(events: pl.DataFrame) -> pl.Series:
    time = pl.col("time").dt.timestamp("ms")
    return events.select(pl.format("{} {} {}", time, "kind", pl.col("peer").fill_null(""))).to_series()
