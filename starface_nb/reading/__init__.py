"""From files to events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from starface_nb.reading import cache as memory
from starface_nb.reading import catalogue, clock, order
from starface_nb.reading.bundle import Bundle, put_together, zone_of
from starface_nb.reading.cache import quick_fingerprint
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.parse import Parsed, parse
from starface_nb.reading.pauses import pauses_between
from starface_nb.reading.scan import Limits, scan_logs
from starface_nb.reading.schemas import CALLS, EVENTS, UNPARSED
from starface_nb.reading.sources import beside

__all__ = ["CALLS", "EVENTS", "UNPARSED", "Bundle", "Limits", "Log", "LogFile", "read_log", "recall"]

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
    cache: str | os.PathLike[str] | None = None,
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
    cache : path, optional
        Folder in which what was read is remembered: a log that has not changed is not read again.
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
    given = clock.zone(time_zone or DEFAULT_ZONE)
    paths = [logs] if isinstance(logs, str | os.PathLike) else list(logs)
    folder = Path(cache) if cache is not None else None
    key, state = _key(paths, time_zone, year, limits), quick_fingerprint(_with_beside(paths)) if folder else ""
    if folder and "-" not in paths and (known := memory.recall(key, folder, state)):
        return known
    hits, notes = scan_logs(paths, catalogue.NEEDLES, progress=progress, limits=limits)
    hits, others = order.without_foreign(hits)
    hits, copies = order.without_copies(hits)
    found = put_together(member for hit in hits for member in hit.members)
    zone, told = zone_of(found.values("time_zone"), given, is_default=time_zone is None)
    parsed = order.in_time_order([order.without_repeats(parse(one, zone, year=year)) for one in hits])
    parsed, overlaps = order.without_overlaps(parsed)
    files = tuple(_file(p) for p in parsed)
    events = pl.concat([EVENTS.empty(), *(p.events for p in parsed)])
    hint = [] if _says_something(events) else [NOTHING_RELEVANT]
    log = Log(
        events=events,
        unparsed=pl.concat([UNPARSED.empty(), *(p.unparsed for p in parsed)]),
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
    if folder:
        for asked in {time_zone, zone.key}:
            memory.remember(_key(paths, asked, year, limits), log, state, folder)
    return log


def _with_beside(paths: list[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    """Return the paths and what lies beside those that are files: a list of peers that is new changes the answer."""
    return [*paths, *(other for path in paths if Path(path).is_file() for other in beside(Path(path)))]


def recall(
    logs: Sequence[str | os.PathLike[str]], *, time_zone: str | None, cache: str | os.PathLike[str]
) -> Log | None:
    """Return a log as `read_log` remembered it, whatever has become of its files since; None where it did not."""
    return memory.recall(_key(logs, time_zone, None, None), Path(cache))


def _key(logs: Sequence[str | os.PathLike[str]], time_zone: str | None, year: int | None, limits: Limits | None) -> str:
    return f"log|{[str(Path(log).absolute()) for log in logs]}|{time_zone}|{year}|{limits}"


def _file(parsed: Parsed) -> LogFile:
    hits = parsed.hits
    order_of = "reversed" if hits.newest_first else "forward"
    return LogFile(hits.name, hits.bytes, hits.lines, hits.fingerprint, hits.note, order_of)


def _says_something(events: pl.DataFrame) -> bool:
    return bool(events["peer"].is_not_null().any())
