"""Writing a file whole or not at all, for its owner alone, and one writer at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from starface_nb.errors import SetupError


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is written; only its owner may read it (mode 0600).

    Until then, and after any error, the old file stands as it was and nothing is left beside it.

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
    temporary = path.with_name(f".{path.name}.{'saving' if alone else token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: Path, content: bytes, *, alone: bool = False) -> None:
    """Replace a file's content, see `replacing`."""
    with replacing(path, alone=alone) as file:
        file.write(content)


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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; the system releases it when the process dies."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600)) as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
