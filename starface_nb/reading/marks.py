"""Marks of dumps of SIP messages in a block of bytes, found all at once by numpy: cheap however many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

# What a mark may be: it begins a dump that says its length, or one that an end mark ends; ends one; may end one. Of
# those that fit, the first counts; text from the network may stand between them. Each has three dashes, and 8 bytes.
COUNTED, MARKED, END, ODD = 1, 2, 3, 4
MARKS = {
    b"<--- SIP read": MARKED,
    b"<--- Reliably": MARKED,
    b"<--- Transmitting S": COUNTED,
    b"<--- Transmit": MARKED,
    b"<--- Receiv": COUNTED,
    b"<------------->": END,
    b"<------------>": END,
    b"<--------": ODD,
}
_DASH, _PAIR, _LESS, _NEWLINE = ord("-"), int.from_bytes(b"--"), ord("<"), ord("\n")
Offsets = NDArray[np.int64]
_BRACKETS = (26, 27, 30, 31)  # where a length stands: `<--- Received SIP request (`, `<--- Transmitting SIP response (`
_DIGITS = 6
OPEN = 2  # marks on which those behind them bear
# A received SIP message is at most a UDP datagram or chan_sip's TCP limit; a dump without its end within this is cut.
DUMP_BYTES = 128 << 10
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Marks:
    """The marks of a stretch of a stream.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        Byte offsets in the stream, ascending.
    kind : ndarray of int8, shape (n,)
    stop : ndarray of int64, shape (n,)
        Where a dump of kind `COUNTED` ends.
    sent_ends : ndarray of int64
        Byte offsets of the lines that end the dump of a message that was sent.
    begins, ends : ndarray of int64
        Of the dumps whose marks stand in the usual order, all but the last `OPEN` marks looked at.
    usual : bool
        All of those do.
    """

    at: Offsets
    kind: NDArray[np.int8]
    stop: Offsets
    sent_ends: Offsets
    begins: Offsets
    ends: Offsets
    usual: bool = True

    def __bool__(self) -> bool:
        return bool(self.at.size or self.sent_ends.size)

    def last_ones(self, following: Self) -> tuple[Offsets, Offsets, bool]:
        """Return begins and ends of the dumps of the last marks, which the stretch behind decides, as in `begins`."""
        at = np.concatenate([self.at[-OPEN:], following.at[: OPEN + 1]])
        kind = np.concatenate([self.kind[-OPEN:], following.kind[: OPEN + 1]])
        stop = np.concatenate([self.stop[-OPEN:], following.stop[: OPEN + 1]])
        return _dumps(at, kind, stop, len(self.at[-OPEN:]))


NONE = np.empty(0, np.int64)
NO_MARKS = Marks(NONE, np.empty(0, np.int8), NONE, NONE, NONE, NONE)


def marks_in(buffer: bytearray, begin: int, end: int, shift: int) -> Marks:
    """Return the marks in the lines `buffer[begin:end]`, which a newline stands before.

    Parameters
    ----------
    shift : int
        What is to be added to places in the buffer to make them offsets in the stream.
    """
    text, even = np.frombuffer(buffer, np.uint8), begin - 2 & ~1
    pairs = np.frombuffer(buffer, np.uint16, (end - even) // 2, even) == _PAIR  # in any three dashes there is one
    if not pairs.any():
        return NO_MARKS
    at = 2 * np.flatnonzero(pairs[1:] > pairs[:-1]) + (even + 2)
    at -= 1 + (text[at - 1] == _DASH)  # what stands before the first dash
    at = at[text[at + 3] == _DASH]
    first = text[at]
    sent_ends = at[(first == _NEWLINE) & _is_line_end(text[at + 4])] + (shift + 1)
    at = at[first == _LESS]
    if not at.size and not sent_ends.size:
        return NO_MARKS
    kind = _kinds(buffer, at)
    at, kind = at[kind > 0], kind[kind > 0]
    behind = np.where(text[at + 14] == ord(">"), text[at + 15], text[at + 14])
    kind[(kind == END) & ~(_is_line_end(behind) & (text[at - 1] == _NEWLINE))] = ODD
    stop, counted = np.zeros(at.size, np.int64), kind == COUNTED
    if counted.any():
        stop[counted] = _stops(buffer, text, at[counted])
        kind[counted & ~((stop > at) & ((stop >= end) | _is_line_end(text[np.minimum(stop, end)])))] = ODD
    at, stop = at + shift, stop + shift
    return Marks(at, kind, stop, sent_ends, *_dumps(at, kind, stop, max(0, at.size - OPEN)))


def _kinds(buffer: bytearray, at: Offsets) -> NDArray[np.int8]:
    """Return the kind of the mark that stands at each place, 0 for none."""
    eight = np.ndarray(len(buffer) - 7, np.uint64, buffer, strides=(1,))  # bytes from each place on
    first, kind = eight[at], np.zeros(at.size, np.int8)
    for mark, one in reversed(MARKS.items()):
        begin, end = np.frombuffer(mark[:8] + mark[-8:], np.uint64)
        fits = np.flatnonzero(first == begin)
        kind[fits[eight[at[fits] + (len(mark) - 8)] == end]] = one
    return kind


def _dumps(at: Offsets, kind: NDArray[np.int8], stop: Offsets, count: int) -> tuple[Offsets, Offsets, bool]:
    """Return begins and ends of the dumps that the first `count` marks begin, and whether all stand in the usual order.

    A dump has one end mark, and the next mark begins another; or it says its length, and the next mark is behind it.
    """
    behind = np.append(at, _FAR)[1 : count + 1]
    at, stop, kind = at[:count], stop[:count], np.append(kind, [0, 0])
    first, second, third = kind[:count], kind[1 : count + 1], kind[2 : count + 2]
    marked = (first == MARKED) & (second == END) & (third != END) & (third != ODD) & (behind - at <= DUMP_BYTES)
    counted = (first == COUNTED) & (stop <= behind)
    some = marked | counted
    return at[some], np.where(counted, stop, behind)[some], bool((some | (first == END)).all())


def _is_line_end(byte: NDArray[np.uint8]) -> NDArray[np.bool_]:
    end: NDArray[np.bool_] = (byte == 10) | (byte == 13)
    return end


def _stops(buffer: bytearray, text: NDArray[np.uint8], at: Offsets) -> Offsets:
    """Return where dumps end that say their length behind a bracket; 0 where they do not say it."""
    opening = np.zeros(at.size, np.int64)
    for behind in _BRACKETS:
        opening = np.where((text[at + behind] == ord("(")) & (opening == 0), at + behind, opening)
    length, reading = np.zeros(at.size, np.int64), opening > 0
    for place in range(1, _DIGITS + 1):
        digit = text[opening + place].astype(np.int64) - ord("0")
        reading &= (digit >= 0) & (digit <= 9)
        length = np.where(reading, 10 * length + digit, length)
    bodies = np.array([buffer.find(b"\n", mark) + 1 for mark in at.tolist()], np.int64)
    return np.where(opening > 0, bodies + length, 0)
