"""Dumps of SIP messages: where text from the network stands in a log, which may imitate any line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starface_nb.errors import InputError
from starface_nb.reading.context import read_range
from starface_nb.reading.layouts import CUT_AT

_DATA = Path(__file__).with_name("layouts.toml")
# A received SIP message is at most a UDP datagram or chan_sip's TCP limit; a dump without its end within this is cut.
DUMP_BYTES = 128 << 10
_READ_BYTES = 70 << 10
_BEHIND_HEADER = r"(?:^|: |\] )"


@dataclass(frozen=True)
class Dump:
    """One way a dump begins and ends; see the foot of `layouts.toml`."""

    name: str
    begin: str
    source: str
    samples: tuple[str, ...]
    end: str = ""


@cache
def dumps() -> tuple[Dump, ...]:
    """Return the kinds of dumps."""
    with _DATA.open("rb") as file:
        found = tomllib.load(file)["dump"]
    return tuple(Dump(**{**d, "begin": _BEHIND_HEADER + d["begin"], "samples": tuple(d["samples"])}) for d in found)


def bytes_between(name: str, start: int, end: int) -> bytes:
    """Return a stretch of the log, or nothing where it can be read only once (a pipe)."""
    try:
        return read_range(name, start, end)
    except InputError:
        return b""


def in_dump(rows: pl.DataFrame, name: str) -> NDArray[np.bool_]:
    """Say for every row whether it stands in a dump.

    A dump ends where its begin says, or at the last end mark before the next begin (an end mark in the received text
    ends nothing). Where neither fits, it ends with the first blank line, as the head of a SIP message does.

    Parameters
    ----------
    rows : polars.DataFrame
        Lines in the file's order, with `offset` and `body`.
    name : str
        The file they stand in.
    """
    inside = np.zeros(rows.height, dtype=np.bool_)
    marks = rows.with_row_index("at").filter(pl.col("body").str.contains("<---|ransmitting "))
    if not marks.height:
        return inside
    counted, marked, sent = dumps()
    text = pl.col("body")
    marks = marks.select(
        "at",
        text.str.extract(counted.begin, 1).cast(pl.Int64, strict=False).alias("bytes"),
        text.str.contains(marked.begin).alias("begin"),
        text.str.contains(marked.end).alias("end"),
        text.str.contains(sent.begin).alias("sent"),
    ).filter(pl.col("bytes").is_not_null() | pl.col("begin") | pl.col("end") | pl.col("sent"))
    offset = rows["offset"].to_numpy()
    marks = _near_other_rows(marks, offset)
    ends = _last_ends(marks, offset)
    for at, length, begin, _, is_sent in marks.iter_rows():
        if inside[at] or at + 1 == offset.size or not (begin or is_sent or length is not None):
            continue
        if begin and at in ends:
            inside[at + 1 : ends[at]] = True
        elif offset[at + 1] - offset[at] <= _READ_BYTES:
            raw = bytes_between(name, int(offset[at]), int(offset[at]) + _READ_BYTES)
            stop = offset[at] + _end_of(raw, length, sent.end if is_sent else None)
            inside[at + 1 : int(np.searchsorted(offset, stop))] = True
    return inside


def _near_other_rows(marks: pl.DataFrame, offset: NDArray[np.int64]) -> pl.DataFrame:
    """Return the marks that another row is near to: with SIP debug on there are millions, and few matter."""
    others = np.delete(offset, marks["at"].to_numpy())
    at = offset[marks["at"].to_numpy()]
    after = np.append(others, np.iinfo(np.int64).max)[np.searchsorted(others, at)] - at
    before = at - np.insert(others, 0, -2 * DUMP_BYTES)[np.searchsorted(others, at)]
    return marks.filter(pl.Series((after <= DUMP_BYTES) | (before <= DUMP_BYTES)))


def _last_ends(marks: pl.DataFrame, offset: NDArray[np.int64]) -> dict[int, int]:
    """Return, for every begin that has one, the row of the last end mark before the next begin."""
    ends: dict[int, int] = {}
    begin: int | None = None
    for at, is_begin in marks.filter(pl.col("begin") | pl.col("end")).select("at", "begin").iter_rows():
        if is_begin:
            begin = at
        elif begin is not None and offset[at] - offset[begin] <= DUMP_BYTES:
            ends[begin] = at
    return ends


def _end_of(raw: bytes, length: int | None, end_mark: str | None) -> int:
    """Return where in `raw`, which begins with a dump's first line, the dump ends."""
    body = raw.find(b"\n") + 1
    if length is not None and raw[body + length : body + length + 1] in (b"\n", b"\r"):
        return body + length
    if end_mark:
        found = re.compile(end_mark.replace("$", r"\r?$").encode(), re.M).search(raw)
        if found:
            return found.start()
    blank = re.compile(rb"\n\r?\n").search(raw, body - 1, body + CUT_AT)
    return blank.start() if blank else 0
