"""The sentence for each finding, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

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
    values = {name: _word(name, value, tr) for name, value in finding.values.items()}
    if "low_s" in finding.values:
        values["bracket"] = _bracket(finding.values, tr)
    return tr(entry["text"], **values)


def _bracket(values: Mapping[str, object], tr: Translator) -> str:
    low, high = values.get("low_s"), values.get("high_s")
    return bracket_text(
        float(low) if isinstance(low, int | float) else None, float(high) if isinstance(high, int | float) else None, tr
    )


def _word(name: str, value: object, tr: Translator) -> str:
    if isinstance(value, datetime):
        return tr.time(value, "short")
    if isinstance(value, Mapping):
        if "low_s" in value:
            return _bracket(value, tr)
        return ", ".join(f"{cause_name(str(k), tr)} ({tr.number(float(v))})" for k, v in value.items())
    if isinstance(value, list | tuple):
        return names([str(v) for v in value], tr)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(name, value, tr)
    return site_name(str(value), tr) if name == "site" else "" if value is None else str(value)


def _number(name: str, value: float, tr: Translator) -> str:
    if name == "set_s":
        return timeout_text(value, tr)
    if name.endswith("_s"):
        return tr.duration(value)
    return tr.percent(value) if name.startswith("probability") else tr.number(value, 1)
