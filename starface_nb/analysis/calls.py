"""What the losses cost: calls that could not be delivered to a phone because it was unreachable."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any

import polars as pl

from starface_nb.analysis.frames import CALLS_LOST
from starface_nb.observations.intervals import of_kind
from starface_nb.reading.log import Log
from starface_nb.settings import Settings

ABSENT = (3, 20)
"""Causes of `app_dial` for a peer without a reachable contact (include/asterisk/causes.h 20.20.1:99, 110)."""
SAME_CALL = timedelta(hours=6)  # a number of a call that comes again later is another call: it restarts with the PBX
INVITE_S = 32.0  # an INVITE is given up after 64 times T1 of 500 ms (RFC 3261 section 17.1.1.2)
_BESIDE = timedelta(seconds=3)  # between the retransmission timeout and what the dialling thread says of it
_SECOND = timedelta(seconds=1)


@dataclass
class _Call:
    """One call while its steps are read: what each thread dials, and whether that ended without a phone.

    `rang` says that an earlier dialling of a thread found a phone, whatever the next one does.
    """

    number: int
    last: datetime
    dialled: dict[str | None, list[str]] = field(default_factory=dict)
    ended: dict[str | None, bool] = field(default_factory=dict)
    rang: bool = False


def calls_lost(log: Log, intervals: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return the calls that could not be delivered to a lost phone; frame of schema `CALLS_LOST`.

    A call counts once for every phone it could not reach, however often a queue tries again, and once for a site or a
    cause: count different values of `call`. Where a phone could not be called for another reason than a loss (not
    registered, engaged), nothing is counted.

    Parameters
    ----------
    log : Log
    intervals : polars.DataFrame
        With `peer`, `start`, `end` (null: still lost), `site`, `cause` and `trunk`.
    settings : Settings
    """
    losses = intervals.filter(~pl.col("trunk")).select("peer", "start", "end", "site", "cause").sort("start")
    unanswered = of_kind(log.events, "retransmission_timeout")["time"].drop_nulls().sort().to_list()

    @cache
    def of(peer: str) -> list[dict[str, Any]]:
        return losses.filter(pl.col("peer") == peer).to_dicts()

    early = timedelta(seconds=settings.probe_interval_s + settings.probe_timeout_s + INVITE_S)
    rows: dict[tuple[int, str | None], tuple[_Call, dict[str, object]]] = {}
    names_peers = (log.calls["step"] == "dialled").any()
    for call, step in _steps(log):
        time, peers = step["time"], list[str]()
        if step["step"] == "no_channel" and step["cause"] in ABSENT:
            peers = call.dialled.get(step["thread"], [])
            lost = (pl.col("start") <= time + _SECOND) & (pl.col("end").is_null() | (pl.col("end") >= time))
            if not names_peers and losses.filter(lost).height:
                rows.setdefault((call.number, None), (call, {"call": call.number, "time": time}))
        elif step["step"] == "no_answer":
            late = bisect_left(unanswered, time - _BESIDE)
            peers = step["peers"] if late < len(unanswered) and unanswered[late] <= time + _SECOND else []
        before = early if step["step"] == "no_answer" else _SECOND
        for peer in peers:
            loss = _loss_at(of(peer), time, before)
            if loss is not None:
                row = loss | {"call": call.number, "time": time}
                rows.setdefault((call.number, peer), (call, row))
    found = [row | {"nobody": not call.rang and {*call.ended.values()} == {True}} for call, row in rows.values()]
    return CALLS_LOST.frame(found)


def _steps(log: Log) -> Iterator[tuple[_Call, dict[str, Any]]]:
    """Yield each step of a call with the call as it is at that moment; threads and their dialling are kept in it."""
    open_calls: dict[object, _Call] = {}
    number = 0
    for step in log.calls.filter(pl.col("time").is_not_null()).iter_rows(named=True):
        key = step["call"] or (step["file"], step["thread"])  # before Asterisk 11 a thread is all there is
        call = open_calls.get(key)
        if call is None or step["time"] - call.last > SAME_CALL or step["time"] < call.last - SAME_CALL:
            number += 1
            call = open_calls[key] = _Call(number, step["time"])
        call.last = step["time"]
        if step["step"] == "dialled" and step["peers"]:
            call.rang |= not call.ended.get(step["thread"], True)
            call.dialled[step["thread"]] = step["peers"]
            call.ended[step["thread"]] = False
        elif step["step"] == "nobody" and step["thread"] in call.ended:
            call.ended[step["thread"]] = True
        yield call, step


def _loss_at(losses: list[dict[str, Any]], time: datetime, before: timedelta) -> dict[str, Any] | None:
    """Return which of a phone's losses it had at a time, or that begins so soon after it."""
    at = bisect_right(losses, time, key=itemgetter("start"))
    near = losses[max(at - 1, 0) : at + 1]
    return next((one for one in near if one["start"] - before <= time and (one["end"] or time) >= time), None)


def cost(lost: pl.DataFrame, intervals: pl.DataFrame | None = None) -> dict[str, object]:
    """Return how many calls were lost, in all and by phone, site, cause and incident; a call counts once in each.

    Parameters
    ----------
    lost : polars.DataFrame
        Frame of schema `CALLS_LOST`.
    intervals : polars.DataFrame, optional
        Names the incident of each loss.

    Returns
    -------
    dict
        `calls`; `nobody` (of them, those that could be delivered to no phone at all); `unnamed` (of which the log does
        not show whom they were for; not among `calls`); `phones`, `sites`, `causes` and `incidents`: lists of a name
        and `calls`.
    """
    named = lost.filter(pl.col("peer").is_not_null())
    if intervals is not None:
        named = named.join(intervals.select("peer", "start", "incident"), on=["peer", "start"], how="left")

    def by(column: str) -> list[dict[str, object]]:
        counted = named.drop_nulls(column).group_by(column).agg(pl.col("call").n_unique().alias("calls"))
        return counted.sort("calls", column, descending=[True, False]).to_dicts()

    return {
        "calls": named["call"].n_unique(),
        "nobody": named.filter("nobody")["call"].n_unique(),
        "unnamed": lost.height - named.height,
        "phones": by("peer"),
        "sites": by("site"),
        "causes": by("cause"),
        "incidents": [] if intervals is None else by("incident"),
    }
