"""The verdict on a log: as JSON by the contract `starface-nb/check/1`, and as plain text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.analysis.beside import document
from starface_nb.analysis.calls import cost
from starface_nb.analysis.experiment import what_next
from starface_nb.guide import cause_name, finding_text, translator, word
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.words import incident_text, names, regular, site_bracket, site_name, why
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis, Finding
    from starface_nb.guide import Translator

_BRACKET = ("low_s", "high_s", "estimate_s", "level", "renewed_by",
            "cycles_expired", "cycles_survived", "cycles_excluded")  # fmt: skip
_INTERVAL = ("peer", "site", "start", "end", "seconds", "cause", "confidence", "evidence",
             "tech", "trunk", "ended_by", "repeats", "file", "line", "end_file", "end_line")  # fmt: skip
MOST_PHONES = 12
_MARKS = {"action": "!", "warning": "*", "info": "-"}


def json_text(diagnosis: Diagnosis) -> str:
    """Return the JSON document as text, one line per entry of a list.

    Times are ISO 8601 with the offset of the log's zone, durations seconds; null where there is none. `router` holds
    what the routers' own logs say: `logs` (member, product, site, first, last, events, `clock`: `offset_s` to add,
    `how` it was found, `agree` of `of` outages in both) and `events` (time, kind, address, site, incident, source); a
    loss that one explains has it in its `evidence.router` (`says`, `by_the_log`, `from`, `to`, `sources`).
    """
    zone = ZoneInfo(diagnosis.log.time_zone)

    def plain(value: object) -> str:
        assert isinstance(value, datetime)  # noqa: S101  everything else JSON knows itself
        return value.astimezone(zone).isoformat()

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, default=plain)

    parts = []
    for key, value in _document(diagnosis).items():
        rows = ",\n  ".join(map(text, value)) if isinstance(value, list) else ""
        parts.append(f"{text(key)}: [\n  {rows}]" if rows else f"{text(key)}: {text(value)}")
    return "{" + ",\n ".join(parts) + "}\n"


def _document(diagnosis: Diagnosis) -> dict[str, Any]:
    log, router, tr = diagnosis.log, diagnosis.router, translator(time_zone=diagnosis.log.time_zone)
    routers = {"logs": [asdict(one) for one in router.logs], "events": router.events.to_dicts()}
    struck = diagnosis.intervals.with_columns(diagnosis.incident_of.alias("incident"))
    return {
        "schema": "starface-nb/check/1",
        "log": {
            "files": [file.name for file in log.files],
            "bytes": log.bytes,
            "lines": log.lines,
            "events": log.events.height,
            "unparsed": log.unparsed.height,
            "first": log.first,
            "last": log.last,
            "time_zone": log.time_zone,
            "notes": list(log.notes),
            "complete": diagnosis.observation.lacking.complete,
            "missing": list(diagnosis.observation.lacking.missing),
            "order": log.order,
        },
        "settings": asdict(diagnosis.settings) | {"recommended_timeout_s": diagnosis.settings.recommended_timeout_s},
        "phones": diagnosis.phones.to_dicts(),
        "intervals": [_interval(row, tr) for row in struck.select(*_INTERVAL, "incident").to_dicts()],
        "incidents": [row | {"text": incident_text(row, tr)} for row in diagnosis.incidents.to_dicts()],
        "sites": [_site(row, diagnosis) for row in diagnosis.sites.to_dicts()],
        "calls_lost": cost(diagnosis.calls_lost, struck),
        "bundle": document(log.bundle, diagnosis.sources) if log.bundle else None,
        "router": routers if router.logs else None,
        "findings": [_finding(finding, finding_text(finding, tr)) for finding in diagnosis.findings],
        "what_next": asdict(what_next(diagnosis)) if diagnosis.sites.height else None,
    }


def _interval(row: dict[str, Any], tr: Translator) -> dict[str, Any]:
    evidence = json.loads(row["evidence"])
    return row | {"evidence": evidence, "why": why(row["cause"], evidence, tr)}


def _finding(finding: Finding, text: str) -> dict[str, Any]:
    own: dict[str, Any] = {"id": finding.id, "severity": finding.severity, "text": text, "site": finding.site}
    if "probability" in finding.values:
        own["confidence"] = finding.values["probability"]
    return own | dict(finding.values) | own


def _site(row: Mapping[str, Any], diagnosis: Diagnosis) -> dict[str, Any]:
    eras = diagnosis.eras.filter(diagnosis.eras["site"] == row["site"]).to_dicts()
    return {
        **{name: row[name] for name in ("site", "addresses", "phones")},
        **_verdict(row),
        **{name: row[name] for name in ("recommended_timeout_s", "changed_at")},
        "eras": [{"start": era["start"], "end": era["end"], **_verdict(era)} for era in eras],
    }


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "verdict": row["verdict"],
        "nat_timeout": {name: row[name] for name in _BRACKET},
        "probability_too_short": row["probability_too_short"],
    }


def summary(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the readable summary of a diagnosis."""
    tr = translator(language, diagnosis.log.time_zone)
    phones, losses = (frame.filter(~pl.col("trunk")) for frame in (diagnosis.phones, diagnosis.intervals))
    sites = [(tr("site"), tr("phones"), tr("verdict"), tr("NAT timeout"))]
    for row in diagnosis.sites.sort(pl.col("verdict").to_physical(), "site").iter_rows(named=True):
        verdict, bracket = word("verdict", row["verdict"], tr), site_bracket(row, tr)
        sites.append((site_name(row["site"], tr), tr.number(row["phones"]), verdict, bracket))
    counts = losses["cause"].value_counts(name="n").sort("n", "cause", descending=[True, False])
    causes = [(tr("cause"), tr("losses")), *((cause_name(cause, tr), tr.number(n)) for cause, n in counts.iter_rows())]
    worst = phones.filter(pl.col("losses") > 0).sort("unreachable_s", "peer", descending=[True, False])
    lost = [(tr("phone"), tr("site"), tr("losses"), tr("unreachable for"))]
    for peer, site, n, away in worst.head(MOST_PHONES).select("peer", "site", "losses", "unreachable_s").iter_rows():
        lost.append((peer, site_name(site, tr), tr.number(n), tr.duration(away)))
    tables = [_aligned(rows) for rows in (sites, causes, lost) if len(rows) > 1]
    if worst.height > MOST_PHONES:
        more = worst.height - MOST_PHONES
        tables[-1].append(tr.count("and {n} more phone", "and {n} more phones", more))
    findings = [f"{_MARKS[found.severity]} {finding_text(found, tr)}" for found in diagnosis.findings]
    findings += [f"{_MARKS['warning']} {text}" for text in regular(diagnosis, tr)]
    # what each outcome would mean is for who tries it: report, notebook
    experiment = next_experiment(diagnosis, tr)[:1]
    if experiment:
        wish = tr("If the timeout is to be known more exactly")
        experiment.insert(0, tr("{name}: {text}", name=wish, text="").rstrip())
    parts = [_head(diagnosis, tr), findings, *tables, experiment]
    return "\n".join("".join(f"{visible(line)}\n" for line in part) for part in parts if part)


def _head(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    """Return what was read, in two lines: files, and span with counts."""
    log, span = diagnosis.log, tr("no times")
    if log.first and log.last:
        length = tr.duration((log.last - log.first).total_seconds())
        first, last = tr.time(log.first), tr.time(log.last)
        span = tr("{first} to {last} ({length}, {zone})", first=first, last=last, length=length, zone=log.time_zone)
    counts = (
        tr.count("{n} line", "{n} lines", log.lines),
        tr.count("{n} event", "{n} events", log.events.height),
        tr.count("{n} phone", "{n} phones", diagnosis.phones.filter(~pl.col("trunk")).height),
        tr.count("{n} loss", "{n} losses", diagnosis.intervals.filter(~pl.col("trunk")).height),
    )
    return [names([file.name for file in log.files], tr, 3), f"{span}: {', '.join(counts)}"]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows, their heads first, as aligned lines."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in shown]
