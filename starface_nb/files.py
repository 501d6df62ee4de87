"""Writing a file whole or not at all, for its owner alone, one writer at a time."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from starface_nb.errors import SettingError, SetupError

if TYPE_CHECKING:
    import polars as pl

PACKED = {".7z", ".bz2", ".gz", ".lzma", ".rar", ".tar", ".tgz", ".xz", ".zst"}
DOCUMENTS = {".csv", ".doc", ".docx", ".eml", ".htm", ".html", ".json", ".jsonl", ".md", ".mht", ".ods", ".odt",
             ".parquet", ".pdf", ".png", ".rtf", ".svg", ".tsv", ".txt", ".xhtml", ".xls", ".xlsm", ".xlsx", ".xml",
             ".zip"}  # fmt: skip
_passing: list[Path] = []
_STREAMS = ("/dev/", "/proc/")  # where a name stands for something that is open, whatever it is
_ABANDONED_S = 86_400.0  # nobody has written there for a day
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def unfinished(folder: Path) -> Path:
    """Return a new hidden name in a folder; what a process that was killed left under such names is removed."""
    for left in folder.glob(".starface-nb-*"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > _ABANDONED_S:
                left.unlink() if not left.is_dir() else shutil.rmtree(left)
    return folder / f".starface-nb-{os.getpid()}-{os.urandom(8).hex()}"


def clear_after(process: int, folder: Path) -> None:
    """Remove what a process of this machine that has ended left unfinished anywhere below a folder."""
    for left in [*folder.rglob(f".starface-nb-{process}-*")]:
        with suppress(OSError):
            left.unlink() if not left.is_dir() else shutil.rmtree(left)


def is_open(path: Path) -> bool:
    """Say whether a name stands for what the shell or another program has opened."""
    return str(path.absolute()).startswith(_STREAMS)


@contextmanager
def replacing(path: Path, *, alone: bool = False, new: bool = False) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is written; only its owner may read it (mode 0600).

    Until then, and after any error, the old file stands as it was and nothing is left beside it. A link is replaced,
    not followed. What is no regular file (a device, a pipe, `/dev/fd/3`) is written to.

    Parameters
    ----------
    path : Path
    alone : bool
        Whether the caller holds a lock. The file beside has a fixed name then, so that what a killed process left
        there is overwritten.
    new : bool
        What another has put there in the meantime is not replaced, but an error.

    Raises
    ------
    OSError
        It cannot be written; the error names `path`, not the file beside it.
    """
    temporary = path.with_name(f".{path.name}.saving") if alone else unfinished(path.parent)
    try:
        if is_open(path) or (path.exists() and not path.is_file()):
            with path.open("ab") as file:  # what stands there already (`>>`) stays
                yield file
            return
        if alone:
            temporary.unlink(missing_ok=True)
        try:  # from here on: Ctrl-C may come as soon as the file is there
            with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put(temporary, path) if new else temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise


def write(path: Path, content: bytes, *, alone: bool = False, new: bool = False) -> None:
    """Replace a file's content, see `replacing`."""
    with replacing(path, alone=alone, new=new) as file:
        file.write(content)


def write_new(path: Path, content: bytes) -> bool:
    """Write a file whole unless there is one, and say so: of several at once, the first one's content stays for all.

    Raises
    ------
    OSError
        It cannot be written.
    """
    try:
        write(real(path), content, new=True)
    except FileExistsError:
        return False
    return True


def _put(beside: Path, path: Path) -> None:
    """Give a file its name if that is free: on POSIX a rename would replace what another has just written."""
    if os.name != "posix":
        beside.rename(path)
        return
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with os.fdopen(os.open(path, _NEW, 0o600), "wb") as file:
            file.write(beside.read_bytes())


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
        reason = "a link there leads nowhere" if level.is_symlink() else error.strerror or error
        raise SetupError(
            f"The folder cannot be created: {reason}.", place=folder, next_step="Choose a folder you may write to."
        ) from None
    return folder


def passing_folder() -> Path:
    """Return a new folder that is gone with this process, be that a kernel that is ended by SIGTERM."""
    from tempfile import mkdtemp

    _passing.append(Path(mkdtemp(prefix="starface-nb-")))
    atexit.register(_pass)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    return _passing[-1]


def house_ipython() -> None:
    """Give IPython a passing folder where the home takes none: its own way out is a warning and folders left behind."""
    place = at_home(os.environ.get("IPYTHONDIR") or "~/.ipython")
    if not os.access(place if os.access(place, os.F_OK) else place.parent, os.W_OK):
        os.environ["IPYTHONDIR"] = str(passing_folder())


def _pass() -> None:
    for folder in _passing:
        shutil.rmtree(folder, ignore_errors=True)


def _end(number: int, _frame: object) -> None:
    _pass()
    os._exit(128 + number)  # an exception would be the running cell's


def keep_free(folder: Path, names: Collection[str] = ()) -> None:
    """Refuse to write into a folder where something lies already: anything at all, or something of these names.

    Raises
    ------
    SettingError
        It does.
    """
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if taken := [name for name in there if name in names or not names]:
        cause, step = f"This folder holds something already ({taken[0]}).", "Name a new file or folder somewhere else."
        raise SettingError(cause, place=folder, next_step=step)


def has_files_name(path: Path) -> bool:
    """Say whether a folder would be called as files are."""
    return path.suffix.lower() in DOCUMENTS | PACKED | {".log"}


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
    path = real(path)
    beside = unfinished(path.parent)
    try:
        beside.mkdir(mode=0o700)
        yield beside
        if not path.is_dir():
            beside.rename(path)
            return
        keep_free(path)
        for made in beside.iterdir():  # a shell may be in that folder, which is therefore not replaced
            made.rename(path / made.name)
        beside.rmdir()
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError) and str(error.filename).startswith(str(beside)):
            error.filename = str(path)
        raise


def write_files(path: Path, files: Mapping[str, bytes], entry: Callable[[str], ZipInfo], comment: bytes = b"") -> None:
    """Write files into a new folder, or all into one archive where the name ends in `.zip`.

    Parameters
    ----------
    path : Path
    files : mapping of name to content
    entry : callable
        Makes the entry of an archive for a name.
    comment : bytes
        Of the archive.
    """
    if path.suffix.lower() == ".zip" and not path.is_dir():
        with replacing(path, new=not path.exists()) as file, ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr(entry(name), content, ZIP_DEFLATED)
            archive.comment = comment
    else:
        with new_folder(path) as folder:
            for name, content in files.items():
                write(folder / name, content)


def real(path: Path) -> Path:
    """Return where a path leads to; of links in a circle as far as they can be followed.

    `Path.resolve` raises RuntimeError of those before Python 3.13.
    """
    return Path(os.path.realpath(path))


def locked(path: Path, *, blocking: bool = True) -> AbstractContextManager[object]:
    """Hold the lock file `path` alone, in a `with` block; the system releases it when the process dies.

    Raises
    ------
    SetupError
        The folder's file system knows no locks.
    filelock.Timeout
        Another process holds it, and it is not waited for (`blocking`).
    """
    from filelock import FileLock

    try:
        return FileLock(path, mode=0o600, fallback_to_soft=False).acquire(blocking=blocking)
    except NotImplementedError:
        cause, step = "Files cannot be locked in this folder.", "Choose a folder on a local disk."
        raise SetupError(cause, place=path.parent, next_step=step) from None
