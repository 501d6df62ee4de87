"""What a scan gives: the candidate lines of one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from starface_nb.reading.limits import DamagedError
from starface_nb.reading.lines import SEGMENT, Found, fingerprint

EDGE = 64 << 10


@dataclass(frozen=True)
class Hits:
    """What one file (or archive member) gave.

    Attributes
    ----------
    name : str
        Path as given, with `!member` behind it for an archive's member; `-` for standard input.
    lines : list of bytes
        Candidate lines in file order, without the newline (a carriage return before it stays); a giant line is cut to
        its first 64 KiB.
    offset : ndarray of int64
        Byte offset of each line in the decompressed stream.
    line : ndarray of int64
        Physical line number of each, from 1; only a newline ends a line.
    head, tail : bytes
        First and last 64 KiB at most.
    bytes, lines_total : int
        Size after decompression, and physical lines.
    fingerprint : str
        Identifies the content: equal for the same content in any container.
    modified : datetime or None
        Time of the file or member, aware, UTC (a zip without time zone: the stored local time, taken as UTC).
    logger_conf : str or None
        Text of a `logger.conf` found in the same archive or folder.
    note : str
        What was odd: damaged, cut lines, last line unfinished; or empty.
    """

    name: str
    lines: list[bytes] = field(repr=False)
    offset: NDArray[np.int64] = field(repr=False)
    line: NDArray[np.int64] = field(repr=False)
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    bytes: int
    lines_total: int
    fingerprint: str
    modified: datetime | None
    logger_conf: str | None = field(repr=False)
    note: str


@dataclass(frozen=True)
class Scanned:
    """One scanned text before it becomes `Hits`.

    Attributes
    ----------
    parts : list of Found
        By stretches of 32 MiB for a plain file; one part for a stream.
    sums : list of int
        CRC-32 of each 32 MiB of the content.
    """

    name: str
    rank: int
    modified: datetime | None
    parts: list[Found] = field(repr=False)
    sums: list[int] = field(repr=False)
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    size: int
    remarks: list[str] = field(default_factory=list)
    damage: DamagedError | None = None

    def hits(self, logger_conf: str | None) -> Hits:
        """Join the parts."""
        before = np.cumsum([0, *(part.lines_total for part in self.parts)])
        numbers = [np.array(part.line, np.int64) + start for part, start in zip(self.parts, before, strict=False)]
        return Hits(
            name=self.name,
            lines=list(chain.from_iterable(part.lines for part in self.parts)),
            offset=_joined([np.array(part.offset, np.int64) for part in self.parts]),
            line=_joined(numbers),
            head=self.head,
            tail=self.tail,
            bytes=self.size,
            lines_total=int(before[-1]),
            fingerprint=fingerprint(self.sums, self.size),
            modified=self.modified,
            logger_conf=logger_conf,
            note="; ".join(self._remarks()),
        )

    def _remarks(self) -> list[str]:
        remarks = list(self.remarks)
        cut = sum(part.cut for part in self.parts)
        if cut:
            remarks.append(f"{cut} lines longer than 64 KiB were cut")
        if any(part.unfinished for part in self.parts):
            remarks.append("the last line is unfinished")
        if self.damage:
            remarks.append(f"damaged: {self.damage.cause}")
        return remarks

    def whole_segments(self) -> int:
        """Return how many first parts stay as they are when the file grows."""
        end = self.size
        if any(part.unfinished for part in self.parts):
            at = self.tail.rfind(b"\n")
            end = self.size - len(self.tail) + at + 1 if at >= 0 else 0
        return min(end, self.size) // SEGMENT


def _joined(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
