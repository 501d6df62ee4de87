"""A log that was read: its events, what could not be parsed, and where everything stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl


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
    """

    name: str
    bytes: int
    lines: int
    fingerprint: str
    note: str = ""


@dataclass(frozen=True)
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
    """

    events: pl.DataFrame
    unparsed: pl.DataFrame
    files: tuple[LogFile, ...]
    time_zone: str
    first: datetime | None
    last: datetime | None
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all files after decompression."""
        return sum(f.bytes for f in self.files)

    @property
    def lines(self) -> int:
        """Physical lines of all files."""
        return sum(f.lines for f in self.files)

    @property
    def fingerprint(self) -> str:
        """Identifies the content of all files together."""
        return "+".join(f.fingerprint for f in self.files)
