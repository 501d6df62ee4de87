"""Files and standard input opened for reading, each byte counted; what the system refuses becomes an `InputError`."""

import io
import os
import sys
from pathlib import Path
from threading import Timer
from typing import cast

from starface_nb.console import note
from starface_nb.errors import InputError
from starface_nb.progress import DELAY
from starface_nb.sources.limits import Account, DamagedError
from starface_nb.sources.streams import Stream
from starface_nb.text import visible


class CountedFile(io.FileIO):
    """A file that tells the account how much of it was read."""

    def __init__(self, path: str | Path, account: Account) -> None:
        super().__init__(path, "rb")
        self._account = account

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into `buffer` and count."""
        count = super().readinto(buffer) or 0
        self._account.read(count)
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Read and count."""
        data = super().read(-1 if size is None else size) or b""
        self._account.read(len(data))
        return data


def opened(path: str | Path, account: Account) -> CountedFile:
    """Open a file for reading; what the system refuses becomes an `InputError`. A pipe may have to be waited for."""
    told = Timer(DELAY, note, [f"{path}: this is a pipe into which nobody writes yet; waiting for it."])
    told.daemon = True
    try:
        if Path(path).is_fifo():
            told.start()
        return CountedFile(path, account)
    except OSError as error:
        raise unreadable(error, str(path)) from None
    finally:
        told.cancel()


def unreadable(error: OSError | ValueError | RuntimeError, place: str) -> InputError:
    """Return the error for what the system refuses."""
    if isinstance(error, PermissionError):
        return InputError("permission denied.", place=visible(place), next_step="Ask for read access.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError("no such file or folder.", place=visible(place), next_step="Check the path.")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"cannot be opened ({reason}).", place=visible(place), next_step="Check the path.")


def file_stream(path: Path, account: Account) -> Stream:
    """Return a file as it is now as a stream; reading raises `DamagedError` where the file has become shorter."""
    file = opened(path, account)
    size = os.fstat(file.fileno()).st_size if path.is_file() else sys.maxsize  # a log may grow while it is read
    left = size

    def fill(room: memoryview) -> int:
        nonlocal left
        count = file.readinto(room[:left])
        left -= count
        if len(room) and left and not count and size < sys.maxsize:
            got = f"{size - left:,} of {size:,} bytes could be read before that."
            cause = f"the file became shorter while it was read; {got}"
            raise DamagedError(cause, place=visible(str(path)), next_step="Read it again, or a copy of it.")
        return count

    return Stream(fill, file.close)


def stdin_stream(account: Account) -> Stream:
    """Return standard input as a stream."""
    standard_input = cast(io.BufferedReader, sys.stdin.buffer)

    def fill(room: memoryview) -> int:
        count = standard_input.readinto1(room)
        account.read(count)
        return count

    return Stream(fill)
