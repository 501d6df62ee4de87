"""The report's tables as plain rows of words, ready for the template."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.causes import cause_advice, cause_meaning, cause_name, word
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import bracket_text, site_name

Row = dict[str, Any]
_MOST_ROWS, _FEWEST_PER_PHONE, _MOST_PHONES, _MOST_SITES = 200, 3, 60, 12
_SUREST = 0.9999  # an estimate is never certain
_NOT_WORTH_CUTTING = 3
_MOST_INCIDENTS = {"packet_loss": 3, "latency": 3}
# Losses of one fault of a whole site are noticed within one probe interval and its timeout.
_TOGETHER_US = 64_000_000


def site_rows(diagnosis: Diagnosis, tr: Translator) -> tuple[list[Row], int]:
    """Return one row per site, the worst first, and how many are left out."""
    sites = diagnosis.sites.sort(
        pl.col("verdict").to_physical(), pl.col("phones"), "site", descending=[False, True, False]
    )
    rows = []
    for site in sites.head(_MOST_SITES).to_dicts():
        peers = diagnosis.phones.filter((pl.col("site") == site["site"]) & ~pl.col("trunk"))["peer"]
        mine = diagnosis.intervals.filter(pl.col("peer").is_in(peers.implode()))
        rows.append(
            {
                "site": site_name(site["site"], tr),
                "phones": tr.number(site["phones"]),
                "losses": tr.number(mine.height),
                "nat": tr.number(mine.filter(pl.col("cause") == "nat_expiry").height),
                "bracket": _short_bracket(site["low_s"], site["high_s"], tr),
                "verdict": word("verdict", site["verdict"], tr),
                "tone": {"too_short": "bad", "no_expiry_seen": "good"}.get(site["verdict"], "open"),
                "sure": _sure(site, diagnosis.settings.keepalive_s, tr),
                "eras": _eras(diagnosis, site["site"], tr) if site["eras"] > 1 else [],
            }
        )
    return rows, max(0, sites.height - _MOST_SITES)


def _sure(site: Row, keepalive_s: float, tr: Translator) -> str:
    """How sure the verdict is; that no entry died is a fact, and sure of the timeout only where one lived that long."""
    too_short, lived = site["probability_too_short"], (site["low_s"] or 0.0) >= keepalive_s
    if too_short is None or not (site["verdict"] == "too_short" or (site["verdict"] == "no_expiry_seen" and lived)):
        return "-"
    return tr.percent(min(too_short if site["verdict"] == "too_short" else 1 - too_short, _SUREST), 1)


def _short_bracket(low_s: float | None, high_s: float | None, tr: Translator) -> str:
    if not low_s or high_s is None:
        return bracket_text(low_s, high_s, tr)
    return tr("{low} to {high}", low=tr.duration(low_s), high=tr.duration(high_s))


def _eras(diagnosis: Diagnosis, site: str, tr: Translator) -> list[str]:
    return [
        tr(
            "{start} to {end}: {bracket}, {verdict}",
            start=moment(era["start"], tr),
            end=moment(era["end"], tr),
            bracket=_short_bracket(era["low_s"], era["high_s"], tr),
            verdict=word("verdict", era["verdict"], tr),
        )
        for era in diagnosis.eras.filter(pl.col("site") == site).sort("era").to_dicts()
    ]


def phone_groups(diagnosis: Diagnosis, tr: Translator) -> tuple[list[Row], int]:
    """Return the phones that were lost, with their intervals, most losses first; and how many phones are left out.

    Long lists are cut: each phone shows its first intervals and says how many there are besides.
    """
    lost = diagnosis.phones.filter(pl.col("losses") > 0).sort("losses", "peer", descending=[True, False])
    shown = lost.head(_MOST_PHONES)
    cap = max(_FEWEST_PER_PHONE, _MOST_ROWS // max(1, shown.height))
    groups = []
    for phone in shown.to_dicts():
        mine = diagnosis.intervals.filter(pl.col("peer") == phone["peer"]).sort("start").to_dicts()
        causes = Counter(row["cause"] for row in mine)
        named = ", ".join(f"{cause_name(cause, tr)} {tr.number(n)}" for cause, n in causes.most_common())
        shown_here = mine if len(mine) <= cap + _NOT_WORTH_CUTTING else mine[:cap]
        more = len(mine) - len(shown_here)
        groups.append(
            {
                "peer": phone["peer"],
                "site": site_name(phone["site"], tr),
                "losses": tr.count("{n} loss", "{n} losses", len(mine)),
                "total": tr.duration(phone["unreachable_s"]),
                "causes": named,
                "rows": [_interval(row, tr) for row in shown_here],
                "more": tr("the first {shown} shown, and {more} more", shown=tr.number(cap), more=tr.number(more))
                if more > 0
                else "",
            }
        )
    return groups, lost.height - shown.height


def _interval(row: Row, tr: Translator) -> Row:
    return {
        "start": tr.time(row["start"]),
        "end": _until(row["start"], row["end"], tr),
        "duration": tr.duration(row["seconds"]) if row["seconds"] is not None else "-",
        "cause": cause_name(row["cause"], tr),
        "sure": tr.percent(row["confidence"]),
    }


def _until(start: datetime, end: datetime | None, tr: Translator) -> str:
    """The end of an interval; only its time of day where it ended on the day it began."""
    if end is None:
        return word("ended_by", "open", tr)
    zone = ZoneInfo(tr.time_zone)
    same = start.astimezone(zone).date() == end.astimezone(zone).date()
    return tr.time(end, "HH:mm:ss") if same else tr.time(end)


def moment(when: datetime, tr: Translator) -> str:
    """Return a moment to the minute, with the month as a word."""
    return tr.time(when, {"de": "d. MMM y, HH:mm"}.get(tr.language, "d MMM y, HH:mm"))


def other_causes(diagnosis: Diagnosis, tr: Translator) -> list[Row]:
    """Return what is not the NAT timeout: per cause its count, meaning, advice and when it happened."""
    others = diagnosis.intervals.filter(~pl.col("trunk") & (pl.col("cause") != "nat_expiry"))
    rows = []
    for cause, mine in sorted(others.group_by("cause"), key=lambda item: (-item[1].height, str(item[0][0]))):
        name = str(cause[0])
        when, more = _incidents(mine, _MOST_INCIDENTS.get(name, 6), tr)
        losses = tr.count("{n} loss", "{n} losses", mine.height)
        phones = tr.count("{n} phone", "{n} phones", mine["peer"].n_unique())
        rows.append(
            {
                "id": name,
                "name": cause_name(name, tr),
                "count": f"{losses}, {phones}",
                "meaning": cause_meaning(name, tr),
                "advice": cause_advice(name, tr),
                "when": when,
                "more": tr.count("and {n} more", "and {n} more", more) if more > 0 else "",
            }
        )
    return rows


def _incidents(mine: pl.DataFrame, most: int, tr: Translator) -> tuple[list[str], int]:
    """Losses that belong together, as sentences: when, how many phones, where."""
    gap = pl.col("start").diff().dt.total_microseconds().over("site").fill_null(_TOGETHER_US + 1) > _TOGETHER_US
    grouped = (
        mine.sort("site", "start", "peer")
        .with_columns(incident=gap.cum_sum())
        .group_by("incident")
        .agg(
            pl.col("start").min(), pl.col("site").first(), phones=pl.col("peer").n_unique(), peer=pl.col("peer").first()
        )
        .sort("phones", "start", "site", descending=[True, False, False])
    )
    said = []
    for row in grouped.head(most).sort("start", "site").to_dicts():
        who = row["peer"] if row["phones"] == 1 else tr.count("{n} phone", "{n} phones", row["phones"])
        said.append(f"{moment(row['start'], tr)} ({who}, {site_name(row['site'], tr)})")
    return said, grouped.height - most


def settings_rows(diagnosis: Diagnosis, versions: dict[str, str], tr: Translator) -> list[tuple[str, str]]:
    """Return settings, what was read and the versions used, as (name, value)."""
    log, settings = diagnosis.log, diagnosis.settings
    rows = [
        (tr("Lines read"), f"{tr.number(log.lines)} ({tr.number(log.bytes)} {tr('bytes')})"),
        (tr("Events found"), tr.number(log.events.height)),
        (tr("Time zone of the log"), log.time_zone),
        (tr("First line"), _time(log.first, tr)),
        (tr("Last line"), _time(log.last, tr)),
        (tr("Keepalive assumed"), tr.duration(settings.keepalive_s)),
        (tr("Probe interval assumed"), tr.duration(settings.probe_interval_s)),
        (tr("Confidence level of the brackets"), tr.percent(settings.level)),
    ]
    return rows + list(versions.items())


def _time(when: datetime | None, tr: Translator) -> str:
    return tr.time(when) if when else "-"
