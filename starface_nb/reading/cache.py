"""Results remembered on disk: parquet frames in one file per key, written at once or not at all.

A file begins with a version line and a manifest (key, names, lengths, checksum). What another version, another key or
another user wrote, or what is damaged, is not believed and is written anew. Nothing is ever unpickled.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

from starface_nb.files import replacing

if TYPE_CHECKING:
    import polars as pl

VERSION = b"starface-nb cache 1\n"
EDGE = 64 << 10
KEEP = 64  # files in a cache folder; the oldest go first
_SUFFIX = ".frames"


def default_folder() -> Path:
    """Return the user's cache folder for this package (not created here)."""
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "starface-nb"


def save_frames(key: str, frames: Mapping[str, pl.DataFrame], folder: Path | None = None) -> Path:
    """Remember frames under a key.

    Parameters
    ----------
    key : str
        Anything that identifies the content and the settings the frames came from.
    frames : mapping of str to polars.DataFrame
    folder : path, optional
        Default: the user's cache folder. Created readable by its owner only.

    Returns
    -------
    Path
        The file, complete; a kill at any moment leaves the old one or none.
    """
    folder = folder or default_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    blobs = {}
    for name, frame in frames.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="lz4", statistics=False)
        blobs[name] = buffer.getvalue()
    payload = b"".join(blobs.values())
    lengths = {name: len(blob) for name, blob in blobs.items()}
    manifest = json.dumps({"key": key, "frames": lengths, "crc": isal_zlib.crc32(payload)}).encode() + b"\n"
    path = _path(key, folder)
    with replacing(path) as file:
        file.write(VERSION + manifest + payload)
    _prune(folder)
    return path


def load_frames(key: str, folder: Path | None = None) -> dict[str, pl.DataFrame] | None:
    """Return the frames remembered under a key, or None where there are none to be trusted."""
    import polars as pl

    path = _path(key, folder or default_folder())
    try:
        with path.open("rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            if file.readline(len(VERSION)) != VERSION:
                return None
            manifest = json.loads(file.readline(1 << 20))
            payload = file.read()
        if manifest["key"] != key or manifest["crc"] != isal_zlib.crc32(payload):
            return None
        frames, at = {}, 0
        for name, length in manifest["frames"].items():
            frames[name] = pl.read_parquet(io.BytesIO(payload[at : at + length]))
            at += length
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError):
        return None
    with suppress(OSError):
        os.utime(path)  # the least recently used go first
    return frames


def quick_fingerprint(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Return 32 hexadecimal digits that change when one of the files does.

    Looks at each file's place, size, time and first and last 64 KiB, so it takes no time whatever the size; a folder
    counts with all files in it, a pattern with the files it matches. For standard input and missing files only the
    name counts.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(paths)):
        digest.update(os.fsencode(path.absolute()) + b"\0")
        with suppress(OSError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode())
            digest.update(file.read(EDGE))
            file.seek(max(0, status.st_size - EDGE))
            digest.update(file.read(EDGE))
    return digest.hexdigest()[:32]


def _files(paths: Iterable[str | os.PathLike[str]]) -> Iterable[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file())
        elif glob.has_magic(str(path)) and not path.exists():
            yield from map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 (a pattern may be absolute)
        else:
            yield path


def _path(key: str, folder: Path) -> Path:
    return folder / (hashlib.sha256(key.encode()).hexdigest()[:40] + _SUFFIX)


def _prune(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("*" + _SUFFIX), key=lambda p: p.stat().st_mtime, reverse=True)
        for path in files[KEEP:]:
            path.unlink(missing_ok=True)
