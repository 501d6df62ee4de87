"""The report's tables and quoted lines as rows, ready for the template."""

from datetime import datetime
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.errors import StarfaceError
from starface_nb.frames import UTC_TIME
from starface_nb.guide import Translator, cause_name
from starface_nb.reading.log import Log
from starface_nb.report.masking import Mask
from starface_nb.text import visible

Row = dict[str, Any]
_MOST_LINES, _LONGEST = 6, 300
_SUREST = 0.9999  # an estimate is never certain


def site_rows(diagnosis: Diagnosis) -> list[Row]:
    """Return one row per site with its `losses` and those by `nat`, the worst first."""
    at = diagnosis.phones.filter(~pl.col("trunk")).select("peer", "site")
    lost = (
        diagnosis.intervals.select("peer", "cause")
        .join(at, on="peer")
        .group_by("site")
        .agg(losses=pl.len(), nat=(pl.col("cause") == "nat_expiry").sum())
    )
    sites = diagnosis.sites.join(lost, on="site", how="left").with_columns(pl.col("losses", "nat").fill_null(0))
    return sites.sort(pl.col("verdict").to_physical(), -pl.col("phones"), "site").to_dicts()


def how_sure(site: Row, keepalive_s: float, tr: Translator) -> str:
    """Return how sure the verdict is: of no expiry, and so of the timeout, only where an entry lived that long."""
    too_short, lived = site["probability_too_short"], (site["low_s"] or 0.0) >= keepalive_s
    if too_short is None or not (site["verdict"] == "too_short" or (site["verdict"] == "no_expiry_seen" and lived)):
        return "-"
    return tr.percent(min(too_short if site["verdict"] == "too_short" else 1 - too_short, _SUREST), 1)


def incident_rows(diagnosis: Diagnosis) -> list[Row]:
    """Return the incidents, most losses first; `seconds`: how long their phones were unreachable together."""
    ended = pl.coalesce("end", pl.lit(diagnosis.log.last, dtype=UTC_TIME))
    lasted = diagnosis.intervals.select(id=diagnosis.incident_of, seconds=(ended - pl.col("start")).dt.total_seconds())
    whole = lasted.group_by("id").agg(pl.col("seconds").sum())
    return diagnosis.incidents.join(whole, on="id", maintain_order="left").to_dicts()


def router_rows(diagnosis: Diagnosis) -> list[Row]:
    """Return what the routers' own logs tell of their lines, in time."""
    events = diagnosis.router.events.filter(~pl.col("kind").cast(pl.String).str.starts_with("state_"))
    near = diagnosis.log.first, diagnosis.log.last
    return events.filter(pl.col("time").is_between(*near)).to_dicts() if all(near) else []


def events_around(log: Log, loss: Row, until: datetime | None, before: int, most: int) -> list[Row]:
    """Return at most `most` of a phone's events from a loss until a time, or the log's end, and some `before` it."""
    mine = log.events.filter(pl.col("peer") == loss["peer"]).sort("time", maintain_order=True)
    during = mine.filter(pl.col("time").is_between(loss["start"], until or log.last)).head(most)
    return pl.concat([mine.filter(pl.col("time") < loss["start"]).tail(before), during]).to_dicts()


def evidence(shown: Diagnosis, found: Mask | None, tr: Translator) -> list[Row]:
    """Return for one loss of each cause the lines about that phone, from the last sign of life to the end.

    Only lines that were read as events are quoted: the others may hold calls of other people.

    Parameters
    ----------
    shown : Diagnosis
        Masked already, where it is to be masked.
    found : Mask or None
        Replaces names in the lines.
    tr : Translator
    """
    phones = shown.intervals.filter(~pl.col("trunk")).sort(
        "confidence", "start", "peer", descending=[True, False, False]
    )
    telling = phones.group_by("cause", maintain_order=True).head(1).sort("cause", "start", "peer")
    quoted = []
    for row in telling.to_dicts():
        events = events_around(shown.log, row, row["end"] or row["start"], 2, _MOST_LINES)
        if lines := [(event["line"], _text(shown.log, event, found)) for event in events]:
            quoted.append({"cause": cause_name(row["cause"], tr), "peer": row["peer"], "lines": lines})
    return quoted


def _text(log: Log, event: Row, found: Mask | None) -> str:
    try:
        (line,) = log.context(event, before=0, after=0).lines
    except (OSError, StarfaceError, ValueError):  # the log was moved since it was read: its place is still known
        return "…"
    return visible((found.line(line.text) if found else line.text).rstrip("\r\n"), _LONGEST)
