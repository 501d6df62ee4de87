"""The fast core: relevant lines out of bytes, in one pass over blocks that stay in the processor's caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
from numpy.typing import NDArray

from starface_nb.reading.limits import Account

BLOCK = 3 << 19  # smaller ones hand the interpreter lock over more often, larger ones leave the processor's caches
CARRY = 256 << 10  # longest line that is carried from one block to the next
# What a dump of a SIP message begins or ends with: looked for in every log, as text from the network stands in it.
MARKS = (b"<---", b"ransmitting")
_WEIGHT = 120  # bytes that the objects around a line weigh
# The commonest bytes of Asterisk logs, commonest first.
_COMMON = b"0 231e4-an:c65[]ids.7E8o9rlbtSmgfC,p_\nRBIP'O/uV\"hkDxy()LGwUTAN@="
Spans = tuple[list[int], list[int]]
Offsets = NDArray[np.int64]
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

    def spans(self, block: Block, begin: int, end: int) -> tuple[Spans, Spans]:
        """Return begins and ends of the lines in `buffer[begin:end]` with a needle, and of those with a mark."""
        hits, hit_ends, marks, mark_ends = list[int](), list[int](), list[int](), list[int]()
        buffer = block.buffer
        first = behind = begin  # of the line looked at
        hit = marked = -1  # the latest line of each kind
        for pattern, at, _ in self._find(block.view[begin:end]):
            if (at := at + begin) >= behind:
                first = buffer.rfind(b"\n", behind, at) + 1 or behind
                behind = buffer.find(b"\n", at, end) + 1 or end + 1
            elif hit == first:
                continue
            before, length, is_mark = self._before[pattern]
            there = at >= length and buffer.startswith(before, at - length)
            if there and is_mark:
                if marked != first:
                    marks.append(first)
                    mark_ends.append(behind - 1)
                    marked = first
            elif there or any(needle in buffer[first : behind - 1] for needle in self._needles):
                hits.append(first)
                hit_ends.append(behind - 1)
                hit = first
        return (hits, hit_ends), (marks, mark_ends)


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
    offsets, numbers : list of ndarray of int64
        Byte offset of each in the stream, and its line's number, from 1; in pieces.
    marks : list of bytes
        The lines that hold a dump's mark.
    mark_offsets : list of ndarray of int64
        Their byte offsets, in pieces.
    lines : int
        Physical lines; only a newline ends one.
    unfinished : bool
        The last line has no newline.
    cut : int
        Lines of which only the beginning was kept or looked at.
    """

    texts: list[bytes] = field(default_factory=list)
    offsets: list[Offsets] = field(default_factory=list)
    numbers: list[Offsets] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    mark_offsets: list[Offsets] = field(default_factory=list)
    lines: int = 0
    unfinished: bool = False
    cut: int = 0

    def extend(self, other: Found) -> None:
        """Append what the stretch that follows holds."""
        self.numbers += [numbers + self.lines for numbers in other.numbers]
        for name in ("texts", "offsets", "marks", "mark_offsets"):
            getattr(self, name).extend(getattr(other, name))
        self.lines, self.cut, self.unfinished = self.lines + other.lines, self.cut + other.cut, other.unfinished

    def emptied(self) -> Found:
        """Return one that goes on counting where this one ends."""
        return Found(lines=self.lines, cut=self.cut, unfinished=self.unfinished)


class Block:
    """A buffer to be filled again and again, with room for the beginning of a line before what is filled in.

    Attributes
    ----------
    room : memoryview
        Where the next bytes are written.
    """

    def __init__(self) -> None:
        self.buffer = bytearray(CARRY + BLOCK + 64)  # newlines are counted in whole words
        self.view = memoryview(self.buffer)
        self.room = self.view[CARRY : CARRY + BLOCK]
        self.bytes = np.frombuffer(self.buffer, np.uint8)


class Scanner:
    """Finds the lines that hold a needle in blocks that follow each other, from the beginning of a line on.

    Of a line too long to be carried from block to block, what its first block holds is looked at.

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
        self._at = start  # offset of the next block
        self._carried = b""  # of the line that goes on in it
        self._in_long = False  # that line was looked at and is only to be passed over
        self._is_newline = np.zeros(0, np.bool_)

    def scan(self, block: Block, count: int) -> None:
        """Look at the lines that end in the first `count` bytes of a block's room, and carry the last one on."""
        buffer, begin, filled = block.buffer, CARRY - len(self._carried), CARRY + count
        buffer[begin:CARRY] = self._carried
        end = buffer.rfind(b"\n", CARRY, filled) + 1 or begin
        if end > begin:
            passed = buffer.find(b"\n", begin, end) + 1 if self._in_long else begin
            self._lines(block, begin, passed, end)
            self._in_long = False
        if filled - end > CARRY and not self._in_long:
            self._found.cut += 1
            self._lines(block, end, end, filled)
            self._in_long = True
        self._carried = b"" if self._in_long else bytes(block.view[end:filled])
        self._at += count

    def finish(self, block: Block) -> Found:
        """Take what is left as a line without newline, and return what was found."""
        if self._carried or self._in_long:
            self._found.unfinished = True
            block.room[0] = 10
            self.scan(block, 1)
        return self.take()

    def take(self) -> Found:
        """Return what was found since this was last asked; its line numbers count from there."""
        found, self._found = self._found, Found()
        return found

    def _lines(self, block: Block, begin: int, passed: int, end: int) -> None:
        """Find the candidates among the lines in `buffer[passed:end]`, and count all lines from `begin` on."""
        found, base = self._found, self._at - CARRY
        bits, counts = self._newlines(block, begin, end)
        hits, marks = self._needles.spans(block, passed, end)
        if marks[0]:
            found.marks += self._copied(block.view, marks)
            found.mark_offsets.append(np.array(marks[0], np.int64) + base)
        if hits[0]:
            found.texts += self._copied(block.view, hits)
            starts = np.array(hits[0], np.int64)
            word, bit = (starts - begin) >> 6, ((starts - begin) & 63).astype(np.uint64)
            before = np.cumsum(counts, dtype=np.int64)[word] - counts[word]
            before += np.bitwise_count(bits[word] & ((np.uint64(1) << bit) - np.uint64(1)))
            found.numbers.append(before + (found.lines + 1))
            found.offsets.append(starts + base)
        found.lines += int(counts.sum(dtype=np.int64))

    def _copied(self, view: memoryview, spans: Spans) -> list[bytes]:
        firsts, lasts = spans
        keep, lengths = self._account.limits.max_line, np.array(lasts, np.int64) - np.array(firsts, np.int64)
        if lengths.max() > keep:
            self._found.cut += int((lengths > keep).sum())
            lasts = (np.array(firsts, np.int64) + np.minimum(lengths, keep)).tolist()
        self._account.keep(int(lengths.sum()) + _WEIGHT * lengths.size, self._place)
        return [bytes(view[first:last]) for first, last in zip(firsts, lasts, strict=True)]

    def _newlines(self, block: Block, begin: int, end: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return one bit per byte from `begin` on, set where a newline is, in words of 64, and the bits set in each."""
        size, whole = end - begin, (end - begin + 63) & ~63
        if self._is_newline.size < whole:
            self._is_newline = np.zeros(block.bytes.size, np.bool_)
        np.equal(block.bytes[begin:end], 10, out=self._is_newline[:size])
        self._is_newline[size:whole] = False
        bits = np.packbits(self._is_newline[:whole], bitorder="little").view("<u8")
        return bits, np.bitwise_count(bits)
