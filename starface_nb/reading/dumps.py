"""Dumps of SIP messages: where text from the network stands in a log, which may imitate any line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from starface_nb.reading.layouts import CUT_AT, HEADER
from starface_nb.reading.lines import NONE, Block, Blocks, Found, Offsets

_DATA = Path(__file__).with_name("layouts.toml")
# A received SIP message is at most a UDP datagram or chan_sip's TCP limit; a dump without its end within this is cut.
DUMP_BYTES = 128 << 10
_READ_BYTES = 70 << 10
_BEHIND_HEADER = r"(?:^|: |\] )"
_COUNTED, _MARKED, _END, _ODD = 1, 2, 3, 4  # what a mark begins or ends, as far as its first bytes tell
_LINE_END = r"[\r\0 \t]*$"
_BRACKETS = (26, 27, 30, 31)  # where the length stands behind `<--- Received SIP request`, `... Transmitting SIP response`
_BEGINS = np.array([b"SIP read", b"Reliably", b"Transmit", b"Received"]).view("<u8")
_DASHES = np.frombuffer(b"-" * 8, "<u8")[0]
_MOST_CUT_ENTRIES = 1000  # of one file, that are looked for
_HEADER = re.compile(HEADER.encode())


@dataclass(frozen=True)
class Dump:
    """One way a dump begins and ends; see the foot of `layouts.toml`."""

    name: str
    begin: str
    source: str
    samples: tuple[str, ...]
    end: str = ""

    @cached_property
    def begin_line(self) -> re.Pattern[bytes]:
        """What a line that begins it holds; it may end with a carriage return or blanks."""
        return re.compile(self.begin.replace("$", _LINE_END).encode())

    @cached_property
    def end_line(self) -> re.Pattern[bytes]:
        """What a line is that ends it."""
        return re.compile(self.end.replace("$", _LINE_END).encode())


@cache
def dumps() -> tuple[Dump, ...]:
    """Return the kinds of dumps: one that says its length, one with marks, one that is sent."""
    with _DATA.open("rb") as file:
        found = tomllib.load(file)["dump"]
    return tuple(Dump(**{**d, "begin": _BEHIND_HEADER + d["begin"], "samples": tuple(d["samples"])}) for d in found)


@dataclass(frozen=True)
class Placed:
    """A block's candidates with what the bytes around them tell.

    Attributes
    ----------
    dumped : ndarray of bool
        The line stands in a dump.
    entry_begins : list of int or None
        Of a line that holds another entry's header further on: where the entry begins that it is a part of.
    """

    found: Found
    dumped: NDArray[np.bool_]
    entry_begins: list[int | None]


@dataclass(frozen=True)
class _Marks:
    """The marks of a stretch, as far as their first bytes tell: where, what kind, where a dump of known length ends."""

    at: Offsets
    kind: NDArray[np.int8]
    stop: Offsets
    sent_ends: Offsets

    def followed_by(self, other: _Marks) -> _Marks:
        names = ("at", "kind", "stop", "sent_ends")
        return _Marks(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


_NO_MARKS = _Marks(NONE, np.empty(0, np.int8), NONE, NONE)


@dataclass(frozen=True)
class _Mark:
    """A line that surely begins or ends a dump; `stop` is known of one that was sent."""

    at: int
    length: int | None = None
    begins: bool = False
    ends: bool = False
    stop: int = 0


class Dumps:
    """Says which lines of a file stand in dumps, while the blocks around them are in memory.

    A dump ends where its begin says, or at the last end mark before the next begin (an end mark in the received text
    ends nothing). Where neither fits, it ends with the first blank line, as the head of a SIP message does.

    Parameters
    ----------
    prefix : str or None
        Regex of what stands before every line.
    """

    def __init__(self, prefix: str | None) -> None:
        self._prefix = re.compile((prefix or "").encode())
        self._blocks: list[Block] = []  # the one before, this one, the next one
        self._done = 0  # the latest dump ends here
        self._dumps = [(NONE, NONE, NONE)] * 3  # begins and ends of dumps, sent ends: of the first, previous, this block
        self._cut_entries = 0

    def placed(self, found: Iterable[Found], blocks: Blocks) -> Iterator[Placed]:
        """Yield the blocks' candidates, each when the block behind it is known, and give the blocks back."""
        last: tuple[Found, _Marks] | None = None
        for one in chain(found, [None]):
            following = one and (one, _marks(one))
            if last:
                if len(self._blocks) == 3:  # noqa: PLR2004 (before, this and next one)
                    blocks.give_back(self._blocks.pop(0))
                self._blocks += [following[0].block] if following else []
                yield self._place(*last, following[1] if following else _NO_MARKS)
            elif following:
                self._blocks = [following[0].block]
            last = following

    def _place(self, this: Found, marks: _Marks, following: _Marks) -> Placed:
        done, both = self._done, marks.followed_by(following)
        begins, ends = self._extents(both, this.block.start + this.block.end - this.block.begin, this.offsets)
        if done > this.block.start:
            begins, ends = np.append(this.block.start - 1, begins), np.append(done, ends)
        self._dumps = [self._dumps[0] if this.block.number else (begins, ends, both.sent_ends), self._dumps[2], (begins, ends, both.sent_ends)]
        inside = self._inside(this.offsets, begins, ends, both.sent_ends)
        return Placed(this, inside, [self._entry_begin(*line) for line in zip(this.offsets.tolist(), this.texts, strict=True)])

    def among_ends(self, offsets: list[int], head: bytes) -> NDArray[np.bool_]:
        """Say of the file's first and last lines which stand in dumps, once it has ended."""
        if not self._blocks:
            return np.zeros(len(offsets), np.bool_)
        at = min(len(head), self._blocks[0].start)
        self._blocks.insert(0, Block(bytearray(head[:at]), 0, 0, 0, 0, at))
        begins, ends, sent_ends = (np.concatenate(some) for some in zip(*self._dumps, strict=True))
        order = np.argsort(begins, kind="stable")
        return self._inside(np.array(offsets, np.int64), begins[order], ends[order], np.unique(sent_ends))

    def _inside(self, offsets: Offsets, begins: Offsets, ends: Offsets, sent_ends: Offsets) -> NDArray[np.bool_]:
        """Say which lines stand in one of these dumps, or in that of a sent message, looked for before its end."""
        which = np.searchsorted(begins, offsets) - 1
        inside = (which >= 0) & (offsets < np.append(ends, 0)[which])
        following = np.searchsorted(sent_ends, offsets, "right")
        gap = np.append(sent_ends, np.iinfo(np.int64).max)[following] - offsets
        doubtful = np.flatnonzero(~inside & (gap <= _READ_BYTES))
        if doubtful.size:
            for some in np.split(doubtful, np.flatnonzero(np.diff(following[doubtful]) | np.diff(which[doubtful])) + 1):
                first, last = int(some[0]), int(some[-1])
                end, dump = int(following[first]), int(which[first])
                low = max(int(sent_ends[end - 1]) if end else 0, int(ends[dump]) if dump >= 0 else 0)
                begin = self._sent_begin(max(low, int(offsets[first]) - _READ_BYTES), int(offsets[last]))
                inside[some] = False if begin is None else offsets[some] > begin
        return inside

    def _extents(self, marks: _Marks, border: int, offsets: Offsets) -> tuple[Offsets, Offsets]:
        """Return begins and ends of the dumps that begin before an offset; where marks are in the usual order, at once."""
        here = int(np.searchsorted(marks.at, border))
        if not here:
            return NONE, NONE
        kind, behind = np.append(marks.kind, [0, 0]), np.append(marks.at, np.iinfo(np.int64).max)[1 : here + 1]
        at, first, second, third = marks.at[:here], kind[:here], kind[1 : here + 1], kind[2 : here + 2]
        marked = (first == _MARKED) & (second == _END) & (third != _END) & (third != _ODD) & (behind - at <= DUMP_BYTES)
        counted = (first == _COUNTED) & (marks.stop[:here] <= behind)
        for i in np.flatnonzero(counted & (marks.stop[:here] >= border)):
            counted[i] = self._bytes(stop := int(marks.stop[i]), stop + 1) in (b"\n", b"\r")
        if at[0] >= self._done and bool((marked | counted | (first == _END)).all()):
            begins, ends = at[marked | counted], np.where(counted, marks.stop[:here], behind)[marked | counted]
            used = np.searchsorted(begins, offsets) - 1
            used = np.unique(used[(used >= 0) & (offsets < np.append(ends, 0)[used])])
            if all(self._mark(int(begin)) for begin in begins[used]):
                self._done = int(ends[-1]) if ends.size else self._done
                return begins, ends
        return self._walked(marks, border)

    def _walked(self, marks: _Marks, border: int) -> tuple[Offsets, Offsets]:
        """Do the same mark by mark, looking at each whole line."""
        sure = [mark for at in marks.at.tolist() if (mark := self._mark(at))]
        low = self._done
        for end in marks.sent_ends.tolist():
            begin = self._sent_begin(max(low, end - _READ_BYTES), end)
            sure += [] if begin is None else [_Mark(begin, stop=end)]
            low = end
        sure.sort(key=lambda mark: mark.at)
        begins, ends = [], []
        for i, mark in enumerate(sure):
            if mark.at >= border:
                break
            if mark.at >= self._done and not mark.ends:
                stop = mark.stop or (_last_end(sure, i) if mark.begins else 0)
                stop = stop or mark.at + _end_of(self._bytes(mark.at, mark.at + _READ_BYTES), mark.length)
                begins.append(mark.at)
                ends.append(stop)
                self._done = max(self._done, stop)
        return np.array(begins, np.int64), np.array(ends, np.int64)

    def _bytes(self, start: int, stop: int) -> bytes:
        return b"".join(block.bytes_between(start, stop) for block in self._blocks)

    def _mark(self, at: int) -> _Mark | None:
        """Return what the line around a mark surely is, None where it only has the look of it."""
        before = self._bytes(max(0, at - CUT_AT), at)
        line = before[before.rfind(b"\n") + 1 :] + self._bytes(at, at + CUT_AT).partition(b"\n")[0]
        line = line[found.end() :] if (found := self._prefix.match(line)) else line
        counted, marked, _ = (one.begin_line for one in dumps())
        if found := counted.search(line):
            return _Mark(at, length=int(found[1]))
        begins, ends = bool(marked.search(line)), bool(dumps()[1].end_line.search(line))
        return _Mark(at, begins=begins, ends=ends) if begins or ends else None

    def _sent_begin(self, start: int, stop: int) -> int | None:
        """Return where the first line between two offsets stands that begins the dump of a sent message."""
        raw, at, sent = self._bytes(start, stop), 0, dumps()[2].begin_line
        while (at := raw.find(b"ransmitting", at)) >= 0:
            first, behind = raw.rfind(b"\n", 0, at) + 1, raw.find(b"\n", at) % (len(raw) + 1)
            line = raw[first:behind]
            if sent.search(line[found.end() :] if (found := self._prefix.match(line)) else line):
                return start + first
            at = behind
        return None

    def _entry_begin(self, offset: int, text: bytes) -> int | None:
        if text.startswith(b"[") or self._cut_entries >= _MOST_CUT_ENTRIES or not _HEADER.search(text, 1):
            return None
        self._cut_entries += 1
        raw = self._bytes(max(0, offset - 2 * CUT_AT), offset)
        at, begin = offset - len(raw), None
        for line in raw.split(b"\n")[:-1]:
            begin = at if _HEADER.match(line) else begin
            at += len(line) + 1
        return begin


def _marks(found: Found) -> _Marks:
    """Tell the kinds of a block's marks apart by their first bytes."""
    block, text = found.block, np.frombuffer(found.block.buffer, np.uint8)
    shift = block.begin - block.start
    at = found.marks + shift
    behind = text[at[:, None] + np.arange(5, 13)].view("<u8")[:, 0]
    counted = (behind == _BEGINS[3]) | ((behind == _BEGINS[2]) & (text[at + 18] == ord("S")))
    kind = np.where(np.isin(behind, _BEGINS), np.where(counted, _COUNTED, _MARKED), 0).astype(np.int8)
    dashes = text[at[:, None] + np.arange(1, 9)].view("<u8")[:, 0] == _DASHES
    rest = text[at[:, None] + np.arange(9, 16)]
    newline, arrow = (rest == 10) | (rest == 13), rest == ord(">")
    short, long = arrow[:, 4] & newline[:, 5], (rest[:, 4] == ord("-")) & arrow[:, 5] & newline[:, 6]
    usual = (rest[:, :4] == ord("-")).all(1) & (short | long) & (text[at - 1] == 10) & (at > block.begin)
    kind[dashes] = np.where(usual[dashes], _END, _ODD)
    stop = np.zeros(at.size, np.int64)
    if counted.any():
        stop[counted] = _stops(found.block.buffer, text, at[counted]) - shift
    kind[counted & (stop <= found.marks)] = _ODD
    near = counted & (stop < block.start + block.end - block.begin)
    kind[near] = np.where(np.isin(text[stop[near] + shift], (10, 13)), kind[near], _ODD)
    some = kind != 0
    return _Marks(found.marks[some], kind[some], stop[some], found.sent_ends)


def _stops(buffer: bytearray, text: NDArray[np.uint8], at: Offsets) -> Offsets:
    """Return where dumps end that say their length behind a bracket; 0 where they do not."""
    opening = np.zeros(at.size, np.int64)
    for behind in _BRACKETS:
        opening = np.where((text[at + behind] == ord("(")) & (opening == 0), at + behind, opening)
    length, reading = np.zeros(at.size, np.int64), opening > 0
    for place in range(1, 7):
        digit = text[opening + place].astype(np.int64) - ord("0")
        reading &= (digit >= 0) & (digit <= 9)  # noqa: PLR2004
        length = np.where(reading, 10 * length + digit, length)
    bodies = np.array([buffer.find(b"\n", mark) + 1 for mark in at.tolist()], np.int64)
    return np.where(opening > 0, bodies + length, 0)


def _last_end(marks: list[_Mark], i: int) -> int:
    """Return the offset of the last end mark before the next begin, 0 where there is none.

    A begin that follows one without an end, too close for that to have been cut, stands in the received text.
    """
    first, stop = marks[i].at, 0
    for mark in marks[i + 1 :]:
        if mark.at - first > DUMP_BYTES or (not mark.ends and (stop or mark.at - first >= CUT_AT)):
            break
        stop = mark.at if mark.ends else stop
    return stop


def _end_of(raw: bytes, length: int | None) -> int:
    """Return where in `raw`, which begins within a dump's first line, the dump ends."""
    body = raw.find(b"\n") + 1
    if length is not None and raw[body + length : body + length + 1] in (b"\n", b"\r"):
        return body + length
    blank = re.compile(rb"\n\r?\n").search(raw, max(0, body - 1), body + CUT_AT)
    return blank.start() if blank else 0
