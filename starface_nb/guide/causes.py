"""Names, meanings and advice for the closed vocabularies of causes, verdicts and states."""

from __future__ import annotations

from starface_nb.guide import data
from starface_nb.guide.i18n import Translator


def cause_name(cause: str, tr: Translator) -> str:
    """Return the short name of a cause."""
    return tr(data.toml("causes.toml")["cause"][cause]["name"])


def cause_meaning(cause: str, tr: Translator) -> str:
    """Return what a cause means, in one sentence."""
    return tr(data.toml("causes.toml")["cause"][cause]["meaning"])


def cause_advice(cause: str, tr: Translator) -> str:
    """Return what to do about a cause."""
    return tr(data.toml("causes.toml")["cause"][cause]["advice"])


def word(vocabulary: str, value: str, tr: Translator) -> str:
    """Return a word of a vocabulary: `verdict`, `renewed_by`, `severity`, `status` or `ended_by`."""
    return tr(data.toml("causes.toml")[vocabulary][value])
