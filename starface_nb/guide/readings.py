"""The two readings of the keepalive, 60 minutes and 60 seconds, held against the log."""

from dataclasses import dataclass
from typing import Any

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.i18n import Translator
from starface_nb.guide.routers import MARGIN_S
from starface_nb.guide.words import names, site_name, word
from starface_nb.tables import table


@dataclass(frozen=True)
class Reading:
    """One edition's keepalive and the timeout it asks for, seconds; `sites` holds (name, verdict) by the diagnosis.

    A verdict is `too_short`, `long_enough` or `undetermined`.
    """

    keepalive_s: float
    set_s: float
    title: str
    sites: tuple[tuple[str, str], ...]


def judge(low_s: float | None, high_s: float | None, keepalive_s: float) -> str:
    """Return whether a timeout in `(low_s, high_s]` is `too_short` for a keepalive, `long_enough` or `undetermined`."""
    if high_s is not None and high_s <= keepalive_s:
        return "too_short"
    if low_s is not None and low_s >= keepalive_s:
        return "long_enough"
    return "undetermined"


def keepalive_readings(diagnosis: Diagnosis, tr: Translator) -> tuple[tuple[Reading, ...], tuple[str, ...]]:
    """Return both readings, each with its verdict on every site, and an explanation for each group of sites."""
    sites = diagnosis.sites.to_dicts()
    readings = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for raw in table("guide/limits")["readings"]:
        seconds = float(raw["keepalive_s"])
        judged = tuple((site_name(s["site"], tr), judge(s["low_s"], s["high_s"], seconds)) for s in sites)
        readings.append(Reading(seconds, seconds + MARGIN_S, tr(raw["title"]), judged))
    for row, site in enumerate(sites):
        groups.setdefault("_".join(reading.sites[row][1] for reading in readings), []).append(site)
    return tuple(readings), tuple(_explained(verdicts, group, tr) for verdicts, group in groups.items())


def _explained(verdicts: str, group: list[dict[str, Any]], tr: Translator) -> str:
    sites = names([site_name(site["site"], tr) for site in group], tr)
    return word("readings", verdicts, tr, sites=sites, low=tr.duration(min(site["low_s"] or 0.0 for site in group)))
