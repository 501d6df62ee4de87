"""The lines around a place in a log."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ContextLine:
    """One line of the log near a hit."""

    text: str
    offset: int
    is_hit: bool


def read_range(name: str, start: int, end: int) -> bytes:
    """Return the bytes of the decompressed stream between two offsets."""
    raw = Path(name).read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return raw[max(0, start) : end]


def lines_around(name: str, offset: int, before: int = 5, after: int = 5) -> list[ContextLine]:
    """Return the line at `offset` with its neighbours."""
    first = max(0, offset - 65536)
    raw = read_range(name, first, offset + 65536)
    at, lines = first, []
    for text in raw.split(b"\n"):
        lines.append(ContextLine(text.decode("utf-8", "replace"), at, at == offset))
        at += len(text) + 1
    hit = next((i for i, line in enumerate(lines) if line.is_hit), 0)
    return lines[max(0, hit - before) : hit + after + 1]
