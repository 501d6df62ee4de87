"""The diagnosis as plain text for a terminal: calm, short, and nothing from the log can control the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from starface_nb.guide import bracket_text, cause_name, finding_text, translator, word
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.words import names
from starface_nb.templates import fill
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

MOST_PHONES = 12
_MARKS = {"action": "!", "warning": "*", "info": "-"}


def summary(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the readable summary of a diagnosis."""
    tr = translator(language, diagnosis.log.time_zone)
    sites = [(tr("site"), tr("phones"), tr("verdict"), tr("NAT timeout"))]
    for site, phones, verdict, low, high in diagnosis.sites.select(
        "site", "phones", "verdict", "low_s", "high_s"
    ).iter_rows():
        sites.append((site, tr.number(phones), word("verdict", verdict, tr), bracket_text(low, high, tr)))
    counts = diagnosis.intervals.group_by("cause").len().sort("len", "cause", descending=[True, False])
    causes = [
        (tr("cause"), tr("intervals")),
        *((cause_name(cause, tr), tr.number(n)) for cause, n in counts.iter_rows()),
    ]
    worst = diagnosis.phones.filter(pl.col("losses") > 0).sort("unreachable_s", "peer", descending=[True, False])
    lost = [(tr("phone"), tr("site"), tr("losses"), tr("unreachable for"))]
    for peer, site, losses, seconds in (
        worst.head(MOST_PHONES).select("peer", "site", "losses", "unreachable_s").iter_rows()
    ):
        lost.append((peer, site, tr.number(losses), tr.duration(seconds)))
    return fill(
        "report/summary.txt",
        tr=tr,
        diagnosis=diagnosis,
        files=[file.name for file in diagnosis.log.files],
        names=names,
        phones=diagnosis.phones.filter(~pl.col("trunk")).height,
        marks=_MARKS,
        finding_text=finding_text,
        tables=[_aligned(rows) for rows in (sites, causes, lost) if len(rows) > 1],
        more=worst.height - MOST_PHONES,
        experiment=next_experiment(diagnosis, tr),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows, their heads first, as aligned lines."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in shown]
