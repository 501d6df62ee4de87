"""The diagnosis as plain text for a terminal: calm, short, and nothing from the log can control the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from starface_nb.guide.causes import cause_name, word
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.findings import finding_text
from starface_nb.guide.i18n import Translator, translator
from starface_nb.guide.words import bracket_text, names
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

MOST_PHONES = 12
_MARKS = {"action": "!", "warning": "*", "info": "-"}


def summary(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the readable summary of a diagnosis."""
    tr = translator(language, diagnosis.log.time_zone)
    sites = [
        (row["site"], tr.number(row["phones"]), word("verdict", row["verdict"], tr),
         bracket_text(row["low_s"], row["high_s"], tr))
        for row in diagnosis.sites.iter_rows(named=True)
    ]  # fmt: skip
    counts = diagnosis.intervals.group_by("cause").len().sort("len", "cause", descending=[True, False])
    causes = [(cause_name(cause, tr), tr.number(n)) for cause, n in counts.iter_rows()]
    parts = [
        _log(diagnosis, tr),
        [f"{_MARKS[found.severity]} {finding_text(found, tr)}" for found in diagnosis.findings],
        _table((tr("site"), tr("phones"), tr("verdict"), tr("NAT timeout")), sites),
        _table((tr("cause"), tr("intervals")), causes),
        _phones(diagnosis, tr),
        _next(diagnosis, tr),
    ]
    return "\n\n".join("\n".join(map(visible, part)) for part in parts if part) + "\n"


def _log(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    log = diagnosis.log
    span = tr("no times")
    if log.first and log.last:
        length = tr.duration((log.last - log.first).total_seconds())
        first, last = tr.time(log.first), tr.time(log.last)
        span = tr("{first} to {last} ({length}, {zone})", first=first, last=last, length=length, zone=log.time_zone)
    counts = [
        tr.count("{n} line", "{n} lines", log.lines),
        tr.count("{n} event", "{n} events", log.events.height),
        tr.count("{n} phone", "{n} phones", diagnosis.phones.filter(~pl.col("trunk")).height),
        tr.count("{n} unreachable interval", "{n} unreachable intervals", diagnosis.intervals.height),
    ]
    return [names([file.name for file in log.files], tr, 3), f"{span}: {', '.join(counts)}"]


def _phones(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    worst = diagnosis.phones.filter(pl.col("losses") > 0).sort("unreachable_s", "peer", descending=[True, False])
    rows = [
        (row["peer"], row["site"], tr.number(row["losses"]), tr.duration(row["unreachable_s"]))
        for row in worst.head(MOST_PHONES).iter_rows(named=True)
    ]
    lines = _table((tr("phone"), tr("site"), tr("losses"), tr("unreachable for")), rows)
    more = worst.height - MOST_PHONES
    return [*lines, tr.count("and {n} more phone", "and {n} more phones", more)] if more > 0 else lines


def _next(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    lines = next_experiment(diagnosis, tr)
    return [tr("If the timeout is to be known more exactly") + ":", *(f"- {line}" for line in lines)] if lines else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines under their heads; nothing for no rows."""
    shown = [[visible(cell) for cell in row] for row in [head, *rows]] if rows else []
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in shown]
