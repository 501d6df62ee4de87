"""Whose log it is: what tells one customer's log from another's, whatever the files are called."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from starface_nb.analysis.common_phones import SAME_CUSTOMER, in_common
from starface_nb.networks import KINDS, is_of
from starface_nb.observations.intervals import of_kind
from starface_nb.reading.log import Log

_OF_PHONES = ("registered", "unregistered", "expired", "reachable", "unreachable", "lagged")


def identity(log: Log, paths: Sequence[str]) -> dict[str, Any]:
    """Return what a case keeps of its log: its paths and fingerprint, its events' number, its peers and addresses.

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
    }


def fingerprint(log: Log) -> str:
    """Return what identifies a log's content, as hexadecimal digits."""
    return hashlib.sha256(log.fingerprint.encode()).hexdigest()


def foreign(before: Mapping[str, Any], now: Mapping[str, Any], *, named: bool) -> str:
    """Return why a log is not of the customer whose log a case has; nothing where it is.

    Parameters
    ----------
    before, now : Mapping
        Identities of the case's log and of the new one.
    named : bool
        Whether the user named the case: where no log shows an address, that or the same place speaks for it.
    """
    if before["fingerprint"] == now["fingerprint"]:
        return ""
    old, new = set(before["peers"]), set(now["peers"])
    share = in_common(old, new)
    if share < SAME_CUSTOMER:
        return f"it has {share:.0%} of its phones in common with the new one"
    old, new = set(before.get("addresses", ())), set(now["addresses"])
    if old and new:
        return "" if old & new else f"its phones came from {_some(old)}, those of the new one from {_some(new)}"
    return "" if named or before["paths"] == now["paths"] else "no address tells whether it is the same customer's"


def _some(addresses: set[str]) -> str:
    first = sorted(addresses)[:3]
    return ", ".join(first) + (" ..." if len(addresses) > len(first) else "")
