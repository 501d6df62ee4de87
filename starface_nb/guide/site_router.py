"""Which router stands at a site, what was read from it, and whether the log allows that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starface_nb.guide.checklist import given
from starface_nb.guide.i18n import Translator
from starface_nb.guide.routers import products, router_default
from starface_nb.guide.words import bracket_text, word


@dataclass(frozen=True)
class SiteRouter:
    """The router of a site: product, timeout read from it (s), and what in the log contradicts that (else empty)."""

    router: str | None = None
    seconds: float | None = None
    contradicted: str = ""


def at_site(answers: Mapping[str, Any] | None, row: Mapping[str, Any], tr: Translator) -> SiteRouter:
    """Return what was answered about a site's router, held against its bracket.

    Parameters
    ----------
    answers : Mapping or None
        Kept answers by step id.
    row : Mapping
        `site`, `low_s`, `high_s` of the site.
    tr : Translator
    """
    kept = given(answers, "nat")
    mine = kept.sites.get(row["site"]) or {"router": kept.router, "seconds": kept.seconds}
    router, read = mine.get("router") or None, mine.get("seconds") or None
    said = ""
    if read and _excluded(read, row):
        said = tr(
            "The log contradicts {time}: the timeout is {bracket}.", time=tr.duration(read), bracket=_bracket(row, tr)
        )
        said += " " + word("advice", "without_effect", tr) if read > (row["high_s"] or read) else ""
    elif router in products() and not read:
        default = router_default(router).seconds
        if default and _excluded(default, row):
            said = tr(
                "Its default of {time} is excluded by the log ({bracket}): read the value from the device.",
                time=tr.duration(default),
                bracket=_bracket(row, tr),
            )
    return SiteRouter(router, read, said)


def _bracket(row: Mapping[str, Any], tr: Translator) -> str:
    return bracket_text(row["low_s"], row["high_s"], tr)


def _excluded(seconds: float, row: Mapping[str, Any]) -> bool:
    low, high = row["low_s"] or 0.0, row["high_s"]
    # whole seconds on the device; a probe's own delay blurs the bracket's ends by less
    return seconds + 1 < low or (high is not None and seconds - 1 > high)
