"""From files to events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from starface_nb.bundle.facts import Bundle, put_together, zone_of
from starface_nb.reading import catalogue, clock, order
from starface_nb.reading.belief import UNTIMED
from starface_nb.reading.hits import Hits
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.parse import parse
from starface_nb.reading.pauses import pauses_between
from starface_nb.reading.scan import Limits, scan_logs
from starface_nb.reading.schemas import CALLS, EVENTS, UNPARSED

__all__ = ["CALLS", "EVENTS", "UNPARSED", "Bundle", "Limits", "Log", "LogFile", "read_log"]

DEFAULT_ZONE = "Europe/Berlin"
NOTHING_RELEVANT = (
    "No reachability or registration message was found. Was qualify on for the phones, and does the log's level "
    "include NOTICE (and VERBOSE, for PJSIP and for registrations)?"
)


def read_log(
    logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    time_zone: str | None = None,
    progress: bool = True,
    year: int | None = None,
    limits: Limits | None = None,
) -> Log:
    """Read one log: all its files, in the order of their content's time.

    Parameters
    ----------
    logs : path or sequence of paths
        Files, compressed files, archives (support bundles), folders, globs; `-` is standard input.
    time_zone : str, optional
        Zone of the log's local times; None: as a support bundle says, or else Europe/Berlin.
    progress : bool
        Show progress on anything longer than a second.
    year : int, optional
        Year of the first line of every file whose lines name none; otherwise it is inferred.
    limits : Limits, optional
        What a source may cost at most.

    Returns
    -------
    Log

    Raises
    ------
    InputError
        A source is missing, empty, damaged, encrypted or refused, or no line of any file is Asterisk's.
    SettingError
        The time zone does not exist.
    """
    given = clock.zone(DEFAULT_ZONE if time_zone is None else time_zone)
    paths = [logs] if isinstance(logs, str | os.PathLike) else list(logs)
    hits, notes = scan_logs(paths, catalogue.NEEDLES, progress=progress, limits=limits)
    wrong = [] if (limits or Limits()).allow_damaged else [one for one in hits if one.damage and one.damage.corrupt]
    notes += [f"skipped: {one.damage}" for one in wrong]
    hits, others = order.without_foreign([one for one in hits if all(one is not other for other in wrong)])
    hits, copies = order.without_copies(hits)
    found = put_together(member for hit in hits for member in hit.members)
    zone, told = zone_of(found.values("time_zone"), given, is_default=time_zone is None)
    parsed = order.in_time_order([order.without_repeats(parse(one, zone, year=year)) for one in hits])
    parsed, overlaps = order.without_overlaps(parsed)
    files = tuple(map(_file, (*(p.hits for p in parsed), *(replace(one, lines=0) for one in wrong))))
    events = order.in_turns(pl.concat([EVENTS.empty(), *(p.events for p in parsed)]), parsed)
    unparsed = pl.concat([UNPARSED.empty(), *(p.unparsed for p in parsed)])
    hint = [] if events["peer"].is_not_null().any() else [NOTHING_RELEVANT]
    if (untimed := unparsed.filter(pl.col("reason") == UNTIMED)).height:
        hint = [_untimed_note(untimed)]
    return Log(
        events=events,
        unparsed=unparsed,
        calls=pl.concat([CALLS.empty(), *(p.calls for p in parsed)]),
        bundle=found,
        pauses=pl.concat(
            [*(p.pauses for p in parsed), pauses_between([(p.hits.name, p.first, p.last) for p in parsed])]
        ),
        files=files,
        time_zone=zone.key,
        first=min((p.first for p in parsed if p.first), default=None),
        last=max((p.last for p in parsed if p.last), default=None),
        notes=(*notes, *others, *told, *copies, *(note for p in parsed for note in p.notes), *overlaps, *hint),
        piped={one.name: one.content for one in hits if one.content is not None},
    )


def _untimed_note(lines: pl.DataFrame) -> str:
    (file, line), n = lines.select("file", "line").row(0), f"{lines.height:,}"
    return (
        f"{file}: line {line}: its time stamp cannot be read, one of {n} such lines that look like messages. "
        "Lay the PBX's logger.conf beside the log, which names the format."
    )


def _file(hits: Hits) -> LogFile:
    order_of, damaged = "reversed" if hits.newest_first else "forward", hits.damage is not None
    cut = hits.rows.filter(pl.col("offset").eq_missing(hits.unfinished), pl.col("entry").is_null()).height > 0
    return LogFile(hits.name, hits.bytes, hits.lines, hits.fingerprint, hits.note, order_of, damaged, cut)
