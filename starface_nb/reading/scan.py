"""The few relevant lines out of any source."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from starface_nb.errors import InputError

EDGE = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What a source may cost at most."""

    max_ratio: float = 250.0
    max_total_bytes: int = 64 << 30
    max_members: int = 10_000
    max_nesting: int = 2
    max_line: int = EDGE
    max_hit_bytes: int = 1 << 30
    allow_damaged: bool = False


@dataclass(frozen=True)
class Hits:
    """What one file (or archive member) gave."""

    name: str
    lines: list[bytes]
    offset: NDArray[np.int64]
    line: NDArray[np.int64]
    head: bytes
    tail: bytes
    bytes: int
    lines_total: int
    fingerprint: str
    modified: datetime | None
    logger_conf: str | None
    note: str


def scan_logs(
    logs: Sequence[str | os.PathLike[str]],
    needles: Sequence[bytes],
    *,
    progress: bool = True,
    limits: Limits = Limits(),  # noqa: B008
    cache: Path | None = None,
) -> tuple[list[Hits], list[str]]:
    """Return the candidate lines of every file, and notes on what was skipped."""
    found = []
    for log in logs:
        path = Path(log)
        if not path.is_file():
            raise InputError("no such file", place=str(log), next_step="Check the path.")
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        lines, offsets, numbers, at = [], [], [], 0
        physical = raw.split(b"\n")
        for number, text in enumerate(physical, 1):
            if any(n in text for n in needles):
                lines.append(text[:EDGE])
                offsets.append(at)
                numbers.append(number)
            at += len(text) + 1
        found.append(
            Hits(
                name=str(log),
                lines=lines,
                offset=np.array(offsets, np.int64),
                line=np.array(numbers, np.int64),
                head=raw[:EDGE],
                tail=raw[-EDGE:],
                bytes=len(raw),
                lines_total=raw.count(b"\n") + (bool(raw) and not raw.endswith(b"\n")),
                fingerprint=hashlib.sha256(raw).hexdigest()[:32],
                modified=datetime.fromtimestamp(path.stat().st_mtime, UTC),
                logger_conf=None,
                note="",
            )
        )
    return found, []
