"""The fast core: relevant lines out of bytes, in one pass over blocks that stay in the processor's caches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
from numpy.typing import NDArray

from starface_nb.reading.limits import Account, DamagedError

BLOCK = 3 << 19  # smaller ones hand the interpreter lock over more often, larger ones leave the processor's caches
CARRY = 256 << 10  # longest line that is carried from one block to the next
# What is in the first or last line of a dump of a SIP message: text from the network may stand between them.
MARK, SENT_END = b"<---", b"\n---"
_WEIGHT = 120  # bytes that the objects around a line weigh
_SPARE = 64  # bytes behind a block: newlines are counted in whole words
_UNDER_WAY = 2  # blocks beside those that are being searched
# The commonest bytes of Asterisk logs, commonest first.
_COMMON = b"0 231e4-an:c65[]ids.7E8o9rlbtSmgfC,p_\nRBIP'O/uV\"hkDxy()LGwUTAN@="
Offsets = NDArray[np.int64]
NONE = np.empty(0, np.int64)
_LINE_ENDS = (10, 13)
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
        split = [(needle[: (at := _rarest(needle))], needle[at:]) for needle in needles]
        split += [(b"", mark) for mark in (MARK, SENT_END)]
        split.sort(key=lambda one: [byte & 15 for byte in one[1][:_WINDOW]])  # the prefilter's buckets overlap least
        self._before = [before for before, _ in split]
        rest = [rest for _, rest in split]
        self._marks = rest.index(MARK), rest.index(SENT_END)
        self._find = BytesAhoCorasick(rest, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def search(self, buffer: bytearray, begin: int, end: int) -> tuple[list[tuple[int, int]], Offsets, Offsets]:
        """Return begins and ends of the lines in `buffer[begin:end]` with a needle, and where the two marks stand."""
        found = self._find(memoryview(buffer)[begin:end])
        flat = np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found)).reshape(-1, 3)
        pattern, at = flat[:, 0], flat[:, 1] + begin
        is_mark, is_end = pattern == self._marks[0], pattern == self._marks[1]
        mine = ~(is_mark | is_end)
        spans = self._lines(buffer, begin, end, zip(pattern[mine].tolist(), at[mine].tolist(), strict=True))
        return spans, at[is_mark], at[is_end] + 1

    def _lines(
        self, buffer: bytearray, begin: int, end: int, found: Iterator[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        spans, first, behind, hit = list[tuple[int, int]](), begin, begin, -1
        for pattern, at in found:
            if at >= behind:
                first = buffer.rfind(b"\n", behind, at) + 1 or behind
                behind = buffer.find(b"\n", at, end) + 1 or end + 1
            elif hit == first:
                continue
            before = self._before[pattern]
            there = at >= len(before) and buffer.startswith(before, at - len(before))
            if there or any(needle in buffer[first : behind - 1] for needle in self._needles):
                spans.append((first, behind - 1))
                hit = first
        return spans


def _rarest(needle: bytes) -> int:
    """Return where the four rarest bytes of a needle begin."""
    weights = [len(_COMMON) - at if (at := _COMMON.find(byte)) >= 0 else 0 for byte in needle]
    starts = range(max(1, len(needle) - _WINDOW + 1))
    return min(starts, key=lambda start: sum(weights[start : start + _WINDOW]))


@dataclass(frozen=True)
class Block:
    """Whole lines of a stream: `buffer[begin:end]`, of which the first byte stands at `start` in the stream.

    Attributes
    ----------
    passed : int
        Where the first line begins that was not looked at before, as part of one too long.
    cut : int
        Lines too long to be looked at whole.
    """

    buffer: bytearray = field(repr=False)
    number: int
    start: int
    begin: int
    passed: int
    end: int
    cut: int = 0

    def bytes_between(self, start: int, stop: int) -> bytes:
        """Return the part of the block that lies between two offsets in the stream."""
        shift = self.begin - self.start
        return bytes(self.buffer[max(self.begin, start + shift) : max(self.begin, min(self.end, stop + shift))])


class Blocks:
    """Cuts a stream into blocks of whole lines; buffers that are given back are filled again.

    Of a line too long to be carried from block to block, what its first block holds is looked at.

    Attributes
    ----------
    size : int
        Bytes of the stream, as far as it was read.
    unfinished : bool
        The last line has no newline.
    damage : DamagedError or None
        What ended the stream too early.
    head, tail : bytes
        Its first and last `edge` bytes, at most.
    """

    def __init__(self, readinto: Callable[[memoryview], int], edge: int) -> None:
        self._readinto, self._edge, self._lock = readinto, edge, Lock()
        self._carried, self._in_long, self._number, self._ended = b"", False, 0, False
        self._free = deque[bytearray]()
        self.size, self.unfinished, self.head, self.tail = 0, False, b"", b""
        self.damage: DamagedError | None = None

    def give_back(self, block: Block) -> None:
        """Take a block's buffer to fill it again."""
        self._free.append(block.buffer)

    def next(self) -> Block | None:
        """Return the block that follows, None at the end; for several threads."""
        with self._lock:
            return None if self._ended else self._filled()

    def _filled(self) -> Block:
        buffer = self._free.pop() if self._free else bytearray(CARRY + BLOCK + _SPARE)
        begin, filled = CARRY - len(self._carried), CARRY + self._fill(memoryview(buffer)[CARRY : CARRY + BLOCK])
        buffer[begin:CARRY] = self._carried
        start = self.size - (filled - begin)
        if self._ended and (buffer[filled - 1] != 10 if filled > begin else self._in_long):
            self.unfinished = True
            buffer[filled] = 10
            filled += 1
        end = buffer.rfind(b"\n", CARRY, filled) + 1 or begin
        passed, is_long = begin, False
        if self._in_long and end > begin:
            passed = buffer.find(b"\n", begin, end) + 1
            self._in_long = False
        if filled - end > CARRY and not self._in_long:
            is_long = self._in_long = True
            end = filled
        elif self._in_long:
            passed = end = filled
        self._carried = bytes(memoryview(buffer)[end:filled])
        self._number += 1
        return Block(buffer, self._number - 1, start, begin, passed, end, int(is_long))

    def _fill(self, room: memoryview) -> int:
        """Fill the room, unless the stream ends; return how many bytes that are."""
        count = 0
        try:
            while count < len(room) and (more := self._readinto(room[count:])):
                count += more
        except DamagedError as error:
            self.damage = error
        self._ended = count < len(room)
        self.size += count
        if len(self.head) < self._edge:
            self.head += bytes(room[: min(count, self._edge - len(self.head))])
        self.tail = (self.tail + bytes(room[max(0, count - self._edge) : count]))[-self._edge :]
        return count


@dataclass(frozen=True)
class Found:
    """What one block holds.

    Attributes
    ----------
    texts : list of bytes
        Candidate lines without the newline (a carriage return before it stays), cut to `Limits.max_line`.
    offsets, numbers : ndarray of int64
        Byte offset of each in the stream, and its line's number within the block, from 0.
    marks, sent_ends : ndarray of int64
        Byte offsets of `MARK`, and of what stands behind the newline in `SENT_END`.
    lines : int
        Physical lines; only a newline ends one.
    cut : int
        Lines of which only the beginning was kept or looked at.
    """

    block: Block
    texts: list[bytes] = field(repr=False)
    offsets: Offsets
    numbers: Offsets
    marks: Offsets
    sent_ends: Offsets
    lines: int
    cut: int


def search(block: Block, needles: Needles, account: Account, place: str) -> Found:
    """Find the candidates and marks in a block."""
    buffer, begin, shift = block.buffer, block.begin, block.start - block.begin
    is_newline = np.zeros((block.end - begin + 63) & ~63, np.bool_)
    np.equal(np.frombuffer(buffer, np.uint8)[begin : block.end], 10, out=is_newline[: block.end - begin])
    bits = np.packbits(is_newline, bitorder="little").view("<u8")
    counts = np.bitwise_count(bits)
    lines = int(counts.sum(dtype=np.int64))
    spans, marks, ends = needles.search(buffer, block.passed, block.end)
    ends = ends[np.isin(np.frombuffer(buffer, np.uint8)[ends + len(SENT_END) - 1], _LINE_ENDS)]
    if not spans:
        return Found(block, [], NONE, NONE, marks + shift, ends + shift, lines, block.cut)
    firsts, lasts = np.array(spans, np.int64).T
    word, bit = (firsts - begin) >> 6, ((firsts - begin) & 63).astype(np.uint64)
    numbers = np.cumsum(counts, dtype=np.int64)[word] - counts[word]
    numbers += np.bitwise_count(bits[word] & ((np.uint64(1) << bit) - np.uint64(1)))
    keep, lengths = account.limits.max_line, lasts - firsts
    account.keep(int(lengths.sum()) + _WEIGHT * lengths.size, place)
    view = memoryview(buffer)
    texts = [bytes(view[first : min(last, first + keep)]) for first, last in spans]
    return Found(
        block, texts, firsts + shift, numbers, marks + shift, ends + shift, lines, block.cut + int((lengths > keep).sum())
    )


def searched(blocks: Blocks, needles: Needles, account: Account, place: str, threads: int) -> Iterator[Found]:
    """Yield what the blocks of a stream hold, in its order, several of them being searched at once."""

    def step() -> Found | None:
        block = blocks.next()
        return search(block, needles, account, place) if block else None

    if threads < 2:
        while found := step():
            yield found
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="search") as pool:
        work, early, number = deque[Future[Found | None]](), dict[int, Found](), 0
        work.extend(pool.submit(step) for _ in range(threads + _UNDER_WAY))
        while work:
            found = work.popleft().result()
            if found:
                work.append(pool.submit(step))
                early[found.block.number] = found
            while number in early:
                yield early.pop(number)
                number += 1
