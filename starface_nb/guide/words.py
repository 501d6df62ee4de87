"""Durations and brackets in words."""

from __future__ import annotations

from starface_nb.guide.i18n import Translator


def timeout_text(seconds: float, tr: Translator) -> str:
    """Return a timeout as it is entered in a router: in minutes where it is whole minutes, and in seconds."""
    whole = round(seconds)
    if whole < 120 or whole % 60:
        return tr.count("{n} second", "{n} seconds", whole)
    minutes = tr.count("{n} minute", "{n} minutes", whole // 60)
    return f"{minutes} ({tr.count('{n} second', '{n} seconds', whole)})"


def bracket_text(low_s: float | None, high_s: float | None, tr: Translator) -> str:
    """Return a bracket in words."""
    low = low_s or 0.0
    if high_s is not None and low > 0:
        return tr("more than {low}, at most {high}", low=tr.duration(low), high=tr.duration(high_s))
    if high_s is not None:
        return tr("at most {high}", high=tr.duration(high_s))
    return tr("more than {low}", low=tr.duration(low)) if low > 0 else tr("not known")


def site_name(site: str, tr: Translator) -> str:
    """Return a site as it is shown: its public address, or that it is not known."""
    return tr("address not known") if site == "unknown" else site


def names(peers: list[str], tr: Translator, most: int = 6) -> str:
    """Return a list of names as text, cut after `most`."""
    more = len(peers) - most
    return ", ".join(peers[:most]) + (" " + tr.count("and {n} more", "and {n} more", more) if more > 0 else "")
