"""Why a loss has its cause, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import word
from starface_nb.tables import table

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
    known = table("guide/texts")["why"]
    names = [term["term"] for term in evidence.get("terms") or []]
    keys = [next((key for key in (f"{name}_{cause}", name) if key in known), None) for name in names]
    said = [word("why", key, tr, **values) for key in keys[:MOST_TERMS] if key is not None]
    return tr.joined(*said) + "." if said else word("why", "nothing", tr)
