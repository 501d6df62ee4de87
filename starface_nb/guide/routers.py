"""What routers do by default, where it is set, and whether that is enough: only sourced numbers are facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import polars as pl

from starface_nb.errors import SettingError
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import HERE, timeout_text

# A timeout must exceed the keepalive by this to be safe from a race, as the guide's 61 over 60 minutes does.
MARGIN_S = 60.0


@dataclass(frozen=True)
class RouterDefault:
    """What a router does with the UDP entry of a registered phone, as far as a source states it.

    Attributes
    ----------
    product : str
    seconds : float or None
        Default timeout, s; None: check on the device.
    max_seconds : float or None
        Longest timeout that can be set, s.
    setting_path, command, source, remark : str
        Empty where there is none.
    """

    product: str
    seconds: float | None
    max_seconds: float | None
    setting_path: str
    command: str
    source: str
    remark: str


@cache
def routers() -> pl.DataFrame:
    """Return every known default, one row per product, protocol and state; null where no source states it.

    Returns
    -------
    polars.DataFrame
        `product` (the key); `vendor`; `protocol` (UDP or TCP); `direction` (`one`: unanswered; `both`: answered, as a
        registered phone is; `any`: one timer); `state` as the source names it; `seconds`, the default, and
        `max_seconds`, the longest that can be set; `setting_path`, where it is set; `command` that sets it, with
        {seconds} or {minutes}, its lines parted by |; `source` of default and setting; `confidence` (high, medium,
        setting only, contested, not found, unsourced); `legacy` (an old device); `remark`, what else the source says.
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
    name = find_product(product)
    mine = routers().filter(pl.col("product") == name, pl.col("protocol") == "UDP")
    ranked = mine.sort(pl.col("direction").replace_strict({"both": 0, "any": 1, "one": 2}, return_dtype=pl.Int8))
    best = next(ranked.iter_rows(named=True), {})
    return RouterDefault(
        name,
        None if best.get("direction") == "one" else best.get("seconds"),  # says nothing about a phone that is answered
        best.get("max_seconds"),
        *(best.get(key) or "" for key in ("setting_path", "command", "source", "remark")),
    )


def is_enough(product: str, keepalive_s: float) -> bool | None:
    """Return whether the router's default outlives the keepalive by a minute; None where no source states it.

    A timeout equal to the keepalive is a race and counts as too short.
    """
    seconds = router_default(product).seconds
    return None if seconds is None else seconds >= keepalive_s + MARGIN_S


def defaults_in_bracket(low_s: float | None, high_s: float | None) -> pl.DataFrame:
    """Return the sourced UDP defaults of registered phones that fall into `(low_s, high_s]`: a hint, never proof.

    Returns
    -------
    polars.DataFrame
        Rows of `routers`, current devices first; empty where the bracket has no upper bound.
    """
    known = routers().filter((pl.col("protocol") == "UDP") & (pl.col("direction") != "one"))
    if high_s is None:
        return known.clear()
    inside = (pl.col("seconds") > (low_s or 0.0)) & (pl.col("seconds") <= high_s)
    return known.filter(inside).sort("legacy", "seconds", "product")


def setting(product: str, seconds: float, tr: Translator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return how to set a timeout on this router: sentences, and the lines of a command (both may be empty).

    Only what a source states is said; a value above the router's maximum is called impossible.
    """
    default = router_default(product)
    limit, wanted = default.max_seconds, seconds
    if default.seconds is None:
        said = [tr("The default of {router} is not documented: read it from the device.", router=default.product)]
    else:
        time = tr.duration(default.seconds)
        said = [
            tr("By default {router} keeps a UDP entry for {time}; that is enough.", router=default.product, time=time)
            if is_enough(product, seconds - MARGIN_S)
            else tr("By default {router} keeps a UDP entry for {time}: too short.", router=default.product, time=time)
        ]
    said.append(
        tr("Where to set it: {path}", path=default.setting_path)
        if default.setting_path
        else tr("Where to set it is not documented: look for a timeout of UDP sessions in its settings.")
    )
    if default.remark:
        said.append(tr(default.remark))
    if limit is not None and limit < wanted:
        said.append(
            tr(
                "This router allows at most {limit}: {wanted} cannot be set. Set the maximum and let the phones renew "
                "more often, or let them register over TCP or TLS.",
                limit=timeout_text(limit, tr),
                wanted=timeout_text(wanted, tr),
            )
        )
        wanted = limit
    values = {"seconds": round(wanted), "minutes": -(-round(wanted) // 60)}
    return tuple(said), tuple(line.format(**values) for line in default.command.split("|") if line)
