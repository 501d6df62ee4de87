"""The fleet as one self-contained page, and as a table for the terminal."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import polars as pl

from starface_nb.fleet.schemas import BINS
from starface_nb.guide.causes import cause_name, word
from starface_nb.guide.i18n import Translator, translator
from starface_nb.guide.words import bracket_text
from starface_nb.text import visible

_STRIP_WIDTH, _STRIP_HEIGHT = 240, 34


def fleet_html(summary: pl.DataFrame, language: str = "en", time_zone: str = "Europe/Berlin") -> str:
    """Return the ranked page: one row per customer with verdict, bracket and a strip of the losses over time.

    It needs no network and no script; everything from a log or a file's name is escaped.
    """
    tr = translator(language, time_zone)
    rows = [_shown(row, tr) for row in summary.sort("rank").iter_rows(named=True)]
    return _template().render(
        tr=tr,
        language=language,
        read=[row for row in rows if row["state"] == "read"],
        failed=[row for row in rows if row["state"] == "failed"],
        headline=headline(summary, tr),
        width=_STRIP_WIDTH,
        height=_STRIP_HEIGHT,
    )


def headline(summary: pl.DataFrame, tr: Translator) -> str:
    """Return the fleet in one sentence."""
    short = summary.filter(pl.col("verdict") == "too_short").height
    failed = summary.filter(pl.col("state") == "failed").height
    parts = [
        tr.count("{n} customer", "{n} customers", summary.height),
        tr.count("{n} with a NAT timeout that is too short", "{n} with a NAT timeout that is too short", short),
    ]
    if failed:
        parts.append(tr.count("{n} log could not be read", "{n} logs could not be read", failed))
    return ", ".join(parts)


def as_text(summary: pl.DataFrame, language: str = "en", time_zone: str = "Europe/Berlin") -> str:
    """Return the ranking as lines of text, one customer each."""
    tr = translator(language, time_zone)
    lines = [headline(summary, tr)]
    for row in summary.sort("rank").iter_rows(named=True):
        shown = _shown(row, tr)
        told = shown["reason"] or f"{shown['verdict']}, {shown['bracket']}; {shown['losses']}"
        lines.append(f"{row['rank']:>4}  {shown['customer']}: {told}")
    return "\n".join(lines)


def _shown(row: dict[str, Any], tr: Translator) -> dict[str, Any]:
    """Return what is shown of a customer, in words; texts from the log or a file's name are made visible."""
    shown: dict[str, Any] = {name: row[name] for name in ("state", "rank")}
    shown |= {name: visible(row[name] or "") for name in ("customer", "reason")}
    if row["state"] == "failed":
        return shown
    nat, other = row["nat_by_bin"], row["other_by_bin"]
    highest = max(n + o for n, o in zip(nat, other, strict=True))
    level, share = row["verdict"] or "undetermined", row["probability_too_short"]
    return shown | {
        "level": level,
        "verdict": word("verdict", level, tr),
        "bracket": bracket_text(row["low_s"], row["high_s"], tr),
        "probability": None if share is None else tr.percent(share).replace(" ", "\N{NO-BREAK SPACE}"),
        "phones": tr.number(row["phones"]),
        "phones_lost": tr.number(row["phones_lost"]),
        "losses": tr.count("{n} loss", "{n} losses", row["losses"]),
        "unreachable": tr.duration(row["unreachable_s"]),
        "worst": [visible(phone) for phone in row["worst_phones"]],
        "not_nat": [
            f"{cause_name(cause, tr)} ({tr.number(count)})"
            for cause, count in zip(row["not_nat"], row["not_nat_losses"], strict=True)
        ],
        "span": " \N{EN DASH} ".join(tr.time(when, "short") for when in (row["first"], row["last"]) if when),
        "highest": tr.number(highest),
        "nat_path": bars(nat, [0] * BINS, highest),
        "other_path": bars(other, nat, highest),
    }


def bars(counts: list[int], below: list[int], highest: int) -> str:
    """Return an SVG path of bars, one per bin, standing on `below`."""
    if not highest:
        return ""
    step, unit = _STRIP_WIDTH / BINS, (_STRIP_HEIGHT - 1) / highest
    return "".join(
        f"M{place * step:.1f} {_STRIP_HEIGHT - floor * unit:.1f}v{-count * unit:.1f}h{step - 1:.1f}v{count * unit:.1f}z"
        for place, (count, floor) in enumerate(zip(counts, below, strict=True))
        if count
    )


@cache
def _template() -> jinja2.Template:
    source = files("starface_nb.fleet").joinpath("page.html").read_text("utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
