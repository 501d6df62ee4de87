"""What one file gave: its candidate lines, read some thousand at a time while the rest is still scanned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starface_nb.bundle.members import Taken
from starface_nb.reading.dumps import Placed
from starface_nb.reading.layouts import Ends, usual_prefix
from starface_nb.reading.marks import NONE, Offsets
from starface_nb.reading.messages import HEADERLESS, decode, read_lines
from starface_nb.reading.unwrap import Text
from starface_nb.sources.limits import DamagedError

READ_AT_ONCE = 40_000  # lines
_PLACE = {"offset": pl.Int64, "line": pl.Int64, "dumped": pl.Boolean, "entry_begin": pl.Int64}
_Found = tuple[list[bytes], Offsets, Offsets, NDArray[np.bool_], list[int | None]]  # texts, and as in `_PLACE`
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
        where the entry begins that they continue (`entry_begin`, see `dumps`), what `messages.read_lines` says.
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
    text : Text
    prefix : str or None
        Regex of what stands before every line.
    words : bool
        See `messages.read_lines`.
    ends : bool
        See `scan.scan_logs`.
    """

    def __init__(self, text: Text, prefix: str | None, *, words: bool, ends: bool) -> None:
        self.text, self.prefix, self._words, self._always = text, prefix, words, ends
        self.damage: DamagedError | None = None
        self.content: bytes | None = None
        self._found, self._rows, self._lines, self._cut = list[_Found](), list[pl.DataFrame](), 0, 0
        self._ends = Ends(b"", b"", 0)
        self.wide: int | None = None  # about where the text goes on as UTF-16

    @property
    def waiting(self) -> int:
        """How many lines were found and not yet read."""
        return sum(len(texts) for texts, *_ in self._found)

    def add(self, placed: Placed) -> None:
        """Take in what the next block holds."""
        found, dumped, begins = placed
        if found.texts:
            self._found.append((found.texts, found.offsets, found.numbers + (self._lines + 1), dumped, begins))
        self._lines, self._cut = self._lines + found.lines, self._cut + found.cut
        if found.has_wide and self.wide is None:
            self.wide = found.block.start
        if self.waiting > READ_AT_ONCE:
            read_together([self])

    def end(self, ends: Ends, dumped: NDArray[np.bool_]) -> None:
        """Take in the first and last lines, once the text has ended; they have no number."""
        self._ends, offsets = ends, np.array(list(ends.lines), np.int64)
        if self._always or self._rows or self._found:
            numbers = np.zeros_like(offsets)
            self._found.append((list(ends.lines.values()), offsets, numbers, dumped, [None] * offsets.size))

    def hits(self) -> Hits:
        """Return all that was found, once it is read; of a text that was rewritten, with its lines' first numbers."""
        text, ends, rows, lines = self.text, self._ends, _merged(self._rows, self._ends), self._lines
        prefix = usual_prefix(ends.lines.values())
        if prefix != self.prefix:  # the end of the text told more
            rows = _read_again(rows, prefix)
        if text.numbers:
            physical = pl.Series(np.asarray(text.numbers))
            rows = rows.with_columns(pl.Series("line", physical.gather(rows["line"] - 1), dtype=pl.Int64))
            lines = int(physical.max())  # type: ignore[arg-type]
        about = text.modified, text.rank, text.remarks, self.damage, self.content
        return Hits(text.name, rows, lines, self._cut, ends, prefix, *about, newest_first=text.newest_first)

    @staticmethod
    def _read(readers: Sequence[Reader]) -> None:
        """Read what waits in some with the same prefix."""
        some = [([], NONE, NONE, np.empty(0, np.bool_), []), *(found for one in readers for found in one._found)]
        texts, *places, begins = zip(*some, strict=True)
        columns = [*map(np.concatenate, places), list(chain.from_iterable(begins))]
        place = pl.DataFrame(dict(zip(_PLACE, columns, strict=True)), schema=_PLACE)
        text = decode(list(chain.from_iterable(texts)))
        rows = place.with_columns(pl.col("line").replace(0, None))
        rows = rows.hstack(read_lines(text, readers[0].prefix, words=readers[0]._words))
        shown = pl.col("dumped") & pl.any_horizontal(pl.col("entry", "like").is_not_null())
        rows, at = rows.with_columns(pl.when(shown).then(text).otherwise("text").alias("text")), 0
        for one in readers:
            one._rows.append(rows[at : at + one.waiting])
            at, one._found = at + one.waiting, []


def read_together(readers: Sequence[Reader]) -> None:
    """Read what waits in several texts in one go: to begin costs as much time as some thousand lines."""
    unread = [one for one in readers if one._found or not one._rows]
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
