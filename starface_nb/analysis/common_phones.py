"""Which phones of one log a later log shows, and when a loss of theirs would have shown there."""

from collections.abc import Set as AbstractSet
from datetime import timedelta

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.observations.addresses import is_private
from starface_nb.observations.intervals import of_kind
from starface_nb.observations.observed import of_two_customers
from starface_nb.observations.presence import hours_of_notices, phones_in_calls
from starface_nb.reading.log import Log

CONTINUES = timedelta(minutes=15)
"""A log that begins this soon after the end of another, and shares phones with it, is its continuation."""
CONTINUING_SHARE = 0.5
"""Share of the phones that both parts of one log must show."""
SAME_CUSTOMER, SAME_PHONES = 0.5, 0.8
"""Share of the smaller log's phones that two logs of a customer have in common, and of the larger one's that tell a
customer whose address is another one now."""
SAME_LINES, GOOD_PART = 0.5, 0.1
"""Share of the fewer lines of their common time that two copies of one log have in common, and the share of a log's
lines from which on others than these tell that it is none."""
TOLD = ("time", "kind", "peer", "tech", "address", "port")
"""What makes two lines of two copies of a log the same."""
LEAST_NOTICES = 3
"""In so many hours the level NOTICE must have been used, and be due again, for its absence to tell anything."""


def is_older(before: Log, after: Log) -> bool:
    """Say whether the log that should be the later one is not."""
    if before.first is None or before.last is None or after.first is None or after.last is None:
        return False
    return after.last <= before.first or (after.first < before.first and after.last < before.last)


def is_same(before: Log, after: Log) -> bool:
    """Say whether both logs tell the same events, whatever their files are called or packed in."""
    one, other = (log.events.select(TOLD) for log in (before, after))
    return not one.is_empty() and one.equals(other)


def are_beside(before: Log, after: Log) -> bool:
    """Say whether the second log has nothing from after the first one, or is of the same time without being a copy.

    One that repeats the end of the first and goes on is ordinary: it was fetched later.
    """
    if before.last is None or after.last is None or after.last <= before.last:
        return True
    both = pl.col("time").is_between(max(before.first or before.last, after.first or after.last), before.last)
    one, other = (log.events.filter(both).select(TOLD).unique() for log in (before, after))
    fewer = min(one.height, other.height)
    if not fewer or other.height <= GOOD_PART * after.events.height:
        return False
    return one.join(other, on=TOLD, how="semi", nulls_equal=True).height < SAME_LINES * fewer


def are_two_customers(before: Log, after: Log) -> bool:
    """Say whether phones of the same names are at other addresses at the same time, as `check` of both would."""
    told = (log.events.with_columns(file=pl.lit(name)) for name, log in (("before", before), ("after", after)))
    return of_two_customers(pl.concat(told).drop_nulls("time")) is not None


def in_common(one: AbstractSet[str], other: AbstractSet[str]) -> float:
    """Return the share of the smaller set that is in both."""
    return len(one & other) / max(1, min(len(one), len(other)))


def are_strangers(before: Diagnosis, after: Diagnosis, shown: pl.DataFrame) -> bool:
    """Say whether the logs may be of two customers: few phones in common, or no address and not nearly all phones."""
    old, new = (set(_phones(case)) for case in (before, after))
    new |= set(shown["peer"])
    if in_common(old, new) < SAME_CUSTOMER:
        return True
    return other_addresses(before, after) is not None and len(old & new) < SAME_PHONES * max(len(old), len(new))


def other_addresses(before: Diagnosis, after: Diagnosis) -> tuple[list[str], list[str]] | None:
    """Return the public addresses of the phones in both logs, where there are some and none in common."""
    old, new = (_addresses(case, set(_phones(case))) for case in (before, after))
    return (sorted(old), sorted(new)) if old and new and not old & new else None


def _phones(case: Diagnosis) -> pl.Series:
    return case.phones.filter(~pl.col("trunk") & pl.col("ever_registered").fill_null(value=True))["peer"]


def _addresses(case: Diagnosis, peers: AbstractSet[str]) -> set[str]:
    """Return the public addresses at which these phones were; who only tries their names is none of them."""
    there = of_kind(case.log.events, "registered", "reachable", "lagged").filter(pl.col("peer").is_in(list(peers)))
    return {address for address in there["address"].drop_nulls().unique() if not is_private(address)}


def seen_after(before: Diagnosis, after: Diagnosis) -> pl.DataFrame:
    """Return when phones of the first log were under observation in the second: peer, start, end.

    A phone counts that the second log shows by any line, be it a call; where that log continues the first without a
    break, silence counts for its other phones, too.
    """
    phones = _phones(before)
    usable = after.observation.usable
    seen = usable.filter(pl.col("peer").is_in(phones.implode()))
    if after.observation.lacking.one_sided and after.phones.height:
        return seen
    absent = [peer for peer in phones if peer not in set(after.phones["peer"])]
    called = phones_in_calls(after.log, absent).rename({"first": "start", "last": "end"})
    if not called.is_empty() and after.phones.is_empty() and _level_off(before, after):
        return seen
    seen, until = pl.concat([seen, called.select(usable.columns)]), usable["end"].max()
    if not seen.is_empty() and _continues(before, after, seen["peer"].n_unique(), len(phones)) and until is not None:
        silent = [(peer, after.log.first, until) for peer in absent if peer not in set(called["peer"])]
        seen = pl.concat([seen, pl.DataFrame(silent, usable.schema, orient="row")])
    return seen


def _level_off(before: Diagnosis, after: Diagnosis) -> bool:
    """Say whether the level NOTICE, at which chan_sip tells losses, was switched off: other such lines ended, too."""
    spans = [(log.last - log.first).total_seconds() for log in (before.log, after.log) if log.first and log.last]
    if len(spans) < 2 or not (before.phones["tech"] == "SIP").any() or hours_of_notices(after.log):
        return False
    hours = hours_of_notices(before.log)
    return hours >= LEAST_NOTICES and hours * spans[1] >= LEAST_NOTICES * spans[0]


def _continues(before: Diagnosis, after: Diagnosis, shared: int, phones: int) -> bool:
    last, first = before.log.last, after.log.first
    if last is None or first is None or not timedelta(0) <= first - last <= CONTINUES:
        return False
    return shared >= CONTINUING_SHARE * phones
