"""What was read of a log remembered on disk: all of it for a log that has not changed, the lines of one that grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import polars as pl

from starface_nb import __version__
from starface_nb.reading.cache import EDGE, load_frames, save_frames
from starface_nb.reading.limits import Limits
from starface_nb.reading.lines import Found
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.schemas import EVENTS, UNPARSED


def remember(log: Log, fingerprint: str, folder: Path) -> None:
    """Keep a log's frames in `folder`, under its fingerprint and time zone."""
    about = {
        "files": [asdict(file) for file in log.files],
        "first": log.first and log.first.isoformat(),
        "last": log.last and log.last.isoformat(),
        "notes": list(log.notes),
    }
    frames = {"events": log.events, "unparsed": log.unparsed, "about": pl.DataFrame({"json": [json.dumps(about)]})}
    save_frames(_key(fingerprint, log.time_zone), frames, folder)


def recall(fingerprint: str, time_zone: str, folder: Path) -> Log | None:
    """Return the log kept under this fingerprint and zone, or None; what is stale or foreign is not believed."""
    frames = load_frames(_key(fingerprint, time_zone), folder)
    if frames is None:
        return None
    about = json.loads(frames["about"]["json"][0])
    first, last = (datetime.fromisoformat(text) if text else None for text in (about["first"], about["last"]))
    return Log(
        events=EVENTS.check(frames["events"]),
        unparsed=UNPARSED.check(frames["unparsed"]),
        files=tuple(LogFile(**file) for file in about["files"]),
        time_zone=time_zone,
        first=first,
        last=last,
        notes=tuple(about["notes"]),
    )


def _key(fingerprint: str, time_zone: str) -> str:
    return f"case {__version__} {fingerprint} {time_zone}"


class HitStore:
    """Keeps the candidate lines of plain logs in a folder; without a folder it knows nothing and keeps nothing."""

    def __init__(self, folder: Path | None, needles: Sequence[bytes], limits: Limits) -> None:
        self._folder = folder
        self._settings = f"{__version__}|{sorted(needles)!r}|{limits!r}"

    def load(self, path: Path, size: int) -> tuple[Found, int]:
        """Return what is known of a file that is as it was or has grown, and the offset up to which that is so."""
        frames = load_frames(self._key(path), self._folder) if self._folder else None
        if frames is None:
            return Found(), 0
        about = frames["about"].row(0, named=True)
        same_size = size == about["size"] and path.stat().st_mtime_ns != about["time"]
        if size < about["size"] or same_size or _ends(path, about["size"]) != about["ends"]:
            return Found(), 0
        texts, offsets, numbers = (frames["lines"][name].to_list() for name in ("text", "offset", "number"))
        marks, mark_offsets = (frames["marks"][name].to_list() for name in ("text", "offset"))
        return Found(texts, offsets, numbers, marks, mark_offsets, about["lines"], cut=about["cut"]), about["end"]

    def save(self, path: Path, found: Found, tail: bytes, size: int) -> None:
        """Remember the whole lines of a file of which `size` bytes were read, the last of them `tail`."""
        last = size - len(tail) + tail.rfind(b"\n") + 1
        if self._folder is None or (found.unfinished and b"\n" not in tail):
            return
        whole = pl.col("offset") < last
        lines = {"text": found.texts, "offset": found.offsets, "number": found.numbers}
        marks = {"text": found.marks, "offset": found.mark_offsets}
        types = {"text": pl.Binary, "offset": pl.Int64, "number": pl.Int64}
        about = {
            "size": size,
            "time": path.stat().st_mtime_ns,
            "ends": _ends(path, size),
            "end": last,
            "lines": found.lines - found.unfinished,
            "cut": found.cut,
        }
        frames = {
            "about": pl.DataFrame([about]),
            "lines": pl.DataFrame(lines, schema_overrides=types).filter(whole),
            "marks": pl.DataFrame(marks, schema_overrides=types).filter(whole),
        }
        save_frames(self._key(path), frames, self._folder)

    def _key(self, path: Path) -> str:
        return f"lines|{path.resolve()}|{self._settings}"


def _ends(path: Path, size: int) -> str:
    """Identify the first and last 64 KiB of the first `size` bytes of a file."""
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256(file.read(min(size, EDGE)))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(min(size, EDGE)))
    return digest.hexdigest()
