"""Nothing is ever written onto what is read, by whatever name."""

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from starface_nb.errors import InputError

_STREAMS: dict[Path | int, str] = {1: "standard output", 2: "standard error"}


def keep_apart(
    inputs: Iterable[str | os.PathLike[str]], outputs: Iterable[Path | int], cause: str = "The output is the log itself"
) -> None:
    """Refuse to write onto anything that is read, by whatever name; to be called before any work.

    Parameters
    ----------
    inputs : iterable of paths
        Files with what is read beside them, archives, folders (with all that lies in them), globs, `-` for standard
        input, keys.
    outputs : iterable of Path or int
        Every file that will be written; numbers of files that are open for writing.
    cause : str
        What an overlap means, in words.

    Raises
    ------
    InputError
        An output is an input: the same path, or the same file under another name (a link).
    """
    outputs = list(outputs)
    taken = {identity: path for path in outputs for identity in _identities(path)}
    for source in _members(inputs, look_inside=any(isinstance(path, int) or path.exists() for path in outputs)):
        for identity in _identities(source):
            if (place := taken.get(identity)) is not None:
                name = "standard input" if isinstance(source, int) else source
                told, step = f"{cause} ({name}), which would be overwritten.", "Choose another place for the result."
                raise InputError(told, place=_STREAMS.get(place, place), next_step=step)


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
    from starface_nb.sources.named import beside

    for given in inputs:
        text = os.fspath(given)
        if text == "-":
            with suppress(OSError, ValueError, AttributeError):  # no standard input, or none of the system's
                yield sys.stdin.fileno()
            continue
        matching = glob.has_magic(text) and not os.path.lexists(text)
        for path in map(Path, glob.glob(text, recursive=True) if matching else [text]):  # noqa: PTH207 (may be absolute)
            yield path
            yield from beside(path)
            if look_inside and path.is_dir():
                yield from (Path(root, name) for root, _, names in os.walk(path) for name in names)
