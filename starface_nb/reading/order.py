"""Several files of one log: in the order of their content's time, overlapping copies read once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from starface_nb.reading import clock
from starface_nb.reading.hits import Hits
from starface_nb.reading.parse import Parsed
from starface_nb.sources import foreign

_LEAST_COPIED = 3  # events
_MOST_STRETCHES = 100
_A_SECOND = timedelta(seconds=1)
_FAR = datetime.max.replace(tzinfo=UTC)
_KEY = ("time", "kind", "peer", "tech", "address", "port", "rtt_ms", "detail", "contact")
_CALL_KEY = ("time", "call", "thread", "step", "peers")


def without_copies(hits: list[Hits]) -> tuple[list[Hits], list[str]]:
    """Drop files whose content was read already, and say so."""
    kept, notes = dict[tuple[str, int], Hits](), list[str]()
    for one in hits:
        if (first := kept.setdefault((one.fingerprint, one.bytes), one)) is not one:
            notes.append(f"{one.name}: the same content as {first.name}; read once.")
    return list(kept.values()), notes


def without_foreign(hits: list[Hits]) -> tuple[list[Hits], list[str]]:
    """Return the files that have a line of Asterisk's, and a note on each of the others.

    Raises
    ------
    InputError
        No file has one.
    """
    kept = [one for one in hits if one.is_asterisks]
    errors = [foreign.refusal(foreign.text_kind(one.ends.head), one.name) for one in hits if not one.is_asterisks]
    if errors and not kept:
        raise errors[0]
    return kept, [f"skipped: {error}" for error in errors]


def in_time_order(parsed: list[Parsed]) -> list[Parsed]:
    """Return the files by the time of their first line; files without times keep their place at the end."""
    return sorted(parsed, key=lambda p: (p.first or _FAR, p.last or _FAR))


def without_repeats(parsed: Parsed) -> Parsed:
    """Drop the events of a stretch that a file holds twice, pasted in again or saved over itself, and say so.

    A stretch begins where the time goes back. It is a copy where every event of it, within the span of a stretch
    before, stands there too; a clock that was set back does not do that.
    """
    events, calls = _once(parsed.events, _KEY), _once(parsed.calls, _CALL_KEY)
    dropped = parsed.events.height - events.height
    note = f"{parsed.hits.name}: {dropped} events stand in it twice; counted once."
    return replace(parsed, events=events, calls=calls, notes=(*parsed.notes, note)) if dropped else parsed


def _once(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return a file's rows without the stretches that are copies of others."""
    times = clock.micros(frame["time"])
    edges = [0, *clock.steps_back(times).tolist(), times.size]
    if not 2 < len(edges) < _MOST_STRETCHES:
        return frame
    kept: list[pl.DataFrame] = []
    for first, end in pairwise(edges):
        one = frame[first:end]
        for other in kept:
            one = _without_copy(one, other, key)
        kept.append(one)
    return pl.concat(kept)


def _without_copy(one: pl.DataFrame, other: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return `one` without what `other` holds too, where that is all of it within the span of `other`."""
    mine, its = (frame["time"].drop_nulls().sort() for frame in (one, other))
    if not (mine.len() and its.len()):
        return one
    start, end = max(mine[0], its[0]), min(mine[-1], its[-1])
    inside = one["time"].is_between(start, end).sum()
    left, dropped = _minus(one, other, start, end, key)
    return left if dropped == inside >= _LEAST_COPIED else one


def without_overlaps(parsed: list[Parsed]) -> tuple[list[Parsed], list[str]]:
    """Drop the events of a file that one with more events holds for the same span, and say so.

    Two exports of one log, `full` beside `messages` or beside what was found in it hold the same lines. Per distinct
    event as many are kept as the file that has most of them holds. Files that only meet at a boundary share nothing but
    that second.
    """
    kept, done, notes = list(parsed), list[tuple[Parsed, set[object]]](), list[str]()
    for place in sorted(range(len(parsed)), key=lambda at: -parsed[at].events.height):
        one, names = parsed[place], _about(parsed[place])
        for other, its in done:
            begin, end = max(one.first or _FAR, other.first or _FAR), min(one.last or _FAR, other.last or _FAR)
            if names.isdisjoint(its) or end - begin < _A_SECOND:
                continue
            events, dropped = _minus(one.events, other.events, begin, end, _KEY)
            if dropped:
                notes.append(f"{one.hits.name}: {dropped} events stand in {other.hits.name} too; counted once.")
            calls, _ = _minus(one.calls, other.calls, begin, end, _CALL_KEY)
            one = replace(one, events=events, calls=calls)
        kept[place] = one
        done.append((one, names))
    return kept, notes


def in_turns(events: pl.DataFrame, parsed: list[Parsed]) -> pl.DataFrame:
    """Return the events of all files in time where files stand beside each other, each of them in order itself."""
    spans = [(one.first, one.last) for one in parsed if one.first and one.last]
    beside = any(last - first > _A_SECOND for (_, last), (first, _) in pairwise(spans))
    in_order = beside and all(one.events["time"].drop_nulls().is_sorted() for one in parsed)
    return events.sort("time", maintain_order=True, nulls_last=True) if in_order else events


def _about(one: Parsed) -> set[object]:
    """Return the phones of a file, and the times of what is about none: most files of many customers share neither."""
    peers, called = one.events["peer"], one.calls["peers"].list.explode(empty_as_null=True)
    return {*peers.unique(), *called.unique(), *one.events["time"].filter(peers.is_null())} - {None}


def _minus(
    events: pl.DataFrame, other: pl.DataFrame, start: datetime, end: datetime, key: tuple[str, ...]
) -> tuple[pl.DataFrame, int]:
    """Return `events` without those that `other` holds too between two times, and how many were dropped."""
    within = pl.col("time").is_between(start, end)
    nth = pl.int_range(pl.len()).over(key).alias("nth")
    there = other.filter(within).select(*key, nth)
    mine = events.with_row_index("row").filter(within).select("row", *key, nth)
    copies = mine.join(there, on=[*key, "nth"], how="semi", nulls_equal=True)["row"]
    kept = events.with_row_index("row").filter(~pl.col("row").is_in(copies.implode())).drop("row")
    return kept, copies.len()
