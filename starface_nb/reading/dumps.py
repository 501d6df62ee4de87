"""Dumps of SIP messages: where text from the network stands in a log, which may imitate any line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starface_nb.errors import InputError
from starface_nb.reading.context import read_range
from starface_nb.reading.layouts import CUT_AT
from starface_nb.reading.lines import Offsets
from starface_nb.reading.messages import decode

_DATA = Path(__file__).with_name("layouts.toml")
# A received SIP message is at most a UDP datagram or chan_sip's TCP limit; a dump without its end within this is cut.
DUMP_BYTES = 128 << 10
_READ_BYTES = 70 << 10
_MARKS = {"offset": pl.Int64, "bytes": pl.Int64, "begin": pl.Boolean, "end": pl.Boolean, "sent": pl.Boolean}
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


def marks_near(marks: list[bytes], at: Offsets, lines: Offsets, prefix: str | None) -> pl.DataFrame:
    """Return what the marks of a stretch say, of those that may decide about a line.

    With SIP debug on there are millions, and nearly all lines stand between the end of one dump and the begin of the
    next.

    Parameters
    ----------
    marks : list of bytes, length n
        Lines with a mark.
    at : ndarray of int64, shape (n,)
        Their byte offsets, ascending.
    lines : ndarray of int64
        Byte offsets of the candidate lines in the same stretch, ascending.
    prefix : str or None
        Regex of what stands before every line.

    Returns
    -------
    polars.DataFrame
        `offset`; `bytes` (how long the dump is, null where the mark does not say); whether it begins (`begin`) or ends
        (`end`) a dump, or begins that of a sent message (`sent`).
    """
    if not marks:
        return pl.DataFrame(schema=_MARKS)
    ends = np.append(pl.Series(marks, dtype=pl.Binary).bin.contains(b"<--------").to_numpy(), [False, True])
    behind = np.searchsorted(at, lines)  # the first mark that is not before the line
    doubtful = np.concatenate([at[:1], lines[~ends[behind - 1] | ends[behind]], at[-1:]])
    near = np.searchsorted(doubtful, at - DUMP_BYTES) < np.searchsorted(doubtful, at + DUMP_BYTES)
    which = np.flatnonzero(near)
    text = decode([marks[i] for i in which]).str.replace(prefix or "^", "")
    counted, marked, sent = dumps()
    frame = pl.DataFrame({"offset": at[which], "text": text}).select(
        "offset",
        pl.col("text").str.extract(counted.begin, 1).cast(pl.Int64, strict=False).alias("bytes"),
        pl.col("text").str.contains(marked.begin).alias("begin"),
        pl.col("text").str.contains(marked.end).alias("end"),
        pl.col("text").str.contains(sent.begin).alias("sent"),
    )
    return frame.filter(pl.col("bytes").is_not_null() | pl.col("begin") | pl.col("end") | pl.col("sent"))


def in_dump(name: str, offset: Offsets, marks: pl.DataFrame) -> NDArray[np.bool_]:
    """Say for every line whether it stands in a dump.

    A dump ends where its begin says, or at the last end mark before the next begin (an end mark in the received text
    ends nothing). Where neither fits, it ends with the first blank line, as the head of a SIP message does.

    Parameters
    ----------
    name : str
        Of the file, as in `Hits.name`.
    offset : ndarray of int64, shape (n,)
        Byte offsets of the lines, ascending.
    marks : polars.DataFrame
        From `marks_near`, for the whole file.
    """
    inside = np.zeros(offset.size, dtype=np.bool_)
    rows, done = marks.rows(), 0
    for i, (start, length, begins, _, is_sent) in enumerate(rows):
        if start < done or not (begins or is_sent or length is not None):
            continue
        first = int(np.searchsorted(offset, start, "right"))
        near = offset[first] - start if first < offset.size else DUMP_BYTES
        stop = _last_end(rows, i) if begins else start + (length or 0)
        # a length may not count line ends as they are here
        reach = min(_READ_BYTES, 2 * (length or _READ_BYTES) + 1000)
        if near <= reach and not (begins and stop):
            raw = bytes_between(name, start, start + _READ_BYTES)
            stop = start + _end_of(raw, length, dumps()[2].end if is_sent else None)
        inside[first : max(first, int(np.searchsorted(offset, stop)))] = True
        done = max(done, stop)
    return inside


def _last_end(rows: list[tuple[Any, ...]], i: int) -> int:
    """Return the offset of the last end mark before the next begin, 0 where there is none.

    A begin that follows one without an end, too close for that to have been cut, stands in the received text.
    """
    first, stop = rows[i][0], 0
    for j in range(i + 1, len(rows)):
        start, ends = rows[j][0], rows[j][3]
        if start - first > DUMP_BYTES or (not ends and (stop or start - first >= CUT_AT)):
            break
        stop = start if ends else stop
    return stop


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
