"""The lines around a place in a log, at once: by seeking in a plain file, by reading up to it in anything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starface_nb.errors import InputError
from starface_nb.reading.forms import PLAIN, SNIFF, form_of
from starface_nb.reading.messages import text_of
from starface_nb.reading.unwrap import Text, texts
from starface_nb.sources.archives import is_tar, is_zip
from starface_nb.sources.limits import Account, Limits
from starface_nb.sources.named import Beside, expand
from starface_nb.sources.streams import format_of, opened, utf16_codec
from starface_nb.text import visible

_REACH = 64 << 10  # bytes before and behind a place in which its neighbours are looked for
_KEPT = 8 << 20  # bytes before the place read last that a stream keeps
_BLOCK = 1 << 18
_STREAMS = 3  # that are kept open


@dataclass(frozen=True)
class ContextLine:
    """One line of the log near a place.

    Attributes
    ----------
    text : str
        The line without its newline.
    offset : int
        Its byte offset in the decompressed stream.
    is_hit : bool
        Whether it is the line asked for.
    """

    text: str
    offset: int
    is_hit: bool


def lines_around(
    name: str, offset: int, before: int = 5, after: int = 5, *, content: bytes | None = None
) -> list[ContextLine]:
    """Return the line at a byte offset with its neighbours.

    Parameters
    ----------
    name : str
        As in `Hits.name` and in the events' column `file`.
    offset : int
        Of the line's first byte in the decompressed stream.
    before, after : int
        Neighbours wanted; fewer come at the log's ends and beside lines longer than 64 KiB.
    content : bytes, optional
        The log itself, where it came through a pipe.

    Raises
    ------
    InputError
        The log is no longer there, or came through a pipe and is too large to have been kept.
    """
    first, stop = max(0, offset - _REACH), offset + _REACH
    raw = read_range(name, first, stop) if content is None else content[first:stop]
    ahead, here = raw[: offset - first].split(b"\n"), raw[offset - first :].split(b"\n")
    ahead = ahead[bool(first) : len(ahead) - (ahead[-1] == b"")]  # the first one is cut at its beginning
    if here[-1] == b"":
        here.pop()
    ahead = ahead[max(0, len(ahead) - before) :]
    at, lines = offset - sum(len(text) + 1 for text in ahead), list[ContextLine]()
    for text in [*ahead, *here[: after + 1]]:
        lines.append(ContextLine(text_of(text), at, at == offset))
        at += len(text) + 1
    return lines


def bytes_between(name: str, start: int, end: int) -> bytes:
    """Return a stretch of the log, or nothing where it can be read only once (a pipe)."""
    try:
        return read_range(name, start, end)
    except InputError:
        return b""


def read_range(name: str, start: int, end: int) -> bytes:
    """Return the bytes of a log's decompressed stream from `start` up to (not including) `end`.

    Raises
    ------
    InputError
        As for `lines_around`.
    """
    start, path = max(0, start), _outermost(name)
    status = path.stat()
    if visible(str(path)) == name and _is_read_as_it_is(path, status.st_size, status.st_mtime_ns):
        with opened(path, Account(Limits())) as file:
            file.seek(start)
            return file.read(max(0, end - start))
    key = name, status.st_size, status.st_mtime_ns
    reader = _readers.pop(key, None)  # nobody else reads on with it meanwhile
    if reader is None or start < reader.first:
        reader = _Reader(name, path)
    found = reader.read(start, end)
    _readers[key] = reader
    for old in list(_readers)[:-_STREAMS]:
        _readers.pop(old, None)
    return found


@lru_cache(maxsize=256)
def _is_read_as_it_is(path: Path, _size: int, _time: int) -> bool:
    with opened(path, Account(Limits())) as file:
        head = file.read(SNIFF)
    return not (format_of(head) or is_tar(head) or is_zip(head) or utf16_codec(head)) and form_of(head) == PLAIN


class _Reader:
    """Reads a stream forward and keeps what it read last."""

    def __init__(self, name: str, path: Path) -> None:
        account = Account(Limits())
        _, sources = expand([path], account)
        mine = (source for source in sources if name == source.name or name.startswith(source.name + "!"))
        self._texts: Iterator[Text] = (text for source in mine for text in texts(source, account, Beside()))
        self._text = next((text for text in self._texts if text.name == name), None)
        if self._text is None:
            cause, step = "this log is no longer in the archive.", "Read the archive again."
            raise InputError(cause, place=name, next_step=step)
        self.first, self._kept = 0, bytearray()

    def read(self, start: int, end: int) -> bytes:
        """Return some bytes, of which the first one must not stand before `first`."""
        assert self._text is not None  # noqa: S101
        while self.first + len(self._kept) < end and (block := self._text.stream.read(_BLOCK)):
            self._kept += block
            if (over := min(len(self._kept) - _KEPT, start - self.first)) > 0:
                del self._kept[:over]
                self.first += over
        return bytes(self._kept[start - self.first : max(0, end - self.first)])


_readers: dict[tuple[str, int, int], _Reader] = {}


def _outermost(name: str) -> Path:
    """Return the file on disk that `path!member!member` is in; names that were not text are shown as their codes."""
    at = len(name)
    while at > 0:
        path = Path(name[:at])
        if path.is_file():
            return path
        if "\\" in path.name and path.parent.is_dir():
            for other in path.parent.iterdir():
                if visible(str(other)) == name[:at]:
                    return other
        at = name.rfind("!", 0, at)
    step = "Read the log again from where it is now."
    raise InputError("the log is no longer there, or came through a pipe.", place=name, next_step=step)
