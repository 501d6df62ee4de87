"""A log that was read: its events, what could not be parsed, and where everything stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.bundle.facts import Bundle
from starface_nb.reading.schemas import CALLS
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.reading.context import ContextLine

_NOTES_SHOWN = 8


@dataclass(frozen=True)
class LogFile:
    """One file (or archive member) of a log.

    Attributes
    ----------
    name : str
        Path as given, with `!member` behind it for an archive's member.
    bytes : int
        Size after decompression.
    lines : int
        Physical lines.
    fingerprint : str
        Identifies the content that was read.
    note : str
        What was odd about it (truncated, skipped copy ...), or empty.
    order : str
        "forward", or "reversed" where its newest line comes first (events are in the order of time all the same).
    damaged : bool
        It could be read in part only; its rest is missing.
    cut : bool
        It ends within a line, as a log does that is being written, or a copy that was broken off.
    """

    name: str
    bytes: int
    lines: int
    fingerprint: str
    note: str = ""
    order: str = "forward"
    damaged: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Context:
    """The lines around an event, the event's own line marked; shows itself in a notebook and in a terminal."""

    file: str
    lines: tuple[ContextLine, ...]

    def __str__(self) -> str:
        """Return the lines as text, the event's own behind a `>`."""
        return "\n".join(f"{'>' if line.is_hit else ' '} {visible(line.text)}" for line in self.lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = (
            f"<mark>{escape(visible(line.text))}</mark>" if line.is_hit else escape(visible(line.text))
            for line in self.lines
        )
        return f"<small>{escape(visible(self.file))}</small><pre>{'<br>'.join(rows)}</pre>"


@dataclass(frozen=True, repr=False)
class Log:
    """What a customer's log holds.

    Attributes
    ----------
    events, unparsed : polars.DataFrame
        See `starface_nb.reading.schemas`; events are in the log's order.
    files : tuple of LogFile
    time_zone : str
        The zone the log's local times were read in; event times are UTC.
    first, last : datetime or None
        Time of the first and last line that has one (any line, not only events), aware, UTC.
    notes : tuple of str
        What the reader noticed: clock steps, an inferred year, skipped members.
    calls : polars.DataFrame
        Steps of calls, see `starface_nb.reading.schemas`.
    piped : mapping of str to bytes
        The files that came through a pipe and can not be read again, up to 64 MiB each.
    bundle : Bundle
        What lies beside the log in a support bundle: settings, peers, blocks.
    pauses : polars.DataFrame or None
        Where lines stop for longer, see `starface_nb.reading.pauses`; None for a log that was not read but made, which
        is whole from its first to its last moment.
    """

    events: pl.DataFrame
    unparsed: pl.DataFrame
    files: tuple[LogFile, ...]
    time_zone: str
    first: datetime | None
    last: datetime | None
    notes: tuple[str, ...] = ()
    calls: pl.DataFrame = field(default_factory=CALLS.empty)
    piped: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    bundle: Bundle = field(default_factory=Bundle)
    pauses: pl.DataFrame | None = None

    @property
    def bytes(self) -> int:
        """Size of all files after decompression."""
        return sum(f.bytes for f in self.files)

    @property
    def lines(self) -> int:
        """Physical lines of all files."""
        return sum(f.lines for f in self.files)

    @property
    def order(self) -> str:
        """How the lines stood: "reversed" where a file's newest line comes first, else "forward"."""
        return "reversed" if any(file.order == "reversed" for file in self.files) else "forward"

    @property
    def fingerprint(self) -> str:
        """Identifies the content of all files together."""
        return "+".join(f.fingerprint for f in self.files)

    def context(self, event: int | Mapping[str, object], before: int = 5, after: int = 5) -> Context:
        """Return the lines around an event.

        Parameters
        ----------
        event : int or mapping
            Row number in `events`, or a row of any frame with the columns `file` and `offset`.
        before, after : int
            Lines wanted on either side.

        Raises
        ------
        InputError
            The file is gone.
        """
        from starface_nb.reading.context import lines_around

        row = self.events.row(event, named=True) if isinstance(event, int) else event
        name, offset = str(row["file"]), int(str(row["offset"]))
        return Context(name, tuple(lines_around(name, offset, before, after, content=self.piped.get(name))))

    def _span(self) -> str:
        if self.first is None or self.last is None:
            return "no times"
        zone = ZoneInfo(self.time_zone)
        first, last = (t.astimezone(zone) for t in (self.first, self.last))
        return f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} {self.time_zone}"

    def _peers(self) -> int:
        return self.events["peer"].drop_nulls().n_unique()

    def __repr__(self) -> str:
        """Return one line: how much there is, and of when."""
        files = f"{len(self.files)} files" if len(self.files) != 1 else visible(PurePath(self.files[0].name).name)
        return (
            f"Log({files}, {self.bytes / 1e6:,.1f} MB, {self.lines:,} lines, {self.events.height:,} events of "
            f"{self._peers():,} peers, {self.unparsed.height:,} unparsed, {self._span()})"
        )

    def _repr_html_(self) -> str:
        def table(rows: list[tuple[str, str]]) -> str:
            cells = "".join(
                f"<tr><th style='text-align:left'>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows
            )
            return f"<table>{cells}</table>"

        kinds = self.events.group_by("kind").len().sort("kind")
        facts = [
            ("Span", self._span()),
            ("Size", f"{self.bytes / 1e6:,.1f} MB in {self.lines:,} lines"),
            ("Events", ", ".join(f"{n:,} {kind}" for kind, n in kinds.iter_rows()) or "none"),
            ("Peers", f"{self._peers():,}"),
            ("Unparsed", f"{self.unparsed.height:,}"),
        ]
        files = [
            (visible(f.name), f"{f.bytes:,} bytes, {f.lines:,} lines {visible(f.note)}".strip()) for f in self.files
        ]
        notes = [f"<li>{escape(visible(note))}</li>" for note in self.notes[:_NOTES_SHOWN]]
        more = len(self.notes) - len(notes)
        notes += [f"<li>and {more} more</li>"] if more > 0 else []
        return table(facts) + table(files) + (f"<ul>{''.join(notes)}</ul>" if notes else "")
