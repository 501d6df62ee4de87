"""The two readings of the keepalive, 60 minutes and 60 seconds, held against what the log shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starface_nb.guide import data
from starface_nb.guide.i18n import Translator
from starface_nb.guide.routers import MARGIN_S
from starface_nb.guide.words import names, site_name

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis


@dataclass(frozen=True)
class SiteReading:
    """What one reading makes of one site: `verdict` is `too_short`, `long_enough` or `undetermined`."""

    site: str
    verdict: str
    text: str


@dataclass(frozen=True)
class Reading:
    """One edition's keepalive, evaluated for every site; durations in seconds."""

    id: str
    keepalive_s: float
    set_s: float
    title: str
    text: str
    source: str
    url: str
    sites: tuple[SiteReading, ...]


@dataclass(frozen=True)
class Readings:
    """Both readings, whether they lead to different advice anywhere, and an explanation for each group of sites."""

    readings: tuple[Reading, ...]
    differ: bool
    explanations: tuple[str, ...]


def judge(low_s: float | None, high_s: float | None, keepalive_s: float) -> str:
    """Return whether a timeout in `(low_s, high_s]` is `too_short` for a keepalive, `long_enough` or `undetermined`."""
    if high_s is not None and high_s <= keepalive_s:
        return "too_short"
    if low_s is not None and low_s >= keepalive_s:
        return "long_enough"
    return "undetermined"


def keepalive_readings(diagnosis: Diagnosis, tr: Translator) -> Readings:
    """Evaluate both readings of the keepalive for every site and explain where they lead to different advice."""
    sites = diagnosis.sites.to_dicts()
    readings = tuple(_reading(raw, sites, tr) for raw in data.toml("limits.toml")["readings"])
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for i, site in enumerate(sites):
        groups.setdefault((readings[0].sites[i].verdict, readings[1].sites[i].verdict), []).append(site)
    return Readings(
        readings=readings,
        differ=any(minutes != seconds for minutes, seconds in groups),
        explanations=tuple(_explain(group, *verdicts, tr) for verdicts, group in groups.items()),
    )


def _reading(raw: dict[str, Any], sites: list[dict[str, Any]], tr: Translator) -> Reading:
    seconds = float(raw["keepalive_s"])
    judged = [(site["site"], judge(site["low_s"], site["high_s"], seconds)) for site in sites]
    return Reading(
        id=raw["id"],
        keepalive_s=seconds,
        set_s=seconds + MARGIN_S,
        title=tr(raw["title"]),
        text=tr(raw["text"]),
        source=raw["source"],
        url=raw["url"],
        sites=tuple(SiteReading(site_name(site, tr), verdict, verdict_text(verdict, tr)) for site, verdict in judged),
    )


def verdict_text(verdict: str, tr: Translator) -> str:
    """Return the word for a reading's verdict."""
    if verdict == "too_short":
        return tr("too short")
    return tr("long enough") if verdict == "long_enough" else tr("not decided by this log")


def _explain(group: list[dict[str, Any]], minutes: str, seconds: str, tr: Translator) -> str:
    sites = names([site_name(site["site"], tr) for site in group], tr)
    if minutes == seconds == "too_short":
        return tr("{sites}: the timeout is too short under both readings; the advice is the same.", sites=sites)
    if minutes == seconds == "long_enough":
        return tr("{sites}: the timeout is long enough under both readings.", sites=sites)
    if minutes == "too_short" and seconds == "long_enough":
        return tr(
            "{sites}: the timeout would be enough if the phones sent a keepalive every 60 seconds, but not for "
            "one every 60 minutes. The log shows entries that died at an age of more than {low}: for that long "
            "nothing renewed them, so keepalives of 60 seconds are not sent or do not renew the entry here. "
            "Therefore follow the 60 minutes. If you find out why the 60-second keepalives have no effect, a much "
            "shorter timeout is enough.",
            sites=sites,
            low=tr.duration(min(site["low_s"] for site in group)),
        )
    if seconds == "long_enough":
        return tr(
            "{sites}: the timeout is long enough for packets every 60 seconds, and the answers to the probes of the "
            "PBX come that often. Whether it would also last 60 minutes cannot be seen as long as something renews the "
            "entries.",
            sites=sites,
        )
    if minutes == "too_short":
        return tr(
            "{sites}: the timeout is too short for 60 minutes; whether it outlives 60 seconds this log does not "
            "decide.",
            sites=sites,
        )
    return tr("{sites}: the log does not bound the timeout well enough to decide between the readings.", sites=sites)
