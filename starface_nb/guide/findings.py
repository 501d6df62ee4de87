"""The sentence for each finding, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starface_nb.guide import data
from starface_nb.guide.causes import cause_name
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import bracket_text, names, site_name, timeout_text

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Finding


def finding_text(finding: Finding, tr: Translator) -> str:
    """Return what a finding says.

    Values are put in by their kind: names ending in `_s` are durations, times are shown in the log's zone, shares as
    percentages; `low_s` and `high_s` together are also `{bracket}`, and `set_s` is the timeout to enter. Names from the
    log are not escaped here: whoever shows the text does that.
    """
    entry = data.toml("findings.toml")["finding"].get(finding.id)
    if entry is None:
        return finding.id
    given: Mapping[str, Any] = finding.values
    values = {name: _said(name, value, tr) for name, value in given.items()}
    if "low_s" in given:
        values["bracket"] = bracket_text(given["low_s"], given.get("high_s"), tr)
    return tr(entry["text"], **values)


def _said(name: str, value: Any, tr: Translator) -> str:
    """Return one value in words."""
    match value:
        case None:
            return ""
        case datetime():
            return tr.time(value, "short")
        case {"low_s": low, "high_s": high}:
            return bracket_text(low, high, tr)
        case dict():
            return ", ".join(f"{cause_name(cause, tr)} ({tr.number(n)})" for cause, n in value.items())
        case list() | tuple():
            return names([str(one) for one in value], tr)
        case int() | float():
            return _number(name, value, tr)
    return site_name(str(value), tr) if name == "site" else str(value)


def _number(name: str, value: float, tr: Translator) -> str:
    if name == "set_s":
        return timeout_text(value, tr)
    if name.endswith("_s"):
        return tr.duration(value)
    return tr.percent(value) if name.startswith("probability") else tr.number(value, 1)
