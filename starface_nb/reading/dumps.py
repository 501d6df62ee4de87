"""Dumps of SIP messages: where text from the network stands in a log, which may imitate any line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from starface_nb.reading.layouts import CUT_AT, HEADER
from starface_nb.reading.lines import REACH, Block, Blocks, Found
from starface_nb.reading.marks import COUNTED, DUMP_BYTES, NO_MARKS, NONE, Marks, Offsets
from starface_nb.tables import table

_BEHIND_HEADER = r"(?:^|: |\] )"
_LINE_END = r"[\r\0 \t]*$"
_MOST_CUT_ENTRIES = 1000  # of one file, that are looked for
_HEADER = re.compile(HEADER.encode())


@cache
def kinds() -> tuple[tuple[re.Pattern[bytes], re.Pattern[bytes]], ...]:
    """Return what lines hold that begin and end dumps: of one that says its length, one with marks, one that is sent.

    They may end with a carriage return or blanks.
    """
    found = ((_BEHIND_HEADER + one["begin"], one.get("end", "")) for one in table("reading/layouts")["dump"])
    both = ([re.compile(line.replace("$", _LINE_END).encode()) for line in one] for one in found)
    return tuple((begin, end) for begin, end in both)


# A block's candidates, which of them stand in a dump, and, of those that hold another entry's header further on, where
# the entry begins that they are a part of.
Placed = tuple[Found, NDArray[np.bool_], list[int | None]]
_NO_DUMPS = (NONE, NONE, NONE)


@dataclass(frozen=True)
class _Mark:
    """A line that surely begins or ends a dump; `stop` is known of one that was sent and has an end."""

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
        self._sent_end = NONE  # the latest end of a sent message, if there was one
        self._dumps = [_NO_DUMPS] * 3  # begins and ends of dumps, sent ends: of the first, previous, this block
        self._cut_entries = 0

    def placed(self, found: Iterable[Found], blocks: Blocks) -> Iterator[Placed]:
        """Yield the blocks' candidates, each when the block behind it is known, and give the blocks back."""
        this: Found | None = None
        for following in chain(found, [None]):
            if this:
                if len(self._blocks) == 3:
                    blocks.give_back(self._blocks.pop(0))
                self._blocks += [following.block] if following else []
                yield self._place(this, following.marks if following else NO_MARKS)
            elif following:
                self._blocks = [following.block]
            this = following

    def _place(self, this: Found, following: Marks) -> Placed:
        entries: list[int | None] = [None] * len(this.texts)
        for i in np.flatnonzero(~this.headed).tolist():
            entries[i] = self._entry_begin(int(this.offsets[i]), this.texts[i])
        if not this.marks and not following and self._done <= this.block.start:
            self._dumps = [self._dumps[0], self._dumps[2], _NO_DUMPS]
            return this, np.zeros(this.offsets.size, np.bool_), entries
        done, sent_ends = self._done, np.concatenate([self._sent_end, this.marks.sent_ends, following.sent_ends[:1]])
        self._sent_end = this.marks.sent_ends[-1:] if this.marks.sent_ends.size else self._sent_end
        begins, ends = self._extents(this, following)
        if done > this.block.start:
            begins, ends = np.append(this.block.start - 1, begins), np.append(done, ends)
        dumps_here = begins, ends, sent_ends
        self._dumps = [self._dumps[0] if this.block.number else dumps_here, self._dumps[2], dumps_here]
        return this, self._inside(this.offsets, *dumps_here), entries

    def among_ends(self, offsets: list[int], head: bytes) -> NDArray[np.bool_]:
        """Say of the file's first and last lines which stand in dumps, once it has ended."""
        if not self._blocks:
            return np.zeros(len(offsets), np.bool_)
        at = min(len(head), self._blocks[0].start)
        self._blocks.insert(0, Block(bytearray(head[:at]), 0, 0, 0, 0, at))
        begins, ends, sent_ends = (np.concatenate(some) for some in zip(*self._dumps, strict=True))
        order = np.argsort(begins, kind="stable")
        return self._inside(np.array(offsets, np.int64), begins[order], ends[order], np.sort(sent_ends))

    def _inside(self, offsets: Offsets, begins: Offsets, ends: Offsets, sent_ends: Offsets) -> NDArray[np.bool_]:
        """Say which lines stand in one of these dumps, or in that of a sent message, looked for before its end."""
        which = np.searchsorted(begins, offsets) - 1
        inside = (which >= 0) & (offsets < np.append(ends, 0)[which])
        following = np.searchsorted(sent_ends, offsets, "right")
        gap = np.append(sent_ends, np.iinfo(np.int64).max)[following] - offsets
        doubtful = np.flatnonzero(~inside & (gap <= REACH))
        if doubtful.size:
            end = following[doubtful]
            first = np.flatnonzero(np.diff(end, prepend=-1))
            last = np.append(first[1:], doubtful.size) - 1
            low = np.maximum(np.append(sent_ends, 0)[end[first] - 1], offsets[doubtful[first]] - REACH).tolist()
            block = self._blocks[-2:][0]
            find, shift = block.buffer.find, block.begin - block.start
            sent = [
                stop
                if start >= block.start and stop <= block.stop and find(b"ransmitting", start + shift, stop + shift) < 0
                else self._first_outside(start, stop, begins, ends)
                for start, stop in zip(low, offsets[doubtful[last]].tolist(), strict=True)
            ]
            inside[doubtful] = offsets[doubtful] > np.repeat(np.array(sent, np.int64), last - first + 1)
        return inside

    def _extents(self, this: Found, following: Marks) -> tuple[Offsets, Offsets]:
        """Return begins and ends of the dumps that begin in a block."""
        marks, border = this.marks, this.block.stop
        if not marks.at.size:
            return NONE, NONE
        begins, ends, usual = marks.last_ones(following)
        begins, ends = np.append(marks.begins, begins), np.append(marks.ends, ends)
        if usual and marks.usual and marks.at[0] >= self._done:
            stop = int(marks.stop[-1]) if marks.kind[-1] == COUNTED else 0
            used = np.searchsorted(begins, this.offsets) - 1
            used = np.unique(used[(used >= 0) & (this.offsets < np.append(ends, 0)[used])])
            sure = all(self._mark(int(begin)) for begin in begins[used])
            if sure and (stop < border or self._bytes(stop, stop + 1) in (b"\n", b"\r")):
                self._done = int(ends[-1]) if ends.size else self._done
                return begins, ends
        sent_ends = np.append(marks.sent_ends, following.sent_ends)
        return self._walked([*marks.at.tolist(), *following.at.tolist()], sent_ends, this.block)

    def _walked(self, marks: list[int], sent_ends: Offsets, block: Block) -> tuple[Offsets, Offsets]:
        """Do the same mark by mark, looking at each whole line."""
        sure = [mark for at in marks if (mark := self._mark(at))]
        for begin in self._sent_begins(max(self._done, block.start - REACH), self._blocks[-1].stop):
            end = int(np.append(sent_ends, 0)[np.searchsorted(sent_ends, begin)])
            sure.append(_Mark(begin, stop=end if begin < end <= begin + REACH else 0))
        sure.sort(key=lambda mark: mark.at)
        begins, ends = list[int](), list[int]()
        for i, mark in enumerate(sure):
            if mark.at >= block.stop:
                break
            if mark.at >= self._done and not mark.ends:
                stop = mark.stop or (_last_end(sure, i) if mark.begins else 0)
                stop = stop or mark.at + _end_of(self._bytes(mark.at, mark.at + REACH), mark.length)
                begins.append(mark.at)
                ends.append(stop)
                self._done = max(self._done, stop)
        return np.array(begins, np.int64), np.array(ends, np.int64)

    def _bytes(self, start: int, stop: int) -> bytes:
        some = [block for block in self._blocks if block.start < stop and start < block.stop]
        return b"".join([block.bytes_between(start, stop) for block in some])

    def _mark(self, at: int) -> _Mark | None:
        """Return what the line around a mark surely is, None where it only has the look of it."""
        before = self._bytes(max(0, at - CUT_AT), at)
        line = before[before.rfind(b"\n") + 1 :] + self._bytes(at, at + CUT_AT).partition(b"\n")[0]
        line = line[found.end() :] if (found := self._prefix.match(line)) else line
        (counted, _), (marked, end), _ = kinds()
        if found := counted.search(line):
            return _Mark(at, length=int(found[1]))
        begins, ends = bool(marked.search(line)), bool(end.search(line))
        return _Mark(at, begins=begins, ends=ends) if begins or ends else None

    def _sent_begins(self, start: int, stop: int) -> Iterator[int]:
        """Yield where the lines between two offsets stand that begin the dump of a message that was sent."""
        raw, at, sent = self._bytes(start, stop), 0, kinds()[2][0]
        while (at := raw.find(b"ransmitting", at)) >= 0:
            first, behind = raw.rfind(b"\n", 0, at) + 1, raw.find(b"\n", at) % (len(raw) + 1)
            line = raw[first:behind]
            if sent.search(line[found.end() :] if (found := self._prefix.match(line)) else line):
                yield stop - len(raw) + first
            at = behind

    def _first_outside(self, start: int, stop: int, begins: Offsets, ends: Offsets) -> int:
        """Return the first begin of a sent message between two offsets that stands in no other dump, or `stop`."""
        for begin in self._sent_begins(start, stop):
            which = int(np.searchsorted(begins, begin)) - 1
            if which < 0 or begin >= ends[which]:
                return begin
        return stop

    def _entry_begin(self, offset: int, text: bytes) -> int | None:
        if self._cut_entries >= _MOST_CUT_ENTRIES or not _HEADER.search(text, 1):
            return None
        self._cut_entries += 1
        raw = self._bytes(max(0, offset - 2 * CUT_AT), offset)
        at, begin = offset - len(raw), None
        for line in raw.split(b"\n")[:-1]:
            begin = at if _HEADER.match(line) else begin
            at += len(line) + 1
        return begin


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
