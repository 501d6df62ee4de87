"""The candidate lines of a file remembered on disk, so that it is not scanned twice and a grown one only at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from starface_nb.reading import cache
from starface_nb.reading.hits import EDGE, Scanned
from starface_nb.reading.limits import Limits
from starface_nb.reading.lines import Found
from starface_nb.reading.sources import Beside, Source

VERSION = 1  # raise it when the scan's result for the same file and needles changes


@dataclass(frozen=True)
class Memory:
    """What is known of a source from an earlier scan.

    Attributes
    ----------
    complete : bool
        The file has not changed since; otherwise it has only grown.
    """

    texts: list[Scanned]
    beside: Beside
    complete: bool


class HitStore:
    """Loads and saves scans in a folder; without a folder it knows nothing and keeps nothing."""

    def __init__(self, folder: Path | None, needles: Sequence[bytes], limits: Limits) -> None:
        self._folder = folder
        self._settings = f"{VERSION}|{sorted(needles)!r}|{limits!r}"

    def load(self, source: Source) -> Memory | None:
        """Return what is remembered of a file that has not changed, or has only grown (a plain one)."""
        if self._folder is None or source.path is None:
            return None
        frames = cache.load_frames(self._key(source), self._folder)
        try:
            return _memory(frames, source.path) if frames else None
        except (KeyError, TypeError, OSError):
            return None

    def save(self, source: Source, texts: list[Scanned], beside: Beside, status: tuple[int, int]) -> None:
        """Remember a scan of a file that had this size and time (ns) when it was opened."""
        if self._folder is None or source.path is None or any(text.damage for text in texts):
            return
        frames = _frames(texts, beside, status, _edges(source.path, status[0]))
        cache.save_frames(self._key(source), frames, self._folder)

    def _key(self, source: Source) -> str:
        return f"hits|{source.path and source.path.resolve()}|{source.name}|{self._settings}"


def status_of(path: Path) -> tuple[int, int]:
    """Return a file's size and time in ns."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _edges(path: Path, size: int) -> bytes:
    """Return the first and last 64 KiB of the first `size` bytes of a file."""
    with path.open("rb", buffering=0) as file:
        head = file.read(min(size, EDGE))
        file.seek(max(0, size - EDGE))
        return head + file.read(min(size, EDGE))


def _frames(texts: list[Scanned], beside: Beside, status: tuple[int, int], edges: bytes) -> dict[str, pl.DataFrame]:
    parts = [(text, part) for text in texts for part in text.parts]
    return {
        "file": pl.DataFrame(
            {
                "size": [status[0]],
                "time": [status[1]],
                "edges": [edges],
                "notes": [beside.notes],
                "skipped": [beside.skipped],
                "logger_conf": [beside.logger_conf],
            },
            schema_overrides={"notes": pl.List(pl.String), "logger_conf": pl.String},
        ),
        "texts": pl.DataFrame(
            {
                "name": [text.name for text in texts],
                "rank": [text.rank for text in texts],
                "modified": [text.modified for text in texts],
                "sums": [text.sums for text in texts],
                "head": [text.head for text in texts],
                "tail": [text.tail for text in texts],
                "size": [text.size for text in texts],
                "remarks": [text.remarks for text in texts],
                "parts": [len(text.parts) for text in texts],
            },
            schema_overrides={
                "modified": pl.Datetime("us", "UTC"),
                "sums": pl.List(pl.Int64),
                "remarks": pl.List(pl.String),
            },
        ),
        "parts": pl.DataFrame(
            {
                "hits": [len(part.lines) for _, part in parts],
                "lines_total": [part.lines_total for _, part in parts],
                "unfinished": [part.unfinished for _, part in parts],
                "cut": [part.cut for _, part in parts],
            },
        ),
        "lines": pl.DataFrame(
            {
                "line": [line for _, part in parts for line in part.lines],
                "offset": [offset for _, part in parts for offset in part.offset],
                "number": [number for _, part in parts for number in part.line],
            },
            schema={"line": pl.Binary, "offset": pl.Int64, "number": pl.Int64},
        ),
    }


def _memory(frames: dict[str, pl.DataFrame], path: Path) -> Memory | None:
    file = frames["file"].row(0, named=True)
    size, time = status_of(path)
    if size < file["size"] or _edges(path, file["size"]) != file["edges"]:
        return None
    complete = (size, time) == (file["size"], file["time"])
    texts = _texts(frames)
    beside = Beside(file["notes"], file["skipped"], file["logger_conf"])
    return Memory(texts, beside, complete)


def _texts(frames: dict[str, pl.DataFrame]) -> list[Scanned]:
    lines, offsets, numbers = (frames["lines"][name].to_list() for name in ("line", "offset", "number"))
    found, at = [], 0
    for row in frames["parts"].iter_rows(named=True):
        end = at + row["hits"]
        counts = (row["lines_total"], row["unfinished"], row["cut"])
        found.append(Found(lines[at:end], offsets[at:end], numbers[at:end], *counts))
        at = end
    texts = []
    for row in frames["texts"].iter_rows(named=True):
        count = row.pop("parts")
        texts.append(Scanned(**row, parts=found[:count]))
        found = found[count:]
    return texts


def prefix(memory: Memory) -> tuple[list[Found], list[int]]:
    """Return the parts and checksums of a plain log that stay as they are now that it has grown."""
    text = memory.texts[0]
    whole = text.whole_segments()
    return text.parts[:whole], text.sums[:whole]
