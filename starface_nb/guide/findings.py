"""The sentence for each finding, in the reader's language."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from starface_nb.guide import data
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import bracket_text, names, timeout_text

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Finding


def finding_text(finding: Finding, tr: Translator) -> str:
    """Return what a finding says.

    Values are put in by their name's ending: `_s` a duration, `_at` a time, `probability` a percentage; `low_s` and
    `high_s` together are also `{bracket}`, `set_s` is the timeout to enter.
    """
    entry = data.toml("findings.toml")["finding"].get(finding.id)
    if entry is None:
        return finding.id
    values = {name: _word(name, value, tr) for name, value in finding.values.items()}
    if "low_s" in finding.values:
        low, high = finding.values["low_s"], finding.values.get("high_s")
        values["bracket"] = bracket_text(_number(low), None if high is None else _number(high), tr)
    text = tr(entry["text"], **values)
    return text


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _word(name: str, value: object, tr: Translator) -> str:
    if isinstance(value, datetime):
        return tr.time(value, "short")
    if isinstance(value, list | tuple):
        return names([str(v) for v in value], tr)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if name == "set_s":
        return timeout_text(value, tr)
    if name.endswith("_s"):
        return tr.duration(value)
    if name.startswith(("probability", "share")):
        return tr.percent(value)
    return tr.number(value, 1)
