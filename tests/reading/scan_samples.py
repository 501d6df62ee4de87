"""Logs and containers that the tests of the reading room share."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from starface_nb.reading import scan
from starface_nb.reading.hits import Hits
from starface_nb.sources.streams import zstd

NEEDLES = (b" is now ", b"Registered SIP '")

scan_logs = partial(scan.scan_logs, words=True)

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),
    "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE, preset=0),
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),  # as the tool does
}


def log(lines: int = 2000, seed: int = 1, every: int = 40, start: int = 0) -> bytes:
    """A log with one relevant line in about `every`."""
    random_ = random.Random(seed)  # noqa: S311
    text = []
    for i in range(start, start + lines):
        stamp = f"[2026-03-{4 + i // 80_000:02d} {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}]"
        if random_.random() < 1 / every:
            text.append(
                f"{stamp} NOTICE[211] chan_sip.c: Peer '{random_.randrange(99)}.snom' is now Reachable. (9ms / 2000ms)"
            )
        else:
            text.append(
                f"{stamp} VERBOSE[9][C-{random_.randrange(1 << 32):08x}] pbx.c: Executing [s@x:{i}] NoOp in new stack"
            )
    return ("\n".join(text) + "\n").encode()


def triples(hits: Hits) -> list[tuple[int, int, str]]:
    """Offset, line number and text of what was found."""
    return hits.rows.filter(pl.col("line").is_not_null()).select("offset", "line", "text").rows()


def texts(hits: Hits) -> list[str]:
    """The text of what was found."""
    return [text for _, _, text in triples(hits)]


def shown(line: bytes) -> str:
    """A line as text: without what stands before the first and behind the last character."""
    text = line[: 64 << 10]
    try:
        text.decode()
    except UnicodeDecodeError:
        rest = text.decode("utf-8", "surrogateescape")
        return (
            "".join(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in rest)
            .rstrip("\r\0 \t")
            .lstrip("\ufeff\0")
        )
    return text.decode().rstrip("\r\0 \t").lstrip("\ufeff\0")


def expected(text: bytes, needles: tuple[bytes, ...] = NEEDLES) -> list[tuple[int, int, str]]:
    """What the plainest possible scan finds: offset, line number and line; NULs end a line, too, but count none."""
    found, at, number = [], 0, 1
    for part in re.finditer(rb"[^\0\n]+", text):
        number, at = number + text.count(b"\n", at, part.start()), part.start()
        if any(needle in part[0] for needle in needles):
            found.append((at, number, shown(part[0])))
    return found


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members: Mapping[str, bytes], **options: object) -> bytes:
    """A tar archive, not compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_772_600_000
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def written(path: Path, data: bytes) -> Path:
    """The path, with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
