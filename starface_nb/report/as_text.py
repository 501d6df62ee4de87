"""The diagnosis as plain text for a terminal: calm, short, and nothing from the log can control the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from starface_nb.guide.causes import cause_name, word
from starface_nb.guide.findings import finding_text
from starface_nb.guide.i18n import Translator, translator
from starface_nb.guide.words import bracket_text
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

MOST_PHONES = 12


def summary(diagnosis: Diagnosis, language: str = "en") -> str:
    """Return the readable summary of a diagnosis."""
    tr = translator(language, diagnosis.log.time_zone)
    parts = [_log_lines(diagnosis, tr), _finding_lines(diagnosis, tr), _site_lines(diagnosis, tr)]
    parts += [_cause_lines(diagnosis, tr), _phone_lines(diagnosis, tr)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _log_lines(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    log = diagnosis.log
    files = ", ".join(visible(file.name) for file in log.files[:3]) + (" ..." if len(log.files) > 3 else "")
    span = (
        f"{tr.time(log.first)} to {tr.time(log.last)} ({log.time_zone})" if log.first and log.last else tr("no times")
    )
    phones = diagnosis.phones.filter(~pl.col("trunk")).height
    counts = [
        tr.count("{n} line", "{n} lines", log.lines),
        tr.count("{n} event", "{n} events", log.events.height),
        tr.count("{n} phone", "{n} phones", phones),
        tr.count("{n} unreachable interval", "{n} unreachable intervals", diagnosis.intervals.height),
    ]
    return [files, f"{span}: {', '.join(counts)}"]


def _finding_lines(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    marks = {"action": "!", "warning": "*", "info": "-"}
    return [f"{marks.get(f.severity, '-')} {visible(finding_text(f, tr))}" for f in diagnosis.findings]


def _site_lines(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    rows = [
        (
            visible(row["site"]),
            tr.number(row["phones"]),
            word("verdict", row["verdict"], tr),
            bracket_text(row["low_s"], row["high_s"], tr),
        )
        for row in diagnosis.sites.iter_rows(named=True)
    ]
    return table((tr("site"), tr("phones"), tr("verdict"), tr("NAT timeout")), rows)


def _cause_lines(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    counts = diagnosis.intervals.group_by("cause").len().sort("len", "cause", descending=[True, False])
    return table((tr("cause"), tr("intervals")), [(cause_name(c, tr), tr.number(n)) for c, n in counts.iter_rows()])


def _phone_lines(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    worst = diagnosis.phones.filter(pl.col("losses") > 0).sort("unreachable_s", "peer", descending=[True, False])
    rows = [
        (visible(row["peer"]), visible(row["site"]), tr.number(row["losses"]), tr.duration(row["unreachable_s"]))
        for row in worst.head(MOST_PHONES).iter_rows(named=True)
    ]
    lines = table((tr("phone"), tr("site"), tr("losses"), tr("unreachable for")), rows)
    more = worst.height - MOST_PHONES
    return [*lines, tr.count("and {n} more phone", "and {n} more phones", more)] if more > 0 else lines


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines under their heads; nothing for no rows."""
    if not rows:
        return []
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in [head, *rows]]
