"""What routers do by default, where it is set, whether that is enough, and which one stands at a site.

Only sourced numbers are facts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import polars as pl

from starface_nb.errors import SettingError
from starface_nb.guide.checklist import given
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import HERE, bracket_text, sentences, timeout_text, word
from starface_nb.tables import table

# A timeout must exceed the keepalive by this to be safe from a race, as the guide's 61 over 60 minutes does.
MARGIN_S = 60.0
INSPECTION = "SIP inspection"  # the state of rows about a router's SIP helper (ALG), which is no timer of UDP sessions
PBX_ADDRESS = "PBX-ADDRESS"  # stands in a snippet where the address of the PBX is not known


@dataclass(frozen=True)
class RouterDefault:
    """What a router does with the UDP entry of a registered phone, or its SIP inspection (ALG) with a phone.

    Attributes
    ----------
    product : str
    seconds : float or None
        Default timeout, s, as far as a source states it; None: check on the device.
    max_seconds : float or None
        Longest timeout that can be set, s.
    setting_path, command, bound_command, source, remark : str
        Empty where there is none; `bound_command` sets it for the PBX's address or for SIP's port alone. The command
        of an inspection switches it off.
    sip_alg : str
        Of an inspection, whether it is `on` or `off` by default; `switchable`: that is not stated.
    scopes : tuple of str
        What it can be set for beside everything: `rule`, `port`, `application`, ...
    """

    product: str
    seconds: float | None = None
    max_seconds: float | None = None
    setting_path: str = ""
    command: str = ""
    bound_command: str = ""
    source: str = ""
    remark: str = ""
    sip_alg: str = ""
    scopes: tuple[str, ...] = ()

    def allowed(self, seconds: float) -> float:
        """Return the longest timeout up to the one wanted that can be set."""
        return seconds if self.max_seconds is None else min(seconds, self.max_seconds)


@dataclass(frozen=True)
class Snippet:
    """Lines to copy into a router, and what they do."""

    title: str
    lines: tuple[str, ...]


@cache
def routers() -> pl.DataFrame:
    """Return every known default, one row per product, protocol and state; null where no source states it.

    Returns
    -------
    polars.DataFrame
        `product` (the key); `vendor`; `protocol` (UDP or TCP); `direction` (`one`: unanswered; `both`: answered, as a
        registered phone is; `any`: one timer; `call`: only during a call); `state` as the source names it, or "SIP
        inspection"; `seconds`, the default, and `max_seconds`, the longest that can be set; `setting_path`, where it is
        set; `command` that sets it, with {seconds}, {minutes} or {clock} (h:mm:ss), its lines parted by |;
        `bound_command`, the same for the PBX alone, with {pbx}; `scope`, what it can be set for; `sip_alg`, whether SIP
        inspection is on by default (its `command` switches it off); `source` of default and setting; `confidence`
        (high, medium, setting only, contested, not found, unsourced); `legacy` (an old device); `remark`, what else
        the source says.
    """
    return pl.read_csv(HERE / "routers.csv", infer_schema=False).with_columns(
        pl.col("seconds", "max_seconds").cast(pl.Float64), legacy=pl.col("legacy").eq_missing("yes")
    )


def products() -> tuple[str, ...]:
    """Return the names of all products, in alphabetical order."""
    return tuple(sorted(routers()["product"].unique(), key=str.casefold))


def find_product(text: str) -> str:
    """Return the product that `text` names: its name, or a part of it that no other product has.

    Raises
    ------
    SettingError
        No product, or several, have this in their name; the message lists what comes near, or else the makers.
    """
    known, wanted = products(), text.strip().casefold()
    exact = [p for p in known if p.casefold() == wanted]
    found = exact or [p for p in known if wanted and wanted in p.casefold()]
    if len(found) == 1:
        return found[0]
    near = found or [p for p in known if get_close_matches(wanted, re.split(r"[\s/]", p.casefold()), cutoff=0.6)]
    choices = "; ".join(near[:8] or sorted(routers()["vendor"].unique(), key=str.casefold))
    raise SettingError(
        f"Several routers match {text!r}." if found else f"No router is known as {text!r}.",
        place="router",
        next_step=f"Choose one of: {choices}." if near else f"Name one by its maker: {choices}; or leave it out.",
    )


def router_default(product: str) -> RouterDefault:
    """Return what this router does with the UDP entry of a registered phone (both directions seen).

    Raises
    ------
    SettingError
        The product is not known.
    """
    return next(_known(product, pl.col("state") != INSPECTION), RouterDefault(find_product(product)))


def sip_inspection(product: str) -> RouterDefault | None:
    """Return what is known of this router's SIP inspection; None where no source tells of it.

    Raises
    ------
    SettingError
        The product is not known.
    """
    return next(_known(product, pl.col("state") == INSPECTION), None)


def _known(product: str, rows: pl.Expr) -> Iterator[RouterDefault]:
    """Yield what is known of a router's UDP entries, that of an answered phone first."""
    mine = routers().filter(pl.col("product") == find_product(product), pl.col("protocol") == "UDP", rows)
    rank = pl.col("direction").replace_strict({"both": 0, "any": 1, "one": 2, "call": 3}, return_dtype=pl.Int8)
    for row in mine.sort(rank).iter_rows(named=True):
        names = ("setting_path", "command", "bound_command", "source", "remark", "sip_alg")
        seconds = None if row["direction"] in ("one", "call") else row["seconds"]  # nothing about an answered phone
        scopes = tuple(scope for scope in (row["scope"] or "").split("; ") if scope in table("guide/texts")["scope"])
        texts = {name: row[name] or "" for name in names}
        yield RouterDefault(row["product"], seconds, row["max_seconds"], scopes=scopes, **texts)


def registered_phone_defaults() -> pl.DataFrame:
    """Return the rows of `routers` about the UDP entry of a registered phone, SIP inspection's own timers included."""
    return routers().filter((pl.col("protocol") == "UDP") & pl.col("direction").is_in(["both", "any"]))


def defaults_in_bracket(low_s: float | None, high_s: float | None) -> pl.DataFrame:
    """Return the sourced UDP defaults of registered phones that fall into `(low_s, high_s]`: a hint, never proof.

    Returns
    -------
    polars.DataFrame
        Rows of `routers`, current devices first; empty where the bracket has no upper bound.
    """
    known = registered_phone_defaults()
    if high_s is None:
        return known.clear()
    inside = (pl.col("seconds") > (low_s or 0.0)) & (pl.col("seconds") <= high_s)
    return known.filter(inside).sort("legacy", "seconds", "product")


def setting(product: str, seconds: float, tr: Translator) -> list[str]:
    """Return how to set a timeout on this router, in sentences.

    Only what a source states is said; a value above the router's maximum is called impossible.
    """
    default, inspection = router_default(product), sip_inspection(product)
    known = "unknown" if default.seconds is None else "enough" if default.seconds >= seconds else "too_short"
    now = tr.duration(default.seconds or 0.0)
    said = [word("router_default", known, tr, router=default.product, time=now), *_about_place(default, tr)]
    if default.remark:
        said.append(tr(default.remark))
    if (wanted := default.allowed(seconds)) < seconds:
        most, asked = timeout_text(wanted, tr), timeout_text(seconds, tr)
        said.append(word("router_setting", "too_much", tr, limit=most, wanted=asked))
    return said + (_about_inspection(inspection, tr) if inspection else [])


def snippets(product: str, seconds: float, tr: Translator, pbx: str = "") -> tuple[Snippet, ...]:
    """Return what can be copied into this router, the narrowest first: as its documentation shows it.

    Parameters
    ----------
    product : str
    seconds : float
        Timeout to set, s.
    tr : Translator
    pbx : str
        Address of the PBX; where it is not known, `PBX_ADDRESS` stands for it.
    """
    default, inspection = router_default(product), sip_inspection(product)
    wanted = default.allowed(seconds)
    bound = tr("For the PBX alone:") if "{pbx}" in default.bound_command else tr("For SIP alone:")
    if "{pbx}" in default.bound_command and not pbx:
        bound = tr("For the PBX alone (put its address for {placeholder}):", placeholder=PBX_ADDRESS)
    offered = (
        Snippet(bound, _lines(default.bound_command, wanted, pbx)),
        Snippet(tr("For all UDP sessions:"), _lines(default.command, wanted)),
        Snippet(tr("SIP inspection off:"), _lines(inspection.command if inspection else "", wanted)),
    )
    return tuple(snippet for snippet in offered if snippet.lines)


def _about_place(default: RouterDefault, tr: Translator) -> list[str]:
    """Return where it is set, and for what alone; without a documented place, what to do instead."""
    if not default.setting_path:
        looked = tr("Where to set it is not documented: look for a timeout of UDP sessions in its settings.")
        return [looked, *(sentences("router_help", tr) if default.seconds is None else ())]
    said = [tr("Where to set it: {path}", path=default.setting_path)]
    if default.scopes:
        scopes = ", ".join(word("scope", scope, tr) for scope in default.scopes)
        said.append(word("router_setting", "bound", tr, scopes=scopes))
    return said


def _about_inspection(inspection: RouterDefault, tr: Translator) -> list[str]:
    said = [word("sip_inspection", inspection.sip_alg, tr, path=inspection.setting_path)]
    if inspection.seconds is not None:
        time = timeout_text(inspection.seconds, tr)
        said.append(tr("While SIP inspection is on, it forgets a silent phone after {time}.", time=time))
    if inspection.remark:
        said.append(tr(inspection.remark))
    return said


def _lines(command: str, seconds: float, pbx: str = "") -> tuple[str, ...]:
    whole = round(seconds)
    minutes = -(-whole // 60)
    clock = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    values = {"seconds": whole, "minutes": minutes, "clock": clock, "pbx": pbx or PBX_ADDRESS}
    return tuple(line.format(**values) for line in command.split("|") if line)


# ---- at a site ----


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
        `site`, `verdict`, `low_s`, `high_s` of the site.
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
    beside = seconds + 1 < low or (high is not None and seconds - 1 > high)
    return beside and row["verdict"] != "undetermined"
