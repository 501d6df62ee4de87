"""What the analyst should know, as data: the guide turns each finding into a sentence."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Finding, about_peers
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.shown import LONG_END, about_phones, about_the_log
from starface_nb.observations.addresses import PRIVATE, UNKNOWN

SEVERITIES = ("action", "warning", "info")
MOSTLY_ONE, OFTEN = 0.7, 4
ENOUGH_CYCLES = 6
CURED = "nat_expiry"


def find_findings(results: Results) -> Iterator[Finding]:
    """Yield the findings on the log, its sites and its phones."""
    yield from _gone_sites(results)
    yield from about_the_log(results)
    yield from about_phones(results)
    yield from _about_the_log(results)
    for site in _main_sites(results):
        yield from _about_a_site(results, site)
    yield from _about_trunks(results)
    yield from _about_absent_phones(results)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order in which they are told: the most urgent first."""
    return tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity)))


def _main_sites(results: Results) -> list[dict[str, Any]]:
    """Return the sites once each: attached phones have a row, but no findings of their own."""
    rows = list(results.sites.iter_rows(named=True))
    elsewhere = results.attached_to is not None or not (set(results.eras["site"]) & {UNKNOWN})
    return [row for row in rows if not elsewhere or row["site"] != UNKNOWN]


# -- the log itself ----------------------------------------------------------------------------------------------------


def _about_the_log(results: Results) -> Iterator[Finding]:
    log = results.log
    if "registered" in results.observation.lacking.missing and results.intervals.height + results.phones.height:
        yield Finding("no_registrations", "warning")
    elif (strangers := _strangers(results)) > 1:
        yield Finding("no_addresses", "warning", UNKNOWN, {"phones": strangers})
    if results.attached_to is not None:
        attached = results.phones.filter((pl.col("site") == UNKNOWN) & ~pl.col("trunk")).height
        if attached:
            yield Finding("attached", "info", results.attached_to, {"phones": attached, "site": results.attached_to})
    for site, phones in sorted(results.adopted.items()):
        yield Finding("adopted", "info", site, {"phones": phones, "site": site})
    if log.unparsed.height:
        yield Finding("unparsed", "warning", None, {"lines": log.unparsed.height})
    for note in log.notes:
        yield Finding("note", "info", None, {"note": note})


def _strangers(results: Results) -> int:
    """Return how many phones without an address are judged by themselves: who knows behind how many routers."""
    if all(row["site"] != UNKNOWN for row in _main_sites(results)):
        return 0
    return results.phones.filter(site=UNKNOWN, trunk=False).height


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
            values = {"site": site["site"], "phones": gone.height, "peers": gone["peer"].to_list()}
            values |= {"all_phones": phones.height, "since_at": gone["start"].max()}
            yield Finding("site_gone", "action", site["site"], values)


# -- a site ------------------------------------------------------------------------------------------------------------


def _about_a_site(results: Results, site: Mapping[str, Any]) -> Iterator[Finding]:
    losses = results.intervals.filter(results.at(site["site"]))
    if site["site"] != PRIVATE:
        yield from _timeout(results, site, losses)
        yield from _changes(results, site)
    yield from _blocked(site, losses)
    bad = _bad_phone(results, losses)
    if bad is not None and _observed(results, site).filter(pl.col("peer") != bad["peer"]).height:
        yield Finding("one_bad_phone", "action", site["site"], bad)
    other = losses.filter(~pl.col("cause").is_in([CURED, "unknown"]))
    if other.height:
        beside = "not_cured" if site["verdict"] == "too_short" else "other_causes"
        yield Finding(beside, "warning", site["site"], {"site": site["site"], **_tally(other)})
    unknown = losses.filter(pl.col("cause") == "unknown").height
    if unknown:
        yield Finding("undecided", "info", site["site"], {"site": site["site"], "losses": unknown})


def _timeout(results: Results, site: Mapping[str, Any], losses: pl.DataFrame) -> Iterator[Finding]:
    name, settings = site["site"], results.settings
    values: dict[str, object] = {
        "site": name,
        "low_s": site["low_s"],
        "high_s": site["high_s"],
        "probability": site["probability_too_short"],
        "set_s": site["recommended_timeout_s"],
        "keepalive_s": settings.keepalive_s,
        "probe_s": settings.probe_interval_s,
        "losses": losses.filter(pl.col("cause") == CURED).height,
        "all_losses": losses.height,
        "phones": site["phones"],
    }
    if site["verdict"] == "too_short":
        short = (site["high_s"] or 0.0) <= settings.probe_interval_s + 1
        yield Finding("nat_below_probe" if short else "nat_too_short", "action", name, values)
    elif site["verdict"] == "undetermined":
        have = site["cycles_survived"] + site["cycles_expired"]
        hours = max(ENOUGH_CYCLES - have, 1) * settings.keepalive_s / 3600 / max(site["phones"], 1)
        values |= {"more_s": max(round(hours * 3600), 1800), "cycles": have}
        if results.observation.lacking.silence_tells:
            told = "cannot_tell" if have < ENOUGH_CYCLES else "cannot_tell_apart"
            told = told if _observed(results, site).height else "nothing_observed"
            yield Finding(told, "warning" if losses.height else "info", name, values)
    elif site["renewed_by"] == "any_packet":
        yield Finding("any_packet", "info", name, values)
    elif site["eras"] == 1:
        yield Finding("no_expiry_seen", "info", name, {**values, "outlived_s": _outlived(results, name)})


def _observed(results: Results, site: Mapping[str, Any]) -> pl.DataFrame:
    """Return the site's phones of which silence would tell something."""
    return results.phones.filter(results.at(site["site"]) & (pl.col("observed_s") > 0))


def _outlived(results: Results, site: str) -> float:
    """Return the silence that at least two bindings outlived, if only a REGISTER renews them."""
    survived = results.cycles.filter((pl.col("site") == site) & (pl.col("outcome") == "survived"))["lower_s"]
    return float(survived.top_k(2).min() or 0.0) if len(survived) > 1 else 0.0  # type: ignore[arg-type]


def _changes(results: Results, site: Mapping[str, Any]) -> Iterator[Finding]:
    eras = results.eras.filter(pl.col("site") == site["site"]).sort("era").to_dicts()
    for before, after in pairwise(eras):
        if after["start"] < before["end"]:  # two groups of phones of unknown address
            continue
        fixed = before["verdict"] == "too_short" and after["verdict"] == "no_expiry_seen"
        old, new = ({name: era[name] for name in ("low_s", "high_s")} for era in (before, after))
        values = {"site": site["site"], "changed_at": after["start"], "before": old, "after": new, **old}
        yield Finding("timeout_fixed" if fixed else "timeout_changed", "info", site["site"], values)


def _blocked(site: Mapping[str, Any], losses: pl.DataFrame) -> Iterator[Finding]:
    blocked = losses.filter(pl.col("cause") == "blacklisted")
    if blocked.height:
        values = {"site": site["site"], "phones": blocked["peer"].n_unique(), "since_at": blocked["start"].min()}
        yield Finding("blacklisted", "action", site["site"], values)


def _bad_phone(results: Results, losses: pl.DataFrame) -> dict[str, object] | None:
    """Return the phone that has most of the site's losses by its own fault, if there is one."""
    own = losses.filter(pl.col("cause").is_in(["phone_restart", "phone_offline"]))
    if own.height < OFTEN:
        return None
    worst = own.group_by("peer").len().sort("len", "peer", descending=[True, False]).row(0)
    if worst[1] < max(OFTEN, MOSTLY_ONE * own.height):
        return None
    lost = results.phones.filter(pl.col("peer") == worst[0])["unreachable_s"].item()
    return {"peer": worst[0], "losses": worst[1], "unreachable_s": lost}


def _tally(losses: pl.DataFrame) -> dict[str, object]:
    counts = losses["cause"].cast(pl.String).value_counts().sort("count", "cause", descending=[True, False])
    return {"losses": losses.height, "causes": dict(counts.iter_rows())}


# -- single peers ------------------------------------------------------------------------------------------------------


def _about_trunks(results: Results) -> Iterator[Finding]:
    for row in results.phones.filter(pl.col("trunk") & (pl.col("losses") > 0)).iter_rows(named=True):
        values = {"peer": row["peer"], "losses": row["losses"], "unreachable_s": row["unreachable_s"]}
        yield Finding("trunk_down", "warning", None, values)


def _about_absent_phones(results: Results) -> Iterator[Finding]:
    absent = results.phones.filter((pl.col("status") == "unreachable") & ~pl.col("trunk"))["peer"].to_list()
    if absent:
        yield about_peers("still_unreachable", "info", absent)
