"""The fast core: relevant lines out of bytes, in one pass over blocks that stay in the processor's caches."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, MatchKind
from numpy.typing import NDArray

from starface_nb.reading.marks import Marks, Offsets, marks_in
from starface_nb.sources.limits import Account, DamagedError

BLOCK = 1 << 22  # smaller ones hand the interpreter lock over more often
_FIRST_BLOCK = 1 << 20  # a small log needs no more
CARRY = 256 << 10  # longest line that is carried from one block to the next
REACH = 70 << 10  # bytes from the begin to the end of a dump that was sent, at most
_WEIGHT = 120  # bytes that the objects around a line weigh
_AROUND = 64  # bytes that may be looked at before the first and behind the last
_SAMPLES, _WIDE = 4096, 8  # pairs of bytes looked at in a block, and how many with one zero make it UTF-16
_WAITING = 2  # blocks that may wait for those before them
# The commonest bytes of Asterisk logs, commonest first.
_COMMON = b"0 231e4-an:c65[]ids.7E8o9rlbtSmgfC,p_\nRBIP'O/uV\"hkDxy()LGwUTAN@="
_BRACKET, _NEWLINE = ord("["), ord("\n")
_NO_HOLE = re.compile(rb"[^\0]+")  # NULs are what a crash leaves where nothing was written yet; the next line follows
_WINDOW, _BUCKETS = 4, 8  # bytes by which the automaton's SIMD prefilter tells candidates, and kinds of them


class Needles:
    """Literal byte strings, searched all at once.

    Leftmost-first matching lets the automaton use its SIMD prefilter (Teddy); standard matching is ten times slower.
    The prefilter looks at the first four bytes alone, so each needle is searched from its four rarest bytes on; what
    stands before them is compared afterwards. Every eighth needle goes into one bucket, whose candidates are told by
    halves of bytes: needles alike in these go together.
    """

    def __init__(self, needles: Sequence[bytes]) -> None:
        self._needles = tuple(needles)
        split = [(needle[: (at := _rarest(needle))], needle[at:]) for needle in needles]
        split.sort(key=lambda one: [byte & 15 for byte in one[1][_WINDOW - 1 :: -1]])
        rows = -(-len(split) // _BUCKETS)
        self._before, rest = zip(*(one for i in range(rows) for one in split[i::rows]), strict=True)
        self._find = BytesAhoCorasick(rest, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def lines(self, buffer: bytearray, begin: int, end: int) -> list[tuple[int, int]]:
        """Return begins and ends of the lines in `buffer[begin:end]` with a needle."""
        spans, first, behind, hit = list[tuple[int, int]](), begin, begin, -1
        for pattern, place, _ in self._find(memoryview(buffer)[begin:end]):
            at = begin + place
            if at >= behind:
                first = buffer.rfind(b"\n", behind, at) + 1 or behind
                behind = buffer.find(b"\n", at, end) + 1 or end + 1
            elif hit == first:
                continue
            before = self._before[pattern]
            there = at >= len(before) and buffer.startswith(before, at - len(before))
            if there or self._is_in(buffer, first, behind - 1):
                hit = first
                span = first, behind - 1
                spans += [span] if buffer.find(0, *span) < 0 else self._between_holes(buffer, *span)
        return spans

    def _is_in(self, buffer: bytearray, first: int, last: int) -> bool:
        return any(buffer.find(needle, first, last) >= 0 for needle in self._needles)

    def _between_holes(self, buffer: bytearray, first: int, last: int) -> list[tuple[int, int]]:
        return [text.span() for text in _NO_HOLE.finditer(buffer, first, last) if self._is_in(buffer, *text.span())]


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

    def end_alone(self) -> Block:
        """Return a copy of the block's end, as far as it may matter to what follows."""
        size = min(self.end - self.begin, REACH)
        end = self.buffer[self.end - size : self.end]
        return Block(end, self.number, self.stop - size, 0, 0, size)

    @cached_property
    def stop(self) -> int:
        """Offset in the stream of what follows."""
        return self.start + self.end - self.begin


class Blocks:
    """Cuts a stream into blocks of whole lines; buffers that are given back are filled again.

    Of a line too long to be carried from block to block, what its first block holds is looked at, and what stands
    behind its NULs.

    Attributes
    ----------
    is_file : bool
        The stream is a file as it is, which is read without work.
    size : int
        Bytes of the stream, as far as it was read.
    damage : DamagedError or None
        What ended the stream too early.
    head, tail : bytes
        Its first and last `edge` bytes, at most.
    """

    def __init__(self, readinto: Callable[[memoryview], int], edge: int, *, is_file: bool = True) -> None:
        self.is_file, self._readinto, self._edge, self._lock = is_file, readinto, edge, Lock()
        self._carried, self._in_long, self._is_open, self._number, self._ended = b"", False, False, 0, False
        self._free = deque[bytearray]()
        self.size, self.head, self.tail = 0, b"", b""
        self.damage: DamagedError | None = None

    def give_back(self, block: Block) -> None:
        """Take a block's buffer to fill it again; the latest first, as it is still in the processor's caches."""
        if len(block.buffer) == CARRY + BLOCK + 2 * _AROUND:
            self._free.append(block.buffer)

    def next(self) -> Block | None:
        """Return the block that follows, None at the end; for several threads."""
        with self._lock:
            return None if self._ended else self._filled()

    def _filled(self) -> Block:
        room, front = min(BLOCK, max(_FIRST_BLOCK, self.size)), _AROUND + CARRY
        buffer = self._free.pop() if self._free else bytearray(front + room + _AROUND)
        begin, filled = front - len(self._carried), front + self._fill(memoryview(buffer)[front:-_AROUND])
        buffer[begin - 1 : front] = b"\n" + self._carried  # as behind the line before
        start = self.size - (filled - begin)
        if self._ended and (buffer[filled - 1] != 10 if filled > begin else self._is_open):
            buffer[filled] = 10
            filled += 1
        end = buffer.rfind(b"\n", front, filled) + 1 or begin
        passed, is_long = begin, False
        if self._in_long:
            line_end = buffer.find(b"\n", begin, end) + 1
            hole = buffer.find(0, begin, line_end or filled) + 1
            passed = hole or line_end or filled
            end, self._in_long = max(end, passed), not line_end and not hole
        if filled - end > CARRY:
            hole = buffer.rfind(0, end, filled) + 1
            is_long = self._in_long = filled - hole > CARRY
            end = filled if is_long else hole
        self._carried, self._is_open = bytes(memoryview(buffer)[end:filled]), buffer[end - 1] != 10
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
        kept = max(0, len(self.tail) + count - self._edge)
        self.tail = self.tail[kept:] + bytes(room[max(0, count - self._edge) : count])
        return count


@dataclass(frozen=True)
class Found:
    """What one block holds.

    Attributes
    ----------
    texts : list of bytes
        Candidate lines without the newline (a carriage return before it stays), cut to `Limits.max_line`.
    headed : ndarray of bool
        Whether each begins with a bracket.
    offsets, numbers : ndarray of int64
        Byte offset of each in the stream, and its line's number within the block, from 0.
    marks : Marks
    lines : int
        Physical lines; only a newline ends one.
    cut : int
        Lines of which only the beginning was kept or looked at.
    has_wide : bool
        Zeros stand between letters somewhere, as in UTF-16.
    """

    block: Block
    texts: list[bytes] = field(repr=False)
    headed: NDArray[np.bool_]
    offsets: Offsets
    numbers: Offsets
    marks: Marks = field(repr=False)
    lines: int
    cut: int
    has_wide: bool


def search(block: Block, needles: Needles, account: Account, place: str) -> Found:
    """Find the candidates and marks in a block."""
    buffer, begin, shift = block.buffer, block.begin, block.start - block.begin
    size, text = block.end - begin, np.frombuffer(buffer, np.uint8)
    newlines = np.packbits(text[begin : begin + (size | 63) + 1] == _NEWLINE, bitorder="little").view("<u8")
    spans = needles.lines(buffer, block.passed, block.end)
    marks = marks_in(buffer, block.passed, block.end, shift)
    apart = size // _SAMPLES | 1  # an odd number, so that both halves of letters are among them
    zeros = text[begin : block.end - 1 : apart] == 0, text[begin + 1 : block.end : apart] == 0
    has_wide = int((zeros[0] != zeros[1]).sum()) > _WIDE
    firsts, lasts = np.array(spans, np.int64).reshape(-1, 2).T
    before = np.append(0, np.cumsum(np.bitwise_count(newlines), dtype=np.int64))
    word, bit = np.divmod(np.append(firsts, block.end) - begin, 64)
    numbers = before[word] + np.bitwise_count(newlines[word] & ((1 << bit.astype(np.uint64)) - 1))
    keep, lengths = account.limits.max_line, lasts - firsts
    account.spend("max_hit_bytes", int(lengths.sum()) + _WEIGHT * lengths.size, place)
    view = memoryview(buffer)
    texts = [bytes(view[first : min(last, first + keep)]) for first, last in spans]
    cut, headed = block.cut + int((lengths > keep).sum()), text[firsts] == _BRACKET
    return Found(block, texts, headed, firsts + shift, numbers[:-1], marks, int(numbers[-1]), cut, has_wide)


def searched(blocks: Blocks, needles: Needles, account: Account, place: str, threads: int) -> Iterator[Found]:
    """Yield what the blocks of a stream hold, in its order: who reads a block searches it, while others do the same.

    Where one of two threads has enough to do with what is no file, unpacking above all, it does nothing else.
    """

    def seen(block: Block) -> Found:
        found = search(block, needles, account, place)
        if found.marks or not found.headed.all():
            return found
        found = replace(found, block=block.end_alone())
        blocks.give_back(block)
        return found

    ahead = threads == 2 and not blocks.is_file
    if threads == 1 or ahead:
        yield from map(seen, _in_threads(blocks.next, 1) if ahead else iter(blocks.next, None))
        return
    early, number = dict[int, Found](), 0
    for found in _in_threads(lambda: (block := blocks.next()) and seen(block), threads):
        early[found.block.number] = found
        while number in early:
            yield early.pop(number)
            number += 1


def _in_threads(step: Callable[[], Any], threads: int) -> Iterator[Any]:
    """Yield what comes of a step until that is None; some are done before they are asked for."""
    with ThreadPoolExecutor(threads, thread_name_prefix="search") as pool:
        waiting = deque(pool.submit(step) for _ in range(threads + _WAITING))
        while waiting:
            if one := waiting.popleft().result():
                waiting.append(pool.submit(step))
                yield one
