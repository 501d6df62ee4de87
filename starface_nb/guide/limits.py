"""What the standards demand of a NAT and of a phone, each number with its source."""

from __future__ import annotations

from dataclasses import dataclass

from starface_nb.guide import data
from starface_nb.guide.i18n import Translator


@dataclass(frozen=True)
class Limit:
    """One requirement of a standard, worded in one language; `seconds` is None where it is no number."""

    id: str
    protocol: str
    seconds: float | None
    text: str
    source: str
    url: str


@dataclass(frozen=True)
class Experiment:
    """The guide's seventh step as numbers: keepalive range to try, the guide's own value, how long to watch, s."""

    low_s: float
    high_s: float
    guide_s: float
    watch_s: float
    source: str
    url: str


def limits(tr: Translator) -> tuple[Limit, ...]:
    """Return the requirements of RFC 4787, 5382 and 5626 in the translator's language."""
    return tuple(
        Limit(raw["id"], raw["protocol"], raw.get("seconds"), tr(raw["text"]), raw["source"], raw["url"])
        for raw in data.toml("limits.toml")["limits"]
    )


def experiment() -> Experiment:
    """Return the numbers of the guide's seventh step, a shorter keepalive on one phone."""
    return Experiment(**data.toml("limits.toml")["experiment"])
