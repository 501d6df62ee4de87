"""What one file gave: its candidate lines, read some thousand at a time while the rest is still scanned."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starface_nb.bundle.members import Taken
from starface_nb.reading.dumps import Placed
from starface_nb.reading.layouts import Ends, usual_prefix
from starface_nb.reading.messages import HEADERLESS, decode, read_lines
from starface_nb.sources.limits import DamagedError

READ_AT_ONCE = 40_000  # lines
_PLACE = {"offset": pl.Int64, "line": pl.Int64, "dumped": pl.Boolean, "entry_begin": pl.Int64}
_SAYS = ("offset", "stamp", "entry", "peer", "address", "port", "contact", "detail", "rtt_ms")


@dataclass(frozen=True)
class Hits:
    """What one file (or archive member) gave.

    Attributes
    ----------
    name : str
        Path as given, with `!member` behind it for an archive's member; `-` for standard input.
    rows : polars.DataFrame
        The candidate lines and the file's first and last ones, in its order: where they stand in the decompressed
        stream (`offset`, `line` from 1, null for a line that is no candidate), whether they stand in a dump (`dumped`),
        where the entry begins that they continue (`entry_begin`, see `dumps.Placed`), what `messages.read_lines` says.
    lines, cut : int
        Physical lines; lines of which only the beginning was kept or looked at.
    ends : Ends
        Size after decompression, first and last 64 KiB at most.
    prefix : str or None
        Regex of what stands before every line.
    modified : datetime or None
        Time of the file or member, aware, UTC (a zip without time zone: the stored local time, taken as UTC).
    rank : int
        How surely the name is the PBX log's; 0 is best.
    remarks : list of str
        What was odd about the container.
    damage : DamagedError or None
    content : bytes or None
        All of it, where it came through a pipe and is not too large.
    members : tuple of Taken
        What was taken of the members of a support bundle that lie beside it.
    newest_first : bool
        The file's newest line comes first; its text is read in the order of time all the same.
    """

    name: str
    rows: pl.DataFrame = field(repr=False)
    lines: int
    cut: int
    ends: Ends = field(repr=False)
    prefix: str | None
    modified: datetime | None
    rank: int = 0
    remarks: list[str] = field(default_factory=list)
    damage: DamagedError | None = None
    content: bytes | None = field(default=None, repr=False)
    members: tuple[Taken, ...] = field(default=(), repr=False)
    newest_first: bool = False

    @property
    def bytes(self) -> int:
        """Size after decompression."""
        return self.ends.size

    @property
    def date_formats(self) -> tuple[str, ...]:
        """The date formats that a `logger.conf` beside it names."""
        return tuple(str(row["value"]) for one in self.members for row in one.facts if row["fact"] == "dateformat")

    @property
    def is_asterisks(self) -> bool:
        """Whether any line at hand has a header of Asterisk's, or is one of its known messages or nearly so."""
        own = ~pl.col("layout").is_in(HEADERLESS) | pl.col("entry").is_not_null() | (pl.col("like") != "beginning")
        return bool(self.rows.select(own.any()).item())

    @property
    def unfinished(self) -> int | None:
        """Byte offset of a last line that no newline ends."""
        tail = self.ends.tail
        return self.bytes - len(tail) + tail.rfind(b"\n") + 1 if tail and not tail.endswith(b"\n") else None

    @cached_property
    def fingerprint(self) -> str:
        """Identifies what was read, the same in any container: size, both ends, and what every candidate line says."""
        digest = hashlib.sha256(b"%d\0" % self.bytes + self.ends.head + self.ends.tail)
        for rows in self.rows.select(_SAYS).iter_slices(10_000):  # other slices would be another fingerprint
            for column in rows:
                said = column.drop_nulls() if column.null_count() else column
                text = said.dtype == pl.String
                digest.update(said.str.join("\0")[0].encode() if text else said.to_numpy().tobytes())
        return digest.hexdigest()[:24]

    def numbered(self, numbers: array[int], *, newest_first: bool) -> Hits:
        """Return the same with the lines' numbers in the file as it is, where the text was rewritten (see `forms`)."""
        if not numbers:
            return self
        physical = np.asarray(numbers)
        line = pl.Series("line", pl.Series(physical).gather(self.rows["line"] - 1), dtype=pl.Int64)
        rows = self.rows.with_columns(line)
        return replace(self, rows=rows, lines=int(physical.max()), newest_first=newest_first)

    @property
    def note(self) -> str:
        """What was odd: damaged, cut lines, last line unfinished; or empty."""
        remarks = list(self.remarks)
        if self.cut:
            remarks.append(f"{self.cut} lines longer than 64 KiB were cut")
        if self.unfinished is not None:
            remarks.append("the last line is unfinished")
        if self.damage:
            remarks.append(f"damaged: {self.damage.cause}")
        return "; ".join(remarks)


class Reader:
    """Reads what is found of one text, some thousand lines at a time, so that little is held as it was found.

    Parameters
    ----------
    prefix : str or None
        Regex of what stands before every line.
    words : bool
        See `messages.read_lines`.
    ends : bool
        See `scan.scan_logs`.
    """

    def __init__(self, prefix: str | None, *, words: bool, ends: bool) -> None:
        self.prefix, self._words, self._always = prefix, words, ends
        self._places: dict[str, list[Any]] = {name: [] for name in _PLACE}
        self._texts, self._rows, self._lines, self._cut = list[bytes](), list[pl.DataFrame](), 0, 0
        self._ends = Ends(b"", b"", 0)
        self.wide: int | None = None  # about where the text goes on as UTF-16

    @property
    def waiting(self) -> int:
        """How many lines were found and not yet read."""
        return len(self._texts)

    @property
    def has_read(self) -> bool:
        """Whether there are rows, be it none."""
        return bool(self._rows)

    def add(self, placed: Placed) -> None:
        """Take in what the next block holds."""
        found = placed.found
        if found.texts:
            self._take(found.texts, found.offsets, found.numbers + (self._lines + 1), placed.dumped)
            self._places["entry_begin"] += placed.entry_begins
        self._lines, self._cut = self._lines + found.lines, self._cut + found.cut
        if found.has_wide and self.wide is None:
            self.wide = found.block.start
        if self.waiting > READ_AT_ONCE:
            read_together([self])

    def end(self, ends: Ends, dumped: NDArray[np.bool_]) -> None:
        """Take in the first and last lines, once the text has ended; they have no number."""
        self._ends = ends
        lines = ends.lines if self._always or self._rows or self._texts else []
        offsets = np.array(ends.offsets[: len(lines)], np.int64)
        self._take(lines, offsets, np.zeros_like(offsets), dumped[: len(lines)])
        self._places["entry_begin"] += [None] * offsets.size

    def _take(self, texts: list[bytes], *places: NDArray[Any]) -> None:
        self._texts += texts
        for name, one in zip(_PLACE, places, strict=False):
            self._places[name].append(one)

    def hits(self, name: str, **about: Any) -> Hits:
        """Return all that was found, once it is read."""
        ends, merged = self._ends, _merged(self._rows, self._ends)
        prefix = usual_prefix(ends.lines)
        if prefix != self.prefix:  # the end of the text told more
            merged = _read_again(merged, prefix)
        return Hits(name, merged, self._lines, self._cut, ends, prefix=prefix, **about)

    @staticmethod
    def _read(readers: Sequence[Reader]) -> None:
        """Read what waits in some with the same prefix."""
        places = {name: list(chain.from_iterable(one._places[name] for one in readers)) for name in _PLACE}
        begins = places.pop("entry_begin")
        place = pl.DataFrame(
            {**{name: np.concatenate(some) for name, some in places.items()}, "entry_begin": begins}, schema=_PLACE
        ).with_columns(pl.col("line").replace(0, None))
        text, counts = decode([text for one in readers for text in one._texts]), [one.waiting for one in readers]
        for one in readers:
            one._texts, one._places = [], {name: [] for name in _PLACE}
        rows = place.hstack(read_lines(text, readers[0].prefix, words=readers[0]._words))
        shown = pl.col("dumped") & pl.any_horizontal(pl.col("entry", "like").is_not_null())
        rows, at = rows.with_columns(pl.when(shown).then(text).otherwise("text").alias("text")), 0
        for one, count in zip(readers, counts, strict=True):
            one._rows.append(rows[at : at + count])
            at += count


def read_together(readers: Sequence[Reader]) -> None:
    """Read what waits in several texts in one go: to begin costs as much time as some thousand lines."""
    unread = [one for one in readers if one.waiting or not one.has_read]
    for prefix in {one.prefix for one in unread}:
        Reader._read([one for one in unread if one.prefix == prefix])


def _merged(frames: list[pl.DataFrame], ends: Ends) -> pl.DataFrame:
    """Return all rows in one piece, those of the ends (`line` null) in their place; takes the frames.

    It goes column by column, so that no more than one is held twice.
    """
    own = pl.concat(frames)
    more = own.filter(pl.col("line").is_null()).unique("offset")
    own = own[: own.height - own["line"].null_count()]
    more = more.join(own.select("offset"), on="offset", how="anti").sort("offset")
    behind_head, before_tail = len(ends.head), max(len(ends.head), ends.size - len(ends.tail))
    head, tail = (int(own["offset"].search_sorted(at)) for at in (behind_head, before_tail))
    parts = [
        own[:head].merge_sorted(more.filter(pl.col("offset") < behind_head), "offset"),
        own[head:tail],
        own[tail:].merge_sorted(more.filter(pl.col("offset") >= behind_head), "offset"),
    ]
    columns = [part.get_columns()[::-1] for part in parts]
    frames.clear()
    del own, parts
    return pl.DataFrame([pl.concat([some.pop() for some in columns], rechunk=True) for _ in range(len(columns[0]))])


def _read_again(rows: pl.DataFrame, prefix: str | None) -> pl.DataFrame:
    """Read the lines again whose text was kept: those without a header, above all."""
    again = pl.col("text").is_not_null()
    some = rows.filter(again)
    read = some.select(*_PLACE).hstack(read_lines(some["text"], prefix, words="bare" in rows.columns))
    return rows.filter(~again).merge_sorted(read.select(rows.columns), "offset")
