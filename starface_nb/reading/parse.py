"""From one file's candidate lines to its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.reading import belief, clock, layouts
from starface_nb.reading.calls import calls
from starface_nb.reading.context import bytes_between
from starface_nb.reading.hits import Hits
from starface_nb.reading.messages import decode
from starface_nb.reading.pauses import find_pauses, without_strays
from starface_nb.reading.process import one_per_start_and_stop
from starface_nb.reading.schemas import EVENTS, UNPARSED
from starface_nb.reading.stamps import read_stamps

NEARBY_BYTES = 64 << 20
TEXT_LIMIT = 1000
_MORE_STEPS = 5
_STAMPS_AT_ONCE = 50_000
_TWO_WAYS = r"^(\d{1,2})[/-](\d{1,2})[/-]\d+\D"


@dataclass(frozen=True)
class Parsed:
    """What one file gave.

    Attributes
    ----------
    rows : polars.DataFrame
        As in `hits`, with `time` (UTC) and `doubt` (why a line is not believed).
    events, unparsed, calls, pauses : polars.DataFrame
        As declared in `schemas` and `pauses`, in the file's order.
    first, last : datetime or None
        Time of its first and last line that has one, aware, UTC.
    notes : tuple of str
    """

    hits: Hits
    rows: pl.DataFrame
    events: pl.DataFrame
    unparsed: pl.DataFrame
    calls: pl.DataFrame
    pauses: pl.DataFrame
    first: datetime | None
    last: datetime | None
    notes: tuple[str, ...]


def parse(hits: Hits, time_zone: ZoneInfo, *, year: int | None = None) -> Parsed:
    """Parse one file's candidate lines.

    Parameters
    ----------
    hits : Hits
    time_zone : ZoneInfo
        Zone of the local times.
    year : int, optional
        Year of the file's first line, for stamps that have none.
    """
    headed, console = belief.habits(hits.rows)
    rows = belief.with_glued(belief.with_swallowed(hits.rows, hits.prefix, headed=headed), hits.prefix)
    rows, notes = _timed(belief.judged(rows, headed=headed, console=console), hits, time_zone, year)
    if hits.newest_first:
        notes.insert(0, f"{hits.name}: its newest line comes first; read from its end to its beginning.")
    told = (pl.col("role") == "gap") & pl.col("doubt").is_null() & pl.col("line").is_not_null()
    gaps = rows.filter(told).select(pl.min("line"), pl.col("detail").cast(pl.Int64).sum()).drop_nulls()
    for line, n in gaps.iter_rows():
        notes.append(f"{hits.name}: {n} log messages were discarded, first before line {line}; evidence is missing.")
    events, unparsed = _split(rows.with_row_index("row"), hits)
    known = without_strays(rows)
    first, last = (known["time"][0], known["time"][-1]) if known.height else (None, None)
    if first and last and first > last:  # a clock that was put back, or lines in no order: still no span below zero
        first, last = known["time"].sort()[[0, -1]]
    pauses = find_pauses(known, hits.name)
    return Parsed(hits, rows, events, unparsed, calls(rows, hits.name), pauses, first, last, tuple(notes))


def _timed(rows: pl.DataFrame, hits: Hits, time_zone: ZoneInfo, year: int | None) -> tuple[pl.DataFrame, list[str]]:
    """Add `time` (UTC) to the rows, and say what was noticed."""
    formats = hits.date_formats
    believed = rows.select(pl.when(pl.col("doubt").is_null()).then("stamp").otherwise(pl.lit("")))
    written = clock.date_in_name(hits.name)
    now = datetime.now(UTC)
    dated = hits.modified if hits.modified and hits.modified < now + timedelta(days=1) else now  # or a clock was wrong
    newest = written or dated.astimezone(time_zone).replace(tzinfo=None)
    two_ways = believed.select(pl.nth(0).filter(pl.nth(0) != "").first().str.contains(_TWO_WAYS)).item()
    pieces = believed.iter_slices(rows.height if two_ways else _STAMPS_AT_ONCE)  # all days together tell the order
    stamps = pl.concat(read_stamps(piece.to_series(), formats, newest) for piece in pieces)
    local, offset, notes, in_order = clock.micros(stamps["local"]), rows["offset"].to_numpy(), list[str](), True
    if parts := clock.parts_in_order(local):
        place, in_order = np.concatenate([np.arange(local.size)[part] for part in parts]), False
        rows, stamps, local, offset = rows[place], stamps[place], local[place], np.arange(local.size)
        notes.append(f"{hits.name}: its {len(parts)} parts are not in the order of time; put in that order.")
    local, inferred = clock.with_years(local, newest, year)
    nearby = partial(_all_times, hits, formats, newest, (offset, local))
    absolute = clock.micros(stamps["utc"])
    in_zone = np.where(absolute == clock.NOT_A_TIME, local, clock.NOT_A_TIME)
    utc, impossible, once = clock.to_utc(in_zone, offset, time_zone.key, nearby if in_order else None)
    time = np.where(absolute != clock.NOT_A_TIME, absolute, utc)
    if inferred:
        notes.append(_year_note(hits, time, time_zone, year, written))
    if impossible:
        notes.append(
            f"{hits.name}: {impossible} lines have times that {time_zone.key} does not know (spring forward); "
            "is the time zone right?"
        )
    if once:
        notes.append(f"{hits.name}: the hour that {time_zone.key} has twice stands only once; is the time zone right?")
    notes += _order_note(hits.name, rows["stamp"], stamps["local"]) if two_ways and not formats else []
    notes += _step_notes(hits, rows, time)
    unknown = time == clock.NOT_A_TIME
    series = pl.Series("time", np.where(unknown, 0, time)).cast(UTC_TIME)
    return rows.with_columns(pl.when(pl.Series(~unknown)).then(series).alias("time")), notes


def _all_times(
    hits: Hits, formats: tuple[str, ...], newest: datetime, near: Sequence[clock.Micros], start: int, end: int
) -> tuple[clock.Micros, clock.Micros]:
    """Return offsets and local times of all lines between two byte offsets, none where they are far apart."""
    raw = (bytes_between(hits.name, start, end) if end - start <= NEARBY_BYTES else b"").split(b"\n")
    offset, local = near
    at = clock.datetime_of(int(local[min(int(np.searchsorted(offset, start)), offset.size - 1)])) or newest
    offsets = start + np.cumsum([0, *(len(text) + 1 for text in raw[:-1])])
    stamps = layouts.read_headers(decode([text[:200] for text in raw]))["stamp"]
    times, _ = clock.with_years(clock.micros(read_stamps(stamps, formats, newest)["local"]), at + timedelta(days=2))
    known = times != clock.NOT_A_TIME
    return offsets[known].astype(np.int64), times[known]


def _year_note(hits: Hits, time: clock.Micros, zone: ZoneInfo, year: int | None, written: datetime | None) -> str:
    known = time[time != clock.NOT_A_TIME]
    first, last = (datetime.fromtimestamp(int(t) / 1e6, zone).year for t in (known[0], known[-1]))
    span = str(first) if first == last else f"{first} to {last}"
    source = "as given" if year is not None else ("from the file's name" if written else "from the file's time")
    return f"{hits.name}: the lines name no year; taken as {span} ({source}, or from lines that do name it)."


def _order_note(name: str, stamp: pl.Series, local: pl.Series) -> list[str]:
    """Say so where no line tells whether dates begin with the day or with the month."""
    rows = pl.DataFrame({"stamp": stamp, "local": local}).filter(pl.col("local").is_not_null())
    first, second = (rows["stamp"].str.extract(_TWO_WAYS, i).cast(pl.Int8) for i in (1, 2))
    differ = rows.filter(first != second)
    if not differ.height or ((first > 12) | (second > 12)).any():
        return []
    text, taken = differ.select("stamp", pl.col("local").dt.date()).row(0)
    note = (
        f"{name}: no line of it tells whether {text} begins with the day or the month; taken as {taken}. "
        "A logger.conf beside the log would tell."
    )
    return [note]


def _step_notes(hits: Hits, rows: pl.DataFrame, time: clock.Micros) -> list[str]:
    back = clock.steps_back(time)
    known = np.flatnonzero(time != clock.NOT_A_TIME)
    notes = []
    for i in back[:_MORE_STEPS]:
        before = known[np.searchsorted(known, i) - 1]
        seconds = (time[before] - time[i]) / 1e6
        line = rows["line"][int(i)]
        place = f"line {line}" if line is not None else f"byte {rows['offset'][int(i)]}"
        notes.append(f"{hits.name}: {place}: the clock goes back by {seconds:,.0f} s.")
    if back.size > _MORE_STEPS:
        notes.append(f"{hits.name}: {back.size - _MORE_STEPS} more steps of the clock backwards.")
    return notes


def _split(rows: pl.DataFrame, hits: Hits) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events, and the lines that only look like one with the reason."""
    unfinished = -1 if hits.unfinished is None else hits.unfinished
    candidate = pl.col("line").is_not_null()
    lost = pl.when(pl.col("doubt").is_null() & (pl.col("stamp") != "") & pl.col("time").is_null()).then(
        pl.lit(belief.UNTIMED)
    )
    found = rows.filter(candidate & pl.col("kind").is_not_null())
    found = found.with_columns(pl.coalesce("doubt", lost).alias("reason"), pl.lit(hits.name).alias("file"))
    events = one_per_start_and_stop(found.filter(pl.col("reason").is_null()))
    rest = rows.filter(pl.col("entry").is_null() & (candidate | (pl.col("offset") == unfinished)))
    rest = rest.filter(belief.looks_like_event(unfinished)).with_columns(belief.why_not(unfinished).alias("reason"))
    columns = ["line", "offset", "reason", "text", "stamp"]
    unparsed = pl.concat([found.filter(pl.col("reason").is_not_null()).select(columns), rest.select(columns)])
    unparsed = unparsed.sort("offset")
    unparsed = unparsed.with_columns(
        pl.lit(hits.name).alias("file"),
        # of a line whose usual stamp is no time, such as 25:61:61, the text was not kept
        pl.col("text").fill_null(pl.format("[{}] …", "stamp")).str.slice(0, TEXT_LIMIT),
        pl.col("line").fill_null(hits.lines),
    )
    return EVENTS.check(events), UNPARSED.check(unparsed)
