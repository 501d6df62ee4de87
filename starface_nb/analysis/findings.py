"""What the analyst should know, as data: the guide turns each finding into a sentence."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from starface_nb.analysis.beside import unwatched
from starface_nb.analysis.diagnosis import Finding, about_peers, say
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.seen import evidence
from starface_nb.model.evidence import BY_PBX
from starface_nb.observations.addresses import PRIVATE, UNKNOWN
from starface_nb.observations.completeness import FORBID_ALL_CLEAR
from starface_nb.observations.intervals import of_kind
from starface_nb.reading.log import Log

SEVERITIES = ("action", "warning", "info")
MOSTLY_ONE, OFTEN = 0.7, 4
ENOUGH_CYCLES = 6
GUIDE_KEEPALIVE_S = 30.0
"""The guide's newer edition lowers the keepalive to this."""
CURED = "nat_expiry"
_NEVER = 0.9  # the rest: its probes are lost on the way, each of them
LEAST_LATE = 3
"""Late answers of a phone from which on they are told."""
A_DAY = timedelta(days=1)
LONG_END = timedelta(hours=1)
"""A log that shows no losses any more for this long before it ends is said to."""


def find_findings(results: Results) -> Iterator[Finding]:
    """Yield the findings on the log, its sites and its phones."""
    yield from _gone_sites(results)
    yield from _lacking(results)
    yield from _about_phones(results)
    yield from _about_the_log(results)
    for site in _main_sites(results):
        yield from _about_a_site(results, site)
    yield from _lost_peers(results)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order in which they are told: the most urgent first."""
    return tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity)))


def _main_sites(results: Results) -> list[dict[str, Any]]:
    """Return the sites once each: attached phones have a row, but no findings of their own."""
    rows = list(results.sites.iter_rows(named=True))
    elsewhere = results.attached_to is not None or not (set(results.eras["site"]) & {UNKNOWN})
    return [row for row in rows if not elsewhere or row["site"] != UNKNOWN]


# -- the log itself ----------------------------------------------------------------------------------------------------


def _lacking(results: Results) -> Iterator[Finding]:
    """Yield what the log as a whole lacks or is."""
    log, lacking = results.log, results.observation.lacking
    if results.given_keepalive_s is not None:
        measured = results.settings.keepalive_s
        yield say("keepalive_contradicted", "action", given_s=results.given_keepalive_s, measured_s=measured)
    missing = [name for name in lacking.missing if name in FORBID_ALL_CLEAR]
    if missing:
        yield say("incomplete_log", "action", missing=missing, lines=log.lines)
    if lacking.without_time:
        yield say("no_times", "warning", events=lacking.without_time, all_events=log.events.height)
    if log.order == "reversed":
        yield say("reversed_log", "info")
    if gaps := lacking.gaps.sort(pl.col("end") - pl.col("start")).rows():
        took, (begin, end) = sum((end - start).total_seconds() for start, end in gaps), gaps[-1]
        yield say("missing_parts", "warning", holes=len(gaps), all_s=took, from_at=begin, until_at=end)
    elif "rest" in lacking.missing:
        yield say("missing_parts", "warning", told_as="unread_parts")
    for begin, end in _silences(results)[-1:]:
        back = pl.col("end").is_null() | (pl.col("end") >= end)  # before a hole they are counted up to it
        if over := results.intervals.filter(pl.col("start") <= begin, back).height:
            yield say("silence", "info", from_at=begin, until_at=end, losses=over)
    until = results.observation.usable["end"].max()
    if log.last is not None and until is not None and log.last - until > LONG_END:  # type: ignore[operator]
        yield say("silent_end", "info", since_at=until, **{"told_as": "deaf_end"} if lacking.deaf.height else {})


def _silences(results: Results) -> list[tuple[datetime, datetime]]:
    """Return the silences of a day or longer, begin and end, the longest last."""
    pauses = [] if results.log.pauses is None else results.log.pauses.select("start", "end").rows()
    return sorted((one for one in pauses if one[1] - one[0] >= A_DAY), key=lambda one: one[1] - one[0])


def _about_the_log(results: Results) -> Iterator[Finding]:
    log, strangers = results.log, results.phones.filter(site=UNKNOWN, trunk=False).height
    if strangers and "registered" in results.observation.lacking.missing:
        yield say("no_registrations", "warning")
    elif strangers > 1 and any(row["site"] == UNKNOWN for row in _main_sites(results)):
        # They are judged by themselves: who knows behind how many routers.
        yield say("no_addresses", "warning", UNKNOWN, phones=strangers)
    if results.attached_to is not None and strangers:
        yield say("attached", "info", results.attached_to, phones=strangers)
    for site, phones in sorted(results.adopted.items()):
        yield say("adopted", "info", site, phones=phones)
    if log.unparsed.height:
        yield say("unparsed", "warning", lines=log.unparsed.height)
    for note in log.notes:
        yield say("note", "info", note=note)


def _gone_sites(results: Results) -> Iterator[Finding]:
    """Yield the sites most of whose phones, two at least, are gone for long when the log ends."""
    if not results.observation.lacking.more_would_tell:
        return  # their return may be among the lines that are missing
    silent = pl.lit(results.inside + results.called == 0)
    long = pl.lit(results.log.last) - pl.col("start") > LONG_END
    away = results.intervals.filter(silent, pl.col("end").is_null(), long)
    for site in _main_sites(results):
        gone, phones = (frame.filter(results.at(site["site"])) for frame in (away, results.phones))
        phones = phones.filter((pl.col("observed_s") > 0) | (pl.col("losses") > 0))
        if 2 * gone.height > max(phones.height, 2):
            since: Any = gone["start"].max()
            told = {"told_as": "site_silent"} if any(end > since for _, end in _silences(results)) else {}
            more = {"all_phones": phones.height, "since_at": since, **told}
            yield from about_peers("site_gone", "action", gone["peer"].to_list(), site["site"], **more)


# -- a site ------------------------------------------------------------------------------------------------------------


def _about_a_site(results: Results, site: Mapping[str, Any]) -> Iterator[Finding]:
    losses = results.intervals.filter(results.at(site["site"]))
    if site["site"] != PRIVATE:
        yield from _timeout(results, site, losses)
        yield from _changes(results, site)
    yield from _blocked(site, losses)
    bad = _bad_phone(results, losses)
    if bad is not None and _observed(results, site).filter(pl.col("peer") != bad["peer"]).height:
        yield say("one_bad_phone", "action", site["site"], **bad)
    other = losses.filter(~pl.col("cause").is_in([CURED, "unknown"]))
    if other.height:
        beside = "not_cured" if site["verdict"] == "too_short" else "other_causes"
        counts = other["cause"].cast(pl.String).value_counts().sort("count", "cause", descending=[True, False])
        yield say(beside, "warning", site["site"], losses=other.height, causes=dict(counts.iter_rows()))
    unknown = losses.filter((pl.col("cause") == "unknown") & ~BY_PBX).height
    if unknown:
        yield say("undecided", "info", site["site"], losses=unknown)


def hours_missing(cycles: int, phones: int, log: Log, keepalive_s: float) -> float | None:
    """Return how many more hours would hold enough cycles; None where as much again as there is would not.

    A log too short to show how many it holds is taken to hold one for each keepalive of a phone.
    """
    hour, lack = keepalive_s / 3600.0, ENOUGH_CYCLES - cycles
    seen = (log.last - log.first) / timedelta(hours=1) if log.first and log.last else 0.0
    if lack > 0 and seen < max(ENOUGH_CYCLES / max(phones, 1), 2) * hour:
        return lack * hour / max(phones, 1)
    return lack * seen / cycles if 0 < lack <= cycles else None


def tries_keepalive(losses: pl.DataFrame, keepalive_s: float) -> bool:
    """Say whether it would tell something to lower the keepalive of a phone that is lost."""
    return losses.height > 0 and keepalive_s > GUIDE_KEEPALIVE_S


def _timeout(results: Results, site: Mapping[str, Any], losses: pl.DataFrame) -> Iterator[Finding]:
    name, settings = site["site"], results.settings
    values = {"low_s": site["low_s"], "high_s": site["high_s"], "probability": site["probability_too_short"]}
    values |= {"set_s": site["recommended_timeout_s"], "keepalive_s": settings.keepalive_s}
    values |= {"probe_s": settings.probe_interval_s, "losses": losses.filter(pl.col("cause") == CURED).height}
    values |= {"all_losses": losses.height, "phones": site["phones"]}
    if site["verdict"] == "too_short":
        short = (site["high_s"] or 0.0) <= settings.probe_interval_s + 1
        yield say("nat_below_probe" if short else "nat_too_short", "action", name, **values)
    elif site["verdict"] == "undetermined":
        have = site["cycles_survived"] + site["cycles_expired"]
        hours = hours_missing(have, site["phones"], results.log, settings.keepalive_s)
        values |= {"more_s": None if hours is None else max(round(hours * 3600), 1800), "cycles": have}
        if results.observation.lacking.silence_tells:
            otherwise = "apart" if tries_keepalive(losses, settings.keepalive_s) else "read"
            told = "cannot_tell" if hours is not None else f"cannot_tell_{otherwise}"
            told = told if _observed(results, site).height else "nothing_observed"
            yield say(told, "warning" if losses.height else "info", name, **values)
    elif site["renewed_by"] == "any_packet":
        yield say("any_packet", "info", name, **values)
    elif site["eras"] == 1:
        # The silence that at least two bindings outlived, if only a REGISTER renews them.
        survived = results.cycles.filter(site=name, outcome="survived")["lower_s"].top_k(2)
        yield say("no_expiry_seen", "info", name, **values, outlived_s=survived.min() if len(survived) > 1 else 0.0)


def _observed(results: Results, site: Mapping[str, Any]) -> pl.DataFrame:
    """Return the site's phones of which silence would tell something."""
    return results.phones.filter(results.at(site["site"]) & (pl.col("observed_s") > 0))


def _changes(results: Results, site: Mapping[str, Any]) -> Iterator[Finding]:
    eras = results.eras.filter(pl.col("site") == site["site"]).sort("era").to_dicts()
    for before, after in pairwise(eras):
        if after["start"] < before["end"]:  # two groups of phones of unknown address
            continue
        fixed = before["verdict"] == "too_short" and after["verdict"] == "no_expiry_seen"
        old, new = ({name: era[name] for name in ("low_s", "high_s")} for era in (before, after))
        values = {"changed_at": after["start"], "before": old, "after": new, **old}
        yield say("timeout_fixed" if fixed else "timeout_changed", "info", site["site"], **values)


def _blocked(site: Mapping[str, Any], losses: pl.DataFrame) -> Iterator[Finding]:
    blocked = losses.filter(pl.col("cause") == "blacklisted")
    if blocked.height:
        phones, since = blocked["peer"].n_unique(), blocked["start"].min()
        yield say("blacklisted", "action", site["site"], phones=phones, since_at=since)


def _bad_phone(results: Results, losses: pl.DataFrame) -> dict[str, object] | None:
    """Return the phone that has most of the site's losses by its own fault, if there is one."""
    own = losses.filter(pl.col("cause").is_in(["phone_restart", "phone_offline"]))
    often = own.group_by("peer").len("losses").filter(pl.col("losses") >= max(OFTEN, MOSTLY_ONE * own.height))
    bad = often.join(results.phones.select("peer", "unreachable_s"), on="peer").to_dicts()
    return bad[0] if bad else None


# -- single peers ------------------------------------------------------------------------------------------------------


def _about_phones(results: Results) -> Iterator[Finding]:
    """Yield what phones do beside being lost, and which of them nothing is known of."""
    phones = results.phones.filter(~pl.col("trunk") & ~pl.col("peer").is_in(unwatched(results.log)))
    silent = phones.filter(
        pl.col("probed").eq(False) | (pl.col("probed").is_null() & pl.col("ever_registered").eq(True))
    )
    sure = silent["probed"].is_not_null().any()
    told = ("not_probed", "action") if sure else ("perhaps_not_probed", "warning")
    yield from about_peers(*told, silent["peer"].to_list())
    if len(results.never):
        lines = of_kind(results.log.events, "registered", "unreachable")
        shown = evidence(lines.filter(pl.col("peer").is_in(results.never.implode())))
        yield from about_peers("never_answers", "action", results.never.to_list(), probability=_NEVER, evidence=shown)
    yield from _refused(results)
    late = phones.filter(pl.col("late") >= LEAST_LATE).sort("late", "peer", descending=[True, False])
    if late.height:
        answers, peers = int(late["late"].sum()), late["peer"].to_list()
        yield say("late_answers", "warning", answers=answers, phones=late.height, peers=peers)
    yield from _while_lost(results)
    yield from about_peers("private_addresses", "info", phones.filter(site=PRIVATE)["peer"].to_list(), PRIVATE)


def _refused(results: Results) -> Iterator[Finding]:
    rows = results.refusals
    if rows.is_empty():
        return
    blocked, peers = int(rows["authentication"].sum()), rows["peer"].unique(maintain_order=True).to_list()
    values: dict[str, Any] = {"accounts": len(peers), "peers": peers, "refused": int(rows["refused"].sum())}
    values |= {"addresses": [address for address in rows["address"].unique(maintain_order=True) if address]}
    values |= {"reason": rows["reason"][0], "authentication": blocked, "since_at": rows["first"].min()}
    yield say("refused_registrations" if blocked else "refused_otherwise", "action", **values)


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
            yield say(name, severity, losses=len(peers), peers=peers.unique(maintain_order=True).to_list())


def _lost_peers(results: Results) -> Iterator[Finding]:
    for row in results.phones.filter(pl.col("trunk") & (pl.col("losses") > 0)).iter_rows(named=True):
        yield say("trunk_down", "warning", **{name: row[name] for name in ("peer", "losses", "unreachable_s")})
    open_yet = results.intervals.filter(pl.col("end").is_null())["peer"].implode()
    absent = results.phones.filter(pl.col("peer").is_in(open_yet), status="unreachable", trunk=False)["peer"]
    yield from about_peers("still_unreachable", "info", absent.to_list())
