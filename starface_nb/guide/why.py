"""Why a loss has its cause, and what struck, each in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import cause_name, site_name, toml, word

MOST_TERMS = 2
"""Terms told in one sentence."""


def why(cause: str, evidence: Mapping[str, Any], tr: Translator) -> str:
    """Return the reason of a cause from the largest terms of its evidence.

    Parameters
    ----------
    cause : str
        One of the closed vocabulary.
    evidence : Mapping
        As it stands in the intervals: numbers and `terms`.
    """
    values = {
        "low": tr.duration(evidence.get("idle_low_s") or 0.0),
        "high": tr.duration(evidence.get("idle_high_s") or 0.0),
        "together": evidence.get("lost_together", 1),
        "at_risk": evidence.get("at_risk", 1),
    }
    known = toml("texts.toml")["why"]
    names = [term["term"] for term in evidence.get("terms") or []]
    keys = [next((key for key in (f"{name}_{cause}", name) if key in known), None) for name in names]
    said = [word("why", key, tr, **values) for key in keys[:MOST_TERMS] if key is not None]
    return "; ".join(said) + "." if said else word("why", "nothing", tr)


def incident_text(incident: Mapping[str, Any], tr: Translator) -> str:
    """Return what struck, where, how often and whom."""
    values = {
        "cause": cause_name(str(incident["cause"]), tr),
        "site": site_name(str(incident["site"]), tr),
        "phones": tr.count("{n} phone", "{n} phones", incident["phones"]),
        "losses": tr.count("{n} loss", "{n} losses", incident["losses"]),
    }
    if incident["every_s"] is not None:
        every = tr.duration(incident["every_s"])
        return word("incident", "recurs", tr, **values, repeats=incident["repeats"], every=every)
    return word("incident", "struck", tr, **values)


def of_intervals(rows: Sequence[dict[str, Any]], tr: Translator) -> list[dict[str, Any]]:
    """Return rows of intervals, their evidence decoded, each with `why`."""
    found = [(row, json.loads(row["evidence"])) for row in rows]
    return [row | {"evidence": evidence, "why": why(row["cause"], evidence, tr)} for row, evidence in found]
