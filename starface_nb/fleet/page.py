"""The fleet as one self-contained page, and as a table for the terminal."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files

import jinja2
import polars as pl

from starface_nb.fleet.schemas import BINS
from starface_nb.guide.causes import cause_name, word
from starface_nb.guide.i18n import Translator, translator
from starface_nb.guide.words import bracket_text
from starface_nb.text import visible

_STRIP_WIDTH, _STRIP_HEIGHT = 240, 34
Row = dict[str, object]


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
        if row["state"] == "failed":
            lines.append(f"{row['rank']:>4}  {row['customer']}: {shown['reason']}")
        else:
            lines.append(
                f"{row['rank']:>4}  {row['customer']}: {shown['verdict']}, {shown['bracket']}; {shown['losses']}"
            )
    return "\n".join(visible(line) for line in lines)


def _shown(row: Row, tr: Translator) -> dict[str, object]:
    if row["state"] == "failed":
        return {**row, "customer": visible(str(row["customer"])), "reason": visible(str(row["reason"]))}
    nat, other = _list(row["nat_by_bin"]), _list(row["other_by_bin"])
    highest = max([n + o for n, o in zip(nat, other, strict=True)], default=0)
    return {
        "state": row["state"],
        "rank": row["rank"],
        "customer": visible(str(row["customer"])),
        "level": row["verdict"] or "undetermined",
        "verdict": word("verdict", str(row["verdict"] or "undetermined"), tr),
        "bracket": bracket_text(_number(row["low_s"]), _number(row["high_s"]), tr),
        "probability": None
        if row["probability_too_short"] is None
        else tr.percent(_number(row["probability_too_short"]) or 0),
        "phones": tr.number(_count(row["phones"])),
        "phones_lost": tr.number(_count(row["phones_lost"])),
        "losses": tr.count("{n} loss", "{n} losses", _count(row["losses"])),
        "nat_losses": tr.number(_count(row["nat_losses"])),
        "unreachable": tr.duration(_number(row["unreachable_s"]) or 0),
        "worst": [visible(phone) for phone in _texts(row["worst_phones"])],
        "not_nat": [
            f"{cause_name(str(cause), tr)} ({tr.number(count)})"
            for cause, count in zip(_texts(row["not_nat"]), _list(row["not_nat_losses"]), strict=True)
        ],
        "span": _span(row["first"], row["last"], tr),
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


def _span(first: object, last: object, tr: Translator) -> str:
    times = [tr.time(when, "short") for when in (first, last) if isinstance(when, datetime)]
    return " \N{EN DASH} ".join(times)


def _list(value: object) -> list[int]:
    return [int(number) for number in value] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _count(value: object) -> int:
    return int(value) if isinstance(value, int) else 0


@cache
def _template() -> jinja2.Template:
    source = files("starface_nb.fleet").joinpath("page.html").read_text("utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
