"""The fast core: relevant lines out of bytes, in one pass over blocks that stay in the processor's caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
from numpy.typing import NDArray

from starface_nb.reading.limits import Account

BLOCK = 4 << 20  # fewer blocks mean fewer hand-overs of the interpreter lock between the threads
# What a dump of a SIP message begins or ends with: looked for in every log, as text from the network stands in it.
MARKS = (b"<---", b"ransmitting")
_WEIGHT = 120  # bytes that the objects around a line weigh
# The commonest bytes of Asterisk logs, commonest first.
_COMMON = b"0 231e4-an:c65[]ids.7E8o9rlbtSmgfC,p_\nRBIP'O/uV\"hkDxy()LGwUTAN@="
_WINDOW = 4  # bytes by which the automaton's SIMD prefilter tells candidates


class Needles:
    """Literal byte strings, searched all at once, and with them the marks of dumps.

    Leftmost-first matching lets the automaton use its SIMD prefilter (Teddy); standard matching is ten times slower.
    The prefilter looks at the first four bytes alone, so each needle is searched from its four rarest bytes on; what
    stands before them is compared afterwards.
    """

    def __init__(self, needles: Sequence[bytes]) -> None:
        if not needles or any(not n or b"\n" in n for n in needles):
            raise ValueError("needles must be non-empty and hold no newline")
        self._needles = tuple(needles)
        split = [(needle[: (at := _rarest(needle))], needle[at:], needle in MARKS) for needle in (*needles, *MARKS)]
        split.sort(key=lambda one: [byte & 15 for byte in one[1][:_WINDOW]])  # the prefilter's buckets overlap least
        self._before = [(before, len(before), is_mark) for before, _, is_mark in split]
        rest = [rest for _, rest, _ in split]
        self._find = BytesAhoCorasick(rest, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def spans(
        self, buffer: bytearray, view: memoryview, begin: int, end: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return begin and end of each line in `buffer[begin:end]` with a needle, and of each with a mark."""
        hits: list[tuple[int, int]] = []
        marks: list[tuple[int, int]] = []
        first = behind = begin  # of the line looked at
        hit = marked = -1  # the latest line of each kind
        for pattern, at, _ in self._find(view[begin:end]):
            if (at := at + begin) >= behind:
                first = buffer.rfind(b"\n", behind, at) + 1 or behind
                behind = buffer.find(b"\n", at, end) + 1 or end + 1
            elif hit == first:
                continue
            before, length, is_mark = self._before[pattern]
            there = at >= length and buffer.startswith(before, at - length)
            if there and is_mark:
                if marked != first:
                    marks.append((first, behind - 1))
                    marked = first
            elif there or any(needle in buffer[first : behind - 1] for needle in self._needles):
                hits.append((first, behind - 1))
                hit = first
        return hits, marks


def _rarest(needle: bytes) -> int:
    """Return where the four rarest bytes of a needle begin."""
    weights = [len(_COMMON) - at if (at := _COMMON.find(byte)) >= 0 else 0 for byte in needle]
    starts = range(max(1, len(needle) - _WINDOW + 1))
    return min(starts, key=lambda start: sum(weights[start : start + _WINDOW]))


@dataclass
class Found:
    """What one stretch of a stream holds.

    Attributes
    ----------
    texts : list of bytes
        Candidate lines without the newline (a carriage return before it stays), cut to `Limits.max_line`.
    offsets, numbers : list of int
        Byte offset of each in the stream, and its line's number, from 1.
    marks, mark_offsets : list
        The lines that hold a dump's mark, and their byte offsets.
    lines : int
        Physical lines; only a newline ends one.
    unfinished : bool
        The last line has no newline.
    cut : int
        Lines of which only the beginning was kept or looked at.
    """

    texts: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    mark_offsets: list[int] = field(default_factory=list)
    lines: int = 0
    unfinished: bool = False
    cut: int = 0

    def extend(self, other: Found) -> None:
        """Append what the stretch that follows holds."""
        self.numbers += [number + self.lines for number in other.numbers]
        for name in ("texts", "offsets", "marks", "mark_offsets"):
            getattr(self, name).extend(getattr(other, name))
        self.lines, self.cut, self.unfinished = self.lines + other.lines, self.cut + other.cut, other.unfinished


class Scanner:
    """Finds the lines that hold a needle in bytes that come piece by piece, from the beginning of a line on.

    Write into `room()`, then call `advance(count)`, or `feed` what is in memory already; at the end call `finish()`. Of
    a line longer than a block the block is looked at.

    Parameters
    ----------
    needles : Needles
    account : Account
        Holds the limits.
    place : str
        Name for messages.
    start : int
        Offset of the first byte in the stream.
    """

    def __init__(self, needles: Needles, account: Account, place: str, start: int = 0) -> None:
        self._found = Found()
        self._needles, self._account, self._place = needles, account, place
        self._buffer = bytearray(BLOCK + 64)  # room for a last newline, and for whole words of newline bits
        self._view = memoryview(self._buffer)
        self._bytes = np.frombuffer(self._buffer, np.uint8)
        self._is_newline = np.empty(len(self._buffer), np.bool_)
        self._filled, self._base = 0, start
        self._in_long = False  # within a line whose beginning was looked at

    def room(self) -> memoryview:
        """Return where the next bytes may be written (never empty)."""
        return self._view[self._filled : BLOCK]

    def advance(self, count: int) -> None:
        """Take in the `count` bytes that were written into `room()`."""
        self._filled += count
        if self._filled == BLOCK:
            self._search()

    def feed(self, data: bytes) -> None:
        """Take in a copy of `data`."""
        rest = memoryview(data)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            self.advance(count)

    def finish(self) -> Found:
        """Take what is left as a line without newline, and return all that was found."""
        self._search()
        if self._filled or self._in_long:
            self._found.unfinished = True
            self._buffer[self._filled] = 10
            self._filled += 1
            self._search()
        return self._found

    def _search(self) -> None:
        """Look at the whole lines in the buffer, and keep the beginning of the next."""
        end = self._buffer.rfind(b"\n", 0, self._filled) + 1
        begin = self._buffer.find(b"\n", 0, end) + 1 if self._in_long else 0
        if end:
            self._in_long = False
            self._lines(begin, end)
        elif self._filled == BLOCK:
            if not self._in_long:
                self._found.cut += 1
                self._lines(0, BLOCK)
            self._in_long, end = True, BLOCK
        rest = self._filled - end
        self._buffer[:rest] = self._buffer[end : self._filled]
        self._filled, self._base = rest, self._base + end

    def _lines(self, begin: int, end: int) -> None:
        """Find the candidates among the lines in `buffer[begin:end]`, and count all lines in `buffer[:end]`."""
        bits, counts = self._newlines(end)
        found = self._found
        spans, marks = self._needles.spans(self._buffer, self._view, begin, end)
        self._account.keep(sum(last - first + _WEIGHT for first, last in (*spans, *marks)), self._place)
        found.mark_offsets += [first + self._base for first, _ in marks]
        found.marks += self._copied(marks)
        found.texts += self._copied(spans)
        starts = np.array([first for first, _ in spans], np.int64)
        word, bit = starts >> 6, (starts & 63).astype(np.uint64)
        up_to = np.cumsum(counts, dtype=np.int32)
        before = up_to[word] - counts[word] + np.bitwise_count(bits[word] & ((np.uint64(1) << bit) - np.uint64(1)))
        found.numbers += (before + (found.lines + 1)).tolist()
        found.offsets += (starts + self._base).tolist()
        found.lines += int(up_to[-1])

    def _newlines(self, end: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return one bit per byte, set where a newline is, in words of 64, and the number of bits set in each."""
        whole = (end + 63) & ~63
        np.equal(self._bytes[:end], 10, out=self._is_newline[:end])
        self._is_newline[end:whole] = False
        bits = np.packbits(self._is_newline[:whole], bitorder="little").view("<u8")
        return bits, np.bitwise_count(bits)

    def _copied(self, spans: list[tuple[int, int]]) -> list[bytes]:
        keep, view = self._account.limits.max_line, self._view
        if any(last - first > keep for first, last in spans):
            self._found.cut += sum(last - first > keep for first, last in spans)
            spans = [(first, min(last, first + keep)) for first, last in spans]
        return [bytes(view[first:last]) for first, last in spans]
