"""Findings on what the log shows beside the losses' causes, and on what it lacks."""

from collections.abc import Iterator
from datetime import timedelta

import polars as pl

from starface_nb.analysis.beside import unwatched
from starface_nb.analysis.diagnosis import Finding, about_peers
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.seen import evidence
from starface_nb.observations.addresses import PRIVATE
from starface_nb.observations.completeness import FORBID_ALL_CLEAR
from starface_nb.observations.intervals import of_kind

_NEVER = 0.9  # the rest: its probes are lost on the way, each of them
LEAST_LATE = 3
"""Late answers of a phone from which on they are told."""
LONG_END = timedelta(hours=1)
"""A log that shows no losses any more for this long before it ends is said to."""


def about_the_log(results: Results) -> Iterator[Finding]:
    """Yield what the log as a whole lacks or is."""
    log, lacking = results.log, results.observation.lacking
    if results.given_keepalive_s is not None:
        values = {"given_s": results.given_keepalive_s, "measured_s": results.settings.keepalive_s}
        yield Finding("keepalive_contradicted", "action", None, values)
    missing = [name for name in lacking.missing if name in FORBID_ALL_CLEAR]
    if missing:
        yield Finding("incomplete_log", "action", None, {"missing": missing, "lines": log.lines})
    if lacking.without_time:
        values = {"events": lacking.without_time, "all_events": log.events.height}
        yield Finding("no_times", "warning", None, values)
    if log.order == "reversed":
        yield Finding("reversed_log", "info")
    if gaps := lacking.gaps.sort(pl.col("end") - pl.col("start")).rows():
        values = {"holes": len(gaps), "all_s": sum((end - start).total_seconds() for start, end in gaps)}
        longest = {"from_at": gaps[-1][0], "until_at": gaps[-1][1]}
        yield Finding("missing_parts", "warning", None, values | longest)
    elif "rest" in lacking.missing:
        yield Finding("missing_parts", "warning", None, {"told_as": "unread_parts"})
    yield from _silent_end(results)


def _silent_end(results: Results) -> Iterator[Finding]:
    stretches, last = results.observation.usable, results.log.last
    until = stretches["end"].max()
    if last is not None and until is not None and last - until > LONG_END:  # type: ignore[operator]
        deaf = {"told_as": "deaf_end"} if results.observation.lacking.deaf.height else {}
        yield Finding("silent_end", "info", None, {"since_at": until, **deaf})


def about_phones(results: Results) -> Iterator[Finding]:
    """Yield what phones do beside being lost, and which of them nothing is known of."""
    phones = results.phones.filter(~pl.col("trunk") & ~pl.col("peer").is_in(unwatched(results.log)))
    silent = phones.filter(
        pl.col("probed").eq(False) | (pl.col("probed").is_null() & pl.col("ever_registered").eq(True))
    )
    if silent.height:
        sure = bool(silent["probed"].is_not_null().any())
        told = ("not_probed", "action") if sure else ("perhaps_not_probed", "warning")
        yield about_peers(*told, silent["peer"].to_list())
    if len(results.never):
        lines = of_kind(results.log.events, "registered", "unreachable")
        shown = evidence(lines.filter(pl.col("peer").is_in(results.never.implode())))
        yield about_peers("never_answers", "action", results.never.to_list(), probability=_NEVER, evidence=shown)
    yield from _refused(results)
    yield from _late(phones)
    yield from _while_lost(results)
    private = phones.filter(pl.col("site") == PRIVATE)["peer"].to_list()
    if private:
        yield about_peers("private_addresses", "info", private, PRIVATE)


def _refused(results: Results) -> Iterator[Finding]:
    rows = results.refusals
    if rows.is_empty():
        return
    blocked, peers = int(rows["authentication"].sum()), rows["peer"].unique(maintain_order=True).to_list()
    values = {
        "accounts": len(peers),
        "peers": peers,
        "refused": int(rows["refused"].sum()),
        "addresses": [address for address in rows["address"].unique(maintain_order=True) if address],
        "reason": rows["reason"][0],
        "authentication": blocked,
        "since_at": rows["first"].min(),
    }
    yield Finding("refused_registrations" if blocked else "refused_otherwise", "action", None, values)


def _late(phones: pl.DataFrame) -> Iterator[Finding]:
    late = phones.filter(pl.col("late") >= LEAST_LATE).sort("late", "peer", descending=[True, False])
    if late.height:
        values = {"answers": int(late["late"].sum()), "phones": late.height, "peers": late["peer"].to_list()}
        yield Finding("late_answers", "warning", None, values)


def _while_lost(results: Results) -> Iterator[Finding]:
    if {"unread", "reachable", "discarded"} & set(results.observation.lacking.missing):
        return  # the line that ended the loss may be among those missing
    others = results.intervals.with_columns(inside=results.inside, called=results.called).filter(
        ~pl.col("trunk") & ~pl.col("peer").is_in(results.never.implode())
    )
    kinds = (("registers_while_lost", "warning", "inside"), ("telephones_while_lost", "action", "called"))
    for name, severity, column in kinds:
        peers = others.filter(pl.col(column) > 0)["peer"]
        if len(peers):
            yield Finding(
                name, severity, None, {"losses": len(peers), "peers": peers.unique(maintain_order=True).to_list()}
            )
