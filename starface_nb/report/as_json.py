"""The diagnosis as JSON, exactly by the contract `starface-nb/check/1`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starface_nb.analysis.experiment import what_next
from starface_nb.guide import finding_text, translator

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis, Finding

_BRACKET = ("low_s", "high_s", "estimate_s", "level", "renewed_by",
            "cycles_expired", "cycles_survived", "cycles_excluded")  # fmt: skip
_INTERVAL = ("peer", "site", "start", "end", "seconds", "cause", "confidence", "evidence",
             "tech", "trunk", "ended_by", "repeats", "file", "line", "end_file", "end_line")  # fmt: skip


def json_text(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the JSON document as text, one line per entry of a list.

    Times are ISO 8601 with the offset of the log's zone, durations seconds; null where there is none.
    """
    zone = ZoneInfo(diagnosis.log.time_zone)

    def plain(value: object) -> str:
        assert isinstance(value, datetime)  # noqa: S101  everything else JSON knows itself
        return value.astimezone(zone).isoformat()

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, default=plain)

    parts = []
    for key, value in _document(diagnosis, language).items():
        rows = ",\n  ".join(map(text, value)) if isinstance(value, list) else ""
        parts.append(f"{text(key)}: [\n  {rows}]" if rows else f"{text(key)}: {text(value)}")
    return "{" + ",\n ".join(parts) + "}\n"


def _document(diagnosis: Diagnosis, language: str) -> dict[str, Any]:
    log = diagnosis.log
    tr = translator(language, log.time_zone)
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
        },
        "settings": asdict(diagnosis.settings) | {"recommended_timeout_s": diagnosis.settings.recommended_timeout_s},
        "phones": diagnosis.phones.to_dicts(),
        "intervals": [
            row | {"evidence": json.loads(row["evidence"])} for row in diagnosis.intervals.select(_INTERVAL).to_dicts()
        ],
        "sites": [_site(row, diagnosis) for row in diagnosis.sites.to_dicts()],
        "findings": [_finding(finding, finding_text(finding, tr)) for finding in diagnosis.findings],
        "what_next": asdict(what_next(diagnosis)) if diagnosis.sites.height else None,
    }


def _finding(finding: Finding, text: str) -> dict[str, Any]:
    own = {"id": finding.id, "severity": finding.severity, "text": text, "site": finding.site}
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
