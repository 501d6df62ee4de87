"""Writing a file whole or not at all, for its owner alone, one writer at a time, and never onto what is read."""

from __future__ import annotations

import glob
import io
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

from starface_nb.errors import InputError, SetupError

if TYPE_CHECKING:
    import polars as pl

_STREAMS = ("/dev/", "/proc/")  # where a name stands for something that is open, whatever it is
_ABANDONED_S = 86_400.0  # nobody has written there for a day
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def keep_apart(
    inputs: Iterable[str | os.PathLike[str]], outputs: Iterable[Path], cause: str = "The output is the log itself"
) -> None:
    """Refuse to write onto anything that is read, by whatever name; to be called before any work.

    Parameters
    ----------
    inputs : iterable of paths
        Files, archives, folders (with all that lies in them), globs, `-` for standard input, keys.
    outputs : iterable of Path
        Every file that will be written.
    cause : str
        What an overlap means, in words.

    Raises
    ------
    InputError
        An output is an input: the same path, or the same file under another name (a link).
    """
    outputs = list(outputs)
    taken = {identity: path for path in outputs for identity in _identities(path)}
    for source in _members(inputs, look_inside=any(path.exists() for path in outputs)):
        for identity in _identities(source):
            if identity in taken:
                name = "standard input" if isinstance(source, int) else source
                raise InputError(
                    f"{cause} ({name}), which would be overwritten.",
                    place=str(taken[identity]),
                    next_step="Choose another place for the result.",
                )


def _identities(path: Path | int) -> set[object]:
    """Return what tells a file from all others: where it lies, and its device and inode where it exists."""
    found: set[object] = set()
    with suppress(OSError, ValueError):
        if isinstance(path, Path):
            found.add(os.path.realpath(path))
        status = os.stat(path)  # noqa: PTH116  also of an open file's number
        if stat.S_ISREG(status.st_mode) and status.st_ino:
            found.add((status.st_dev, status.st_ino))
    return found


def _members(inputs: Iterable[str | os.PathLike[str]], *, look_inside: bool) -> Iterator[Path | int]:
    for given in inputs:
        text = os.fspath(given)
        if text == "-":
            with suppress(OSError, ValueError, AttributeError):  # no standard input, or none of the system's
                yield sys.stdin.fileno()
            continue
        matching = glob.has_magic(text) and not os.path.lexists(text)
        for path in map(Path, glob.glob(text, recursive=True) if matching else [text]):  # noqa: PTH207 (may be absolute)
            yield path
            if look_inside and path.is_dir():
                yield from (Path(root, name) for root, _, names in os.walk(path) for name in names)


def unfinished(folder: Path) -> Path:
    """Return a new hidden name in a folder; what a process that was killed left under such names is removed."""
    for left in folder.glob(".starface-nb-*"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > _ABANDONED_S:
                left.unlink() if not left.is_dir() else shutil.rmtree(left)
    return folder / f".starface-nb-{token_hex(8)}"


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is written; only its owner may read it (mode 0600).

    Until then, and after any error, the old file stands as it was and nothing is left beside it. A link is replaced,
    not followed. What is no regular file (a device, a pipe, `/dev/fd/3`) is written to.

    Parameters
    ----------
    path : Path
    alone : bool
        Whether the caller holds a lock. The file beside has a fixed name then, so that what a killed process left
        there is overwritten.

    Raises
    ------
    OSError
        It cannot be written; the error names `path`, not the file beside it.
    """
    temporary = path.with_name(f".{path.name}.saving") if alone else unfinished(path.parent)
    try:
        if str(path.absolute()).startswith(_STREAMS) or (path.exists() and not path.is_file()):
            with path.open("wb") as file:
                yield file
            return
        if alone:
            temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, _NEW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise


def write(path: Path, content: bytes, *, alone: bool = False) -> None:
    """Replace a file's content, see `replacing`."""
    with replacing(path, alone=alone) as file:
        file.write(content)


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a frame as the content of a parquet file; to be written by `write`, whose errors name the file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def private_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents so that only their owner can look into them; return it.

    Raises
    ------
    SetupError
        It cannot be created.
    """
    try:
        for level in [*reversed(folder.parents), folder]:
            if not level.is_dir():
                level.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(
            f"The folder cannot be created: {error.strerror or error}.",
            place=str(folder),
            next_step="Choose a folder you may write to.",
        ) from None
    return folder


def is_frozen(folder: Path) -> bool:
    """Say whether a folder is there and cannot be written to: an archive."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def at_home(path: str | os.PathLike[str]) -> Path:
    """Return a path, absolute; `~` is the home, except where something of that very name is meant."""
    text = os.fspath(path)
    return Path(text if os.path.lexists(text) else os.path.expanduser(text)).absolute()  # noqa: PTH111  no home: as it is


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that becomes `path`, which is missing or empty, once all is in it; only its owner may look in."""
    path = Path(os.path.realpath(path))
    beside = unfinished(path.parent)
    beside.mkdir(mode=0o700)
    try:
        yield beside
        if path.is_dir():
            path.rmdir()
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; the system releases it when the process dies.

    Raises
    ------
    SetupError
        The folder's file system knows no locks.
    """
    from filelock import FileLock

    lock = FileLock(path, mode=0o600, fallback_to_soft=False)
    try:
        lock.acquire()
    except NotImplementedError:
        raise SetupError(
            "Files cannot be locked in this folder.",
            place=str(path.parent),
            next_step="Choose a folder on a local disk.",
        ) from None
    try:
        yield
    finally:
        lock.release()
