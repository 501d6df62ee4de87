"""The diagnosis as JSON, exactly by the contract `starface-nb/check/1`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starface_nb.guide.findings import finding_text
from starface_nb.guide.i18n import translator

if TYPE_CHECKING:
    import polars as pl

    from starface_nb.analysis.diagnosis import Diagnosis

SCHEMA = "starface-nb/check/1"

_BRACKET = (
    "low_s", "high_s", "estimate_s", "level", "renewed_by", "cycles_expired", "cycles_survived", "cycles_excluded",
)  # fmt: skip


def as_json(diagnosis: Diagnosis, language: str = "en") -> dict[str, Any]:
    """Return the diagnosis as plain data ready for `json.dumps`.

    Times are ISO 8601 with the offset of the log's zone, durations seconds; null where there is none.
    """
    log, zone = diagnosis.log, ZoneInfo(diagnosis.log.time_zone)
    tr = translator(language, log.time_zone)
    settings = {name: getattr(diagnosis.settings, name) for name in diagnosis.settings.__dataclass_fields__}
    return {
        "schema": SCHEMA,
        "log": {
            "files": [file.name for file in log.files],
            "bytes": log.bytes,
            "lines": log.lines,
            "events": log.events.height,
            "unparsed": log.unparsed.height,
            "first": plain(log.first, zone),
            "last": plain(log.last, zone),
            "time_zone": log.time_zone,
            "notes": list(log.notes),
        },
        "settings": {**settings, "recommended_timeout_s": diagnosis.settings.recommended_timeout_s},
        "phones": [_row(row, zone) for row in diagnosis.phones.iter_rows(named=True)],
        "intervals": [_interval(row, zone) for row in diagnosis.intervals.iter_rows(named=True)],
        "sites": _sites(diagnosis, zone),
        "findings": [
            {"id": f.id, "severity": f.severity, "text": finding_text(f, tr), "site": f.site,
             **{k: plain(v, zone) for k, v in f.values.items() if k not in ("id", "severity", "text", "site")}}
            for f in diagnosis.findings
        ],
    }  # fmt: skip


def json_text(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the JSON document as text, one line per entry of a list."""
    document = as_json(diagnosis, language)
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            rows = ",\n  ".join(json.dumps(v, ensure_ascii=False) for v in value)
            parts.append(f"{json.dumps(key)}: [\n  {rows}]" if rows else f"{json.dumps(key)}: []")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{" + ",\n ".join(parts) + "}\n"


def plain(value: object, zone: ZoneInfo) -> object:
    """Return a value as JSON knows it."""
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, Mapping):
        return {str(k): plain(v, zone) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, zone) for v in value]
    return value


def _row(row: Mapping[str, object], zone: ZoneInfo) -> dict[str, object]:
    return {name: plain(value, zone) for name, value in row.items()}


def _interval(row: Mapping[str, object], zone: ZoneInfo) -> dict[str, object]:
    first = ("peer", "site", "start", "end", "seconds", "cause", "confidence")
    rest = ("tech", "trunk", "ended_by", "repeats", "file", "line", "end_file", "end_line")
    plainly = {name: plain(row[name], zone) for name in first}
    return {**plainly, "evidence": json.loads(str(row["evidence"])), **{name: row[name] for name in rest}}


def _sites(diagnosis: Diagnosis, zone: ZoneInfo) -> list[dict[str, object]]:
    sites = []
    for row in diagnosis.sites.iter_rows(named=True):
        eras = diagnosis.eras.filter(diagnosis.eras["site"] == row["site"])
        sites.append({
            "site": row["site"],
            "addresses": row["addresses"],
            "phones": row["phones"],
            "verdict": row["verdict"],
            "nat_timeout": {name: row[name] for name in _BRACKET},
            "probability_too_short": row["probability_too_short"],
            "recommended_timeout_s": row["recommended_timeout_s"],
            "changed_at": plain(row["changed_at"], zone),
            "eras": _eras(eras, zone),
        })  # fmt: skip
    return sites


def _eras(eras: pl.DataFrame, zone: ZoneInfo) -> list[dict[str, object]]:
    return [
        {
            "start": plain(row["start"], zone),
            "end": plain(row["end"], zone),
            "verdict": row["verdict"],
            "nat_timeout": {name: row[name] for name in _BRACKET},
            "probability_too_short": row["probability_too_short"],
        }
        for row in eras.iter_rows(named=True)
    ]
