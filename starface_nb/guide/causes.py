"""Words for the closed vocabularies: causes with their meaning and advice, verdicts, states, outcomes."""

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


def word(vocabulary: str, value: str, tr: Translator, **values: object) -> str:
    """Return a word or sentence of a vocabulary in `texts.toml`, such as `verdict` or `severity`, its values put in."""
    return tr(data.toml("texts.toml")[vocabulary][value], **values)


def sentences(name: str, tr: Translator, **values: object) -> list[str]:
    """Return a list of sentences in `texts.toml`: `verify` or `blind_spots`."""
    return [tr(text, **values) for text in data.toml("texts.toml")[name]]
