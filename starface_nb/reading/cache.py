"""What was read of a log, remembered on disk for as long as the log does not change.

One file per key, written at once or not at all: a version line, a manifest (key, facts, lengths, checksum) and frames
as parquet. What another version, another key or another user wrote, or what is damaged, is not believed and is written
anew. Nothing is ever unpickled.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from isal import isal_zlib

from starface_nb import __version__
from starface_nb.errors import SettingError
from starface_nb.files import private_folder, replacing
from starface_nb.reading.bundle import FACTS, PEERS, ROUTER, Bundle
from starface_nb.reading.clock import zone
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.pauses import PAUSES
from starface_nb.reading.schemas import CALLS, EVENTS, UNPARSED

VERSION = f"starface-nb cache 4 {__version__}\n".encode()
EDGE = 64 << 10
KEEP = 256  # files in a cache folder; the oldest go first
_SUFFIX = ".frames"
Facts = dict[str, Any]
Frames = Mapping[str, pl.DataFrame]


def save(key: str, facts: Facts, frames: Frames, folder: Path) -> Path:
    """Remember facts and frames under a key.

    Parameters
    ----------
    key : str
        What they are of, and the settings they came from; what was there before is replaced.
    facts : dict
        Anything that JSON can hold.
    frames : mapping of str to polars.DataFrame
    folder : path
        Created readable by its owner only.

    Returns
    -------
    Path
        The file, complete; a kill at any moment leaves the old one or none.
    """
    blobs = {}
    for name, frame in frames.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="lz4", statistics=False)
        blobs[name] = buffer.getvalue()
    payload = b"".join(blobs.values())
    lengths = {name: len(blob) for name, blob in blobs.items()}
    manifest = {"key": key, "facts": facts, "frames": lengths, "crc": isal_zlib.crc32(payload)}
    path = _path(key, private_folder(folder))
    with replacing(path) as file:
        file.write(VERSION + json.dumps(manifest).encode() + b"\n" + payload)
    _prune(folder)
    return path


def load(key: str, folder: Path) -> tuple[Facts, Frames] | None:
    """Return the facts and frames remembered under a key, or None where there are none to be trusted."""
    path = _path(key, folder)
    try:
        with path.open("rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            if file.readline(len(VERSION)) != VERSION:
                return None
            manifest = json.loads(file.readline())
            payload = file.read()
        if manifest["key"] != key or manifest["crc"] != isal_zlib.crc32(payload):
            return None
        frames, at = {}, 0
        for name, length in manifest["frames"].items():
            frames[name] = pl.read_parquet(io.BytesIO(payload[at : at + length]))
            at += length
        facts: Facts = manifest["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pl.exceptions.PolarsError):
        return None
    with suppress(OSError):
        os.utime(path)  # the least recently used go first
    return facts, frames


def _path(key: str, folder: Path) -> Path:
    return folder / (hashlib.sha256(os.fsencode(key)).hexdigest()[:40] + _SUFFIX)


def _prune(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("*" + _SUFFIX), key=lambda p: p.stat().st_mtime, reverse=True)
        for path in files[KEEP:]:
            path.unlink(missing_ok=True)


# ---- a log that has not changed, or has gone ----


def quick_fingerprint(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Return 32 hexadecimal digits that change when one of the files does.

    Looks at each file's place, size, time and first and last 64 KiB, so it takes no time whatever the size; a folder
    counts with all files in it, a pattern with the files it matches. For standard input and missing files only the
    name counts.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(paths)):
        digest.update(os.fsencode(path.absolute()) + b"\0")
        with suppress(OSError):
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns} {_ends(path, status.st_size)}\0".encode())
    return digest.hexdigest()[:32]


def _ends(path: Path, size: int) -> str:
    """Identify the first and last 64 KiB of the first `size` bytes of a file."""
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256(file.read(min(size, EDGE)))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(min(size, EDGE)))
    return digest.hexdigest()


def _files(paths: Iterable[str | os.PathLike[str]]) -> Iterable[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file())
        elif glob.has_magic(str(path)) and not path.exists():
            yield from map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 (a pattern may be absolute)
        else:
            yield path


def gone(paths: Iterable[str | os.PathLike[str]]) -> bool:
    """Say whether nothing of a log is where it was."""
    return not any(path.exists() for path in _files(paths))


def remember(key: str, log: Log, state: str, folder: Path) -> None:
    """Keep a log in `folder`, with the `quick_fingerprint` of its files; where that cannot be, it is read again."""
    facts = {
        "state": state,
        "time_zone": log.time_zone,
        "files": [asdict(file) for file in log.files],
        "first": log.first and log.first.isoformat(),
        "last": log.last and log.last.isoformat(),
        "notes": list(log.notes),
        "members": list(log.bundle.members),
    }
    frames = {"events": log.events, "unparsed": log.unparsed, "calls": log.calls}
    frames["pauses"] = PAUSES.empty() if log.pauses is None else log.pauses
    with suppress(OSError):
        taken = {name: getattr(log.bundle, name) for name in ("facts", "peers", "router")}
        save(key, facts, frames | taken, folder)


def recall(key: str, folder: Path, state: str | None = None) -> Log | None:
    """Return the log kept under a key; None where there is none, or its files had another state than the one given."""
    facts, frames = load(key, folder) or ({}, {})
    try:
        first, last = (datetime.fromisoformat(text) if text else None for text in (facts["first"], facts["last"]))
        log = Log(
            events=EVENTS.check(frames["events"]),
            unparsed=UNPARSED.check(frames["unparsed"]),
            calls=CALLS.check(frames["calls"]),
            bundle=Bundle(
                FACTS.check(frames["facts"]),
                PEERS.check(frames["peers"]),
                tuple(facts["members"]),
                ROUTER.check(frames["router"]),
            ),
            pauses=PAUSES.check(frames["pauses"]),
            files=tuple(LogFile(**file) for file in facts["files"]),
            time_zone=str(zone(facts["time_zone"])),
            first=first,
            last=last,
            notes=tuple(map(str, facts["notes"])),
        )
        return log if state in (None, facts["state"]) and _is_whole(log) else None
    except (KeyError, TypeError, ValueError, AttributeError, SettingError, pl.exceptions.PolarsError):
        return None  # nothing of ours, or somebody has changed it


def _is_whole(log: Log) -> bool:
    """Say whether the values are of the declared kinds, and the events stand in the log's own files."""
    texts = (text for file in log.files for text in (file.name, file.fingerprint, file.note))
    counts = (count for file in log.files for count in (file.bytes, file.lines))
    kinds = all(isinstance(text, str) for text in texts) and all(isinstance(count, int) for count in counts)
    times = all(time is None or time.tzinfo is not None for time in (log.first, log.last))
    names = {file.name for file in log.files}
    return times and kinds and names.issuperset(log.events["file"].unique())
