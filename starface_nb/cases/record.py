"""A small JSON document on disk that survives a kill at any point and two writers at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starface_nb.errors import SetupError, StarfaceError

_FORMAT = 1


class CaseError(StarfaceError):
    """A case cannot be opened or saved: another customer's, damaged, or changed by somebody else."""


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


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that at any moment either the old or the new file is there, whole.

    The name of the temporary file is fixed: a kill leaves at most one behind, and the next save overwrites it. Callers
    hold a lock.
    """
    temporary = path.with_name(f".{path.name}.saving")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if sys.platform != "win32":  # the new name itself must reach the disk too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; the system releases it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
    finally:
        os.close(descriptor)


class Record:
    """One JSON object in a file, or only in memory where there is no file.

    Parameters
    ----------
    path : Path or None
        The file; its lock lies beside it. None keeps the object in memory.
    kind : str
        What the file says it is; a file of another kind is refused.
    """

    def __init__(self, path: Path | None, kind: str) -> None:
        self.path, self.kind = path, kind
        self._memory: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the object, empty where the file does not exist yet.

        Raises
        ------
        CaseError
            The file is damaged, of another kind or from a newer version.
        """
        if self.path is None:
            return self._memory
        with locked(self._lock):
            return self._load()

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Yield the object as it is now and save it when the block ends without an error."""
        if self.path is None:
            yield self._memory
            return
        with locked(self._lock):
            content = self._load()
            before = json.dumps(content, sort_keys=True)
            yield content
            if json.dumps(content, sort_keys=True) == before and self.path.exists():
                return
            whole = {"kind": self.kind, "format": _FORMAT, **content}
            text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
            write_atomically(self.path, text.encode("utf-8") + b"\n")

    @property
    def _lock(self) -> Path:
        assert self.path is not None  # noqa: S101
        return self.path.with_name(f".{self.path.name}.lock")

    def _load(self) -> dict[str, Any]:
        assert self.path is not None  # noqa: S101
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise CaseError(
                "The file is damaged.", place=str(self.path), next_step="Restore it from a backup, or move it away."
            ) from None
        if not isinstance(content, dict) or content.pop("kind", None) != self.kind:
            raise CaseError(f"This is no {self.kind} file of starface_nb.", place=str(self.path))
        if content.pop("format", 0) > _FORMAT:
            raise CaseError(
                "A newer version of starface_nb wrote this file.", place=str(self.path), next_step="Update starface_nb."
            )
        return content
