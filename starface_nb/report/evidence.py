"""The lines of the log that stand behind a few telling losses."""

from __future__ import annotations

from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.schemas import CAUSES
from starface_nb.errors import StarfaceError
from starface_nb.guide.causes import cause_name
from starface_nb.guide.i18n import Translator
from starface_nb.reading.context import lines_around
from starface_nb.report.masking import Mask
from starface_nb.text import visible

_PER_CAUSE, _MOST_LINES, _LONGEST = 2, 8, 300


def evidence(shown: Diagnosis, found: Mask | None, tr: Translator) -> list[dict[str, Any]]:
    """Return for up to two losses of each cause the lines about that phone, from the last sign of life to the end.

    Only lines that were read as events are quoted: the others may hold calls of other people.

    Parameters
    ----------
    shown : Diagnosis
        Masked already, where it is to be masked.
    found : Mask or None
        Replaces names in the lines.
    tr : Translator
    """
    quoted = []
    for cause in CAUSES:
        chosen = shown.intervals.filter((pl.col("cause") == cause) & ~pl.col("trunk"))
        best = chosen.sort("confidence", "start", "peer", descending=[True, False, False]).head(_PER_CAUSE)
        for row in best.sort("start", "peer").to_dicts():
            lines = [_text(line, found) for line in _events(shown, row).to_dicts()]
            if lines:
                quoted.append({"cause": cause_name(cause, tr), "peer": row["peer"], "lines": lines})
    return quoted


def _events(shown: Diagnosis, row: dict[str, Any]) -> pl.DataFrame:
    """The phone's events from the one before the loss to the one that ended it."""
    mine = shown.log.events.filter(pl.col("peer") == row["peer"]).sort("time", maintain_order=True)
    before = mine.filter(pl.col("time") < row["start"]).tail(2)
    during = mine.filter(pl.col("time").is_between(row["start"], row["end"] or row["start"]))
    return pl.concat([before, during.head(_MOST_LINES)])


def _text(event: dict[str, Any], found: Mask | None) -> dict[str, Any]:
    try:
        text = next(
            line.text for line in lines_around(event["file"], event["offset"], before=0, after=0) if line.is_hit
        )
    except (OSError, StarfaceError, StopIteration):  # the log was moved since it was read: its place is still known
        text = "…"
    return {"line": event["line"], "text": visible((found.line(text) if found else text).rstrip("\r\n"), _LONGEST)}
