"""Marks of dumps of SIP messages in a block of bytes, told apart all at once: cheap however many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

# What a mark may be: it begins a dump that says its length, or one that an end mark ends; ends one; may end one; ends
# that of a message that was sent. Of those that fit, the first counts; text from the network may stand between them.
COUNTED, MARKED, END, ODD, SENT_END = 1, 2, 3, 4, 5
MARKS = {
    b"<--- SIP read": MARKED,
    b"<--- Reliably": MARKED,
    b"<--- Transmitting S": COUNTED,
    b"<--- Transmit": MARKED,
    b"<--- Receiv": COUNTED,
    b"<------------->": END,
    b"<------------>": END,
    b"<--------": ODD,
    b"\n---": SENT_END,
}
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


def told(buffer: bytearray, begin: int, end: int, at: Offsets, kind: NDArray[np.int8], shift: int) -> Marks:
    """Tell what marks in `buffer[begin:end]` begin and end.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Places in the buffer of `MARKS`.
    kind : ndarray of int8, shape (n,)
        What each may be.
    shift : int
        What is to be added to make them offsets in the stream.
    """
    if not at.size:
        return NO_MARKS
    text = np.frombuffer(buffer, np.uint8)
    sent_ends = at[kind == SENT_END]
    sent_ends = sent_ends[_is_line_end(text[sent_ends + 4])] + (shift + 1)
    at, kind = at[kind != SENT_END], kind[kind != SENT_END]
    behind = np.where(text[at + 14] == ord(">"), text[at + 15], text[at + 14])
    alone = _is_line_end(behind) & ((text[at - 1] == 10) | (at == begin))
    kind[(kind == END) & ~alone] = ODD
    stop, counted = np.zeros(at.size, np.int64), kind == COUNTED
    if counted.any():
        stop[counted] = _stops(buffer, text, at[counted])
        kind[counted & ~((stop > at) & ((stop >= end) | _is_line_end(text[np.minimum(stop, end)])))] = ODD
    at, stop = at + shift, stop + shift
    return Marks(at, kind, stop, sent_ends, *_dumps(at, kind, stop, max(0, at.size - OPEN)))


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
