"""The fast core: relevant lines out of bytes, in one pass over blocks that stay in the processor's caches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
from isal import isal_zlib
from numpy.typing import NDArray

from starface_nb.reading.limits import Account

SEGMENT = 32 << 20  # unit of parallel work, of checksums and of what the cache keeps of a growing log
_WEIGHT = 120  # bytes that the objects around a line weigh
ROOM = 2 << 20  # fewer blocks mean fewer hand-overs of the interpreter lock between the threads


# The commonest bytes of Asterisk logs, commonest first.
_COMMON = b"0 231e4-an:c65[]ids.7E8o9rlbtSmgfC,p_\nRBIP'O/uV\"hkDxy()LGwUTAN@="
_WINDOW = 4  # bytes by which the automaton's SIMD prefilter tells candidates


class Needles:
    """Literal byte strings, searched all at once.

    Leftmost-first matching lets the automaton use its SIMD prefilter (Teddy); standard matching is ten times slower.
    The prefilter looks at the first four bytes alone, so each needle is searched from its four rarest bytes on; what
    stands before them is compared afterwards.
    """

    def __init__(self, needles: Sequence[bytes]) -> None:
        if not needles or any(not n or b"\n" in n for n in needles):
            raise ValueError("needles must be non-empty and hold no newline")
        split = [(needle[: (at := _rarest(needle))], needle[at:]) for needle in needles]
        split.sort(
            key=lambda parts: [byte & 15 for byte in parts[1][:_WINDOW]]
        )  # the prefilter's buckets overlap least
        self.needles = tuple(needles)
        self.longest = max(len(n) for n in needles)
        self._before = [before for before, _ in split]
        rest = [rest for _, rest in split]
        self._find = BytesAhoCorasick(rest, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def spans(self, buffer: bytearray, view: memoryview, begin: int, end: int) -> list[tuple[int, int]]:
        """Return begin and end of each line in `buffer[begin:end]` (whole lines) that holds a needle."""
        spans, done = [], begin
        for pattern, at, _ in self._find(view[begin:end]):
            if (at := at + begin) < done:
                continue  # in a line that was looked at already
            first = buffer.rfind(b"\n", done, at) + 1 or done
            done = buffer.find(b"\n", at) + 1
            before = self._before[pattern]
            if buffer.startswith(before, max(first, at - len(before)), at) or self.within(buffer[first : done - 1]):
                spans.append((first, done - 1))
        return spans

    def within(self, text: bytes | bytearray) -> bool:
        """Tell whether a needle is in a text."""
        return any(needle in text for needle in self.needles)


def _rarest(needle: bytes) -> int:
    """Return where the four rarest bytes of a needle begin."""
    weights = [len(_COMMON) - at if (at := _COMMON.find(byte)) >= 0 else 0 for byte in needle]
    starts = range(max(1, len(needle) - _WINDOW + 1))
    return min(starts, key=lambda start: sum(weights[start : start + _WINDOW]))


@dataclass
class Found:
    """Candidate lines of one stretch of a stream."""

    lines: list[bytes] = field(default_factory=list)
    offset: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    lines_total: int = 0
    unfinished: bool = False
    cut: int = 0


class Scanner:
    """Finds the lines that hold a needle in bytes that come piece by piece.

    Write into `room()`, then call `advance(count)`; at the end call `finish()`. Only a newline ends a line. A line
    longer than the buffer is followed to its end without being held.

    Parameters
    ----------
    needles : Needles
    account : Account
        Holds the limits.
    place : str
        Name for messages.
    start : int
        Offset of the first byte in the stream.
    inside : bool
        The first bytes belong to a line that began before; they are skipped up to its newline.
    """

    def __init__(self, needles: Needles, account: Account, place: str, start: int = 0, *, inside: bool = False) -> None:
        self.found = Found()
        self._needles, self._account, self._place = needles, account, place
        self._keep = account.limits.max_line
        self._buffer = bytearray(ROOM + max(2 * self._keep, 4 * needles.longest))
        self._view = memoryview(self._buffer)
        self._bytes = np.frombuffer(self._buffer, np.uint8)
        self._newline = np.empty(len(self._buffer) + 64, np.bool_)
        self._filled, self._fed, self._base = 0, 0, start
        self._skip = inside
        self._long: tuple[int, bytes, bool] | None = None  # offset, first bytes, whether a needle was in it

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end in the middle of a line that began in them."""
        self._flush()
        return not self._skip and (self._filled > 0 or self._long is not None)

    def room(self) -> memoryview:
        """Return where the next bytes may be written (never empty)."""
        self._flush()
        return self._view[self._filled : self._filled + ROOM]

    def feed(self, data: bytes | memoryview) -> None:
        """Take a copy of `data` in; small pieces are gathered first."""
        at = 0
        while at < len(data):
            count = min(ROOM - self._fed, len(data) - at)
            begin = self._filled + self._fed
            self._view[begin : begin + count] = data[at : at + count]
            at, self._fed = at + count, self._fed + count
            if self._fed == ROOM:
                self._flush()

    def _flush(self) -> None:
        if self._fed:
            count, self._fed = self._fed, 0
            self.advance(count)

    def advance(self, count: int) -> None:
        """Take in the `count` bytes that were written into `room()`."""
        new, self._filled = self._filled, self._filled + count
        end = self._buffer.rfind(b"\n", new, self._filled) + 1
        begin = 0
        if end and (self._skip or self._long):
            begin = self._buffer.find(b"\n", new) + 1
            self._end_long(begin)
        if end:
            self._lines(begin, end)
            self._shift(end)
        if len(self._buffer) - self._filled < ROOM:
            self._follow_long()

    def finish(self) -> Found:
        """Take what is left as a line without newline, and return all that was found."""
        if self.inside:
            self.found.unfinished = True
            self._buffer[self._filled] = 10
            self._filled += 1
            if self._long:
                self._end_long(self._filled)
            else:
                self._lines(0, self._filled)
        self._filled = 0
        return self.found

    def _shift(self, count: int) -> None:
        rest = self._filled - count
        self._buffer[:rest] = self._buffer[count : self._filled]
        self._filled, self._base = rest, self._base + count

    def _lines(self, begin: int, end: int) -> None:
        """Find the candidates among the whole lines in `buffer[begin:end]`."""
        bits, counts = self._newlines(begin, end)
        found, spans = self.found, self._needles.spans(self._buffer, self._view, begin, end)
        if not spans:
            found.lines_total += int(counts.sum(dtype=np.int32))
            return
        starts = np.array([first for first, _ in spans])
        word, bit = starts >> 6, (starts & 63).astype(np.uint64)
        up_to = np.cumsum(counts, dtype=np.int32)
        before = up_to[word] - counts[word] + np.bitwise_count(bits[word] & ((np.uint64(1) << bit) - np.uint64(1)))
        found.line += (before + (found.lines_total + 1)).tolist()
        found.offset += (starts + self._base).tolist()
        found.lines += self._copied(spans)
        found.lines_total += int(up_to[-1])

    def _newlines(self, begin: int, end: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return one bit per byte, set where a newline is, in words of 64, and the number of bits set in each."""
        newline = self._newline[: (end + 63) & ~63]
        np.equal(self._bytes[begin:end], 10, out=newline[begin:end])
        newline[:begin] = newline[end:] = False
        bits = np.packbits(newline, bitorder="little").view("<u8")
        return bits, np.bitwise_count(bits)

    def _copied(self, spans: list[tuple[int, int]]) -> list[bytes]:
        keep, view = self._keep, self._view
        lengths = [last - first for first, last in spans]
        if max(lengths) > keep:
            self.found.cut += sum(length > keep for length in lengths)
            spans = [(first, min(last, first + keep)) for first, last in spans]
        self._account.keep(sum(lengths) + _WEIGHT * len(lengths), self._place)
        return [bytes(view[first:last]) for first, last in spans]

    def _follow_long(self) -> None:
        """Let go of a line that fills the buffer, except for its beginning and what a needle may straddle."""
        if not self._skip:
            offset, text, hit = self._long or (self._base, bytes(self._view[: self._keep]), False)
            self._long = offset, text, hit or self._needles.within(self._buffer[: self._filled])
        self._shift(self._filled - (self._needles.longest - 1))

    def _end_long(self, end: int) -> None:
        """Close the line that is being followed or skipped; its newline is at `end - 1`."""
        if self._long:
            offset, text, hit = self._long
            self.found.lines_total += 1
            if hit or self._needles.within(self._buffer[:end]):
                self.found.lines.append(text)
                self.found.offset.append(offset)
                self.found.line.append(self.found.lines_total)
                self.found.cut += 1
        self._skip, self._long = False, None


class Checksums:
    """CRC-32 of each 32 MiB of a stream: the same whatever the container, the blocks or the number of cores."""

    def __init__(self) -> None:
        self.sums: list[int] = []
        self._crc = self._count = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take more bytes in."""
        while len(data) >= (left := SEGMENT - self._count):
            self.sums.append(isal_zlib.crc32(data[:left], self._crc))
            data, self._crc, self._count = data[left:], 0, 0
        self._crc, self._count = isal_zlib.crc32(data, self._crc), self._count + len(data)

    def finish(self) -> list[int]:
        """Return the sums, the last of them of what is left."""
        return [*self.sums, self._crc] if self._count else self.sums


def fingerprint(sums: Sequence[int], size: int) -> str:
    """Return 24 hexadecimal digits that identify a content by its checksums and size."""
    return hashlib.sha256(np.array([*sums, size], "<u8").tobytes()).hexdigest()[:24]
