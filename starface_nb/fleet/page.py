"""The fleet as one self-contained page, and as a table for the terminal."""

from __future__ import annotations

from typing import Any

import polars as pl

from starface_nb.fleet.schemas import BINS
from starface_nb.guide import Translator, bracket_text, translator, word, words
from starface_nb.templates import fill
from starface_nb.text import visible

_STRIP_WIDTH, _STRIP_HEIGHT = 240, 34


def fleet_html(summary: pl.DataFrame, language: str = "en", time_zone: str = "Europe/Berlin") -> str:
    """Return the ranked page: one row per customer with verdict, bracket and a strip of the losses over time.

    It needs no network and no script; everything from a log or a file's name is escaped.
    """
    tr = translator(language, time_zone)
    return fill(
        "fleet/page.html",
        tr=tr,
        language=language,
        headline=_headline(summary, tr),
        read=summary.filter(pl.col("state") == "read").sort("rank").to_dicts(),
        failed=summary.filter(pl.col("state") == "failed").sort("rank").to_dicts(),
        width=_STRIP_WIDTH,
        height=_STRIP_HEIGHT,
        bars=_bars,
        told=_told,
        warnings=_warnings,
        reason=_reason,
        words=words,
    )


def as_text(summary: pl.DataFrame, language: str = "en", time_zone: str = "Europe/Berlin") -> str:
    """Return the ranking as lines of text, one customer each."""
    tr = translator(language, time_zone)
    lines = [_headline(summary, tr)]
    for row in summary.sort("rank").iter_rows(named=True):
        losses = "" if row["reason"] else tr.count("{n} loss", "{n} losses", row["losses"])
        said = _reason(row, tr) or tr.joined(", ".join(_told(row, tr)), losses)
        said = ". ".join([said, *_warnings(row, tr)])
        lines.append(f"{row['rank']:>4}  {visible(row['customer'])}: {visible(said)}")
    return "\n".join(lines)


def _headline(summary: pl.DataFrame, tr: Translator) -> str:
    """Return the fleet in one sentence."""
    short = summary.filter(pl.col("verdict") == "too_short").height
    failed = summary.filter(pl.col("state") == "failed").height
    parts = [
        tr.count("{n} customer", "{n} customers", summary.height),
        tr.count("{n} with a NAT timeout that is too short", "{n} with a NAT timeout that is too short", short),
    ]
    if gone := summary.filter(pl.col("gone") > 0).height:
        parts.append(
            tr.count(
                "{n} with a site unreachable at the log's end", "{n} with a site unreachable at the log's end", gone
            )
        )
    if failed:
        parts.append(tr.count("{n} log could not be read", "{n} logs could not be read", failed))
    return ", ".join(parts)


def _reason(row: dict[str, Any], tr: Translator) -> str:
    """Return why a log could not be read; nothing where it was."""
    reason = row["reason"] or ""
    return words.note_text(reason, tr) or reason


def _warnings(row: dict[str, Any], tr: Translator) -> list[str]:
    """Return what a row's verdict and losses are to be read with, a sentence each."""
    return [word("fleet_warning", name, tr) for name in row["warnings"] or ()]


def _told(row: dict[str, Any], tr: Translator) -> list[str]:
    """Return verdict and bracket in words; of a router that was fixed within the log the old bracket, and when."""
    told = [word("verdict", row["verdict"] or "undetermined", tr), words.site_bracket(row, tr)]
    if row["gone"]:
        told.insert(
            0, tr.count("{n} site unreachable at the log's end", "{n} sites unreachable at the log's end", row["gone"])
        )
    if row["fixed_at"] is not None:
        before = bracket_text(row["before_low_s"], row["before_high_s"], tr)
        told.append(tr("until {time} too short: {bracket}", time=tr.time(row["fixed_at"], "short"), bracket=before))
    return told


def _bars(row: dict[str, Any]) -> dict[str, object]:
    """Return SVG paths, one bar per bin: losses by NAT at the bottom, the others on top of them."""
    nat, other = row["nat_by_bin"], row["other_by_bin"]
    highest = max(map(sum, zip(nat, other, strict=True)))
    step, unit = _STRIP_WIDTH / BINS, (_STRIP_HEIGHT - 1) / max(1, highest)
    paths = {
        kind: "".join(
            f"M{n * step:.1f} {_STRIP_HEIGHT - floor * unit:.1f}v{-count * unit:.1f}h{step - 1:.1f}v{count * unit:.1f}z"
            for n, (count, floor) in enumerate(zip(counts, below, strict=True))
            if count
        )
        for kind, counts, below in (("nat", nat, [0] * BINS), ("other", other, nat))
    }
    return paths | {"highest": highest}
