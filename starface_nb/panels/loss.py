"""One loss, as the drawer tells it: the reason in a sentence, its cycle, its lines in the log."""

import json
from collections.abc import Iterable
from typing import Any

import polars as pl

from starface_nb.cases import Case
from starface_nb.guide import Translator
from starface_nb.guide.words import router_text
from starface_nb.reading.log import Log
from starface_nb.report.tables import events_around
from starface_nb.text import visible

_BEFORE, _AFTER, _EARLIER, _MOST_LINES, _MOST_SAID = 5, 9, 3, 14, 3
_SAME_MOMENT_S = 5


def why(log: Log, loss: dict[str, Any], tr: Translator) -> str:
    """Say in one sentence when the phone last renewed its entry, when it was lost, and how it came back.

    Parameters
    ----------
    log : Log
    loss : dict
        A row of INTERVALS with `renewed` (UTC), `since` and `minutes`, see `charts.losses.measured`.
    tr : Translator
    """
    since, lost = loss["since"], tr.time(loss["start"], "HH:mm:ss")
    text = tr("No renewal of it is known before; lost at {time};", time=lost)
    if since is not None:
        text = tr(
            "Last renewal at {renewed}, lost at {time}, {age} later;",
            renewed=tr.time(loss["renewed"], "HH:mm:ss"),
            time=lost,
            age=tr.duration(60 * since),
        )
    if loss["end"] is None:
        return text + " " + tr("still unreachable at the log's end.")
    lasted = tr.duration(loss["seconds"])
    if _registered_again(log, loss):
        return text + " " + tr("back after {duration}, when it registered again.", duration=lasted)
    return text + " " + tr("back after {duration}.", duration=lasted)


def _registered_again(log: Log, loss: dict[str, Any]) -> bool:
    near = (pl.col("time") - pl.lit(loss["end"])).dt.total_seconds().abs() <= _SAME_MOMENT_S
    return log.events.filter(pl.col("peer") == loss["peer"], pl.col("kind") == "registered", near).height > 0


def cycle(log: Log, loss: dict[str, Any], keepalive: float, tr: Translator) -> dict[str, Any] | None:
    """Return where loss, return and the next renewal due lie on a line from 10 to 410; None without a renewal.

    The line reaches over one keepalive (minutes), or over the loss where that is longer.
    """
    if loss["since"] is None:
        return None
    lost, back = loss["since"], loss["since"] + loss["minutes"]
    whole = max(keepalive, back, 0.1)
    at = {name: round(10 + 400 * x / whole, 1) for name, x in (("lost", lost), ("back", back), ("due", keepalive))}
    ended = tr("still open") if loss["end"] is None else tr("answered again")
    return {**at, "ended": ended, "about": why(log, loss, tr)}


def by_router(case: Case, rows: Iterable[int]) -> list[str]:
    """Return what the router's own log says of losses, each sentence once, a few of them."""
    evidence, tr = case.diagnosis.intervals["evidence"].gather([*rows]), case.translator
    told = evidence.filter(evidence.str.contains('"router"', literal=True))  # of many losses few, or none
    said = dict.fromkeys(router_text(json.loads(one), tr) for one in told)
    return [text for text in said if text][:_MOST_SAID]


def lines_of(log: Log, loss: dict[str, Any], *, everyone: bool) -> list[tuple[str, str, bool]]:
    """Return (place, text, whether it is the loss itself) of lines: the phone's own around the loss, or everyone's.

    Raises
    ------
    InputError
        The log is no longer where it was.
    """
    if everyone:
        around = log.context({"file": loss["file"], "offset": loss["offset"]}, _BEFORE, _AFTER).lines
        first = loss["line"] - next(n for n, line in enumerate(around) if line.is_hit)
        return [(_place(loss["file"], first + n), visible(x.text), x.is_hit) for n, x in enumerate(around)]
    shown = []
    for event in events_around(log, loss, loss["end"], _EARLIER, _MOST_LINES):
        (line,) = log.context({"file": event["file"], "offset": event["offset"]}, 0, 0).lines
        shown.append((_place(event["file"], event["line"]), visible(line.text), event["offset"] == loss["offset"]))
    return shown


def _place(file: str, line: int) -> str:
    return f"{visible(file.replace(chr(92), '/').rsplit('/', 1)[-1])}:{line}"
