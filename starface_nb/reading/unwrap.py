"""From a source to the log text in it: one layer of compression or archive after the other, and what is no text."""

from __future__ import annotations

import codecs
import io
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from starface_nb.errors import InputError
from starface_nb.reading import exports
from starface_nb.reading.forms import SNIFF, form_of, plain_text
from starface_nb.sources.archives import is_tar, is_zip, tar_members, zip_members
from starface_nb.sources.foreign import binary_kind, next_step, refuse_quotes
from starface_nb.sources.limits import UNPACK, Account, ExhaustedError, RefusedError
from starface_nb.sources.named import ARCHIVE, NOT_A_LOG, Argument, Beside, Source, chosen, pass_over, rank_of, refusal
from starface_nb.sources.streams import Stream, format_of, unpacked, utf8

_SAMPLE = 1 << 16
_CODING_SAMPLE = 4096


@dataclass(frozen=True)
class Text:
    """A log found in a source.

    Attributes
    ----------
    archives : int
        In how many archives, one inside the other, it was.
    numbers : array of int
        See `forms.plain_text`.
    newest_first : bool
        The file's newest line comes first; the stream gives the lines in the order of time.
    """

    name: str
    rank: int
    modified: datetime | None
    stream: Stream = field(repr=False)
    remarks: list[str] = field(default_factory=list)
    archives: int = 0
    numbers: array[int] = field(default_factory=lambda: array("q"))
    newest_first: bool = False


def texts(source: Source, account: Account, beside: Beside) -> Iterator[Text]:
    """Yield the logs in a source; use up each one's stream before asking for the next.

    Raises
    ------
    InputError
        The content is no log, is damaged, or is refused.
    """
    with source.open() as stream:
        text = Text(source.name, source.rank, source.modified, stream, archives=int("!" in source.name))
        yield from _Unwrapping(source.argument, account, beside).unwrap(text, 0)


@dataclass(frozen=True)
class _Unwrapping:
    """Takes off one layer (compression or archive) after the other."""

    argument: Argument
    account: Account
    beside: Beside

    def unwrap(self, outer: Text, depth: int) -> Iterator[Text]:
        name, stream, remarks = outer.name, outer.stream, list[str]()
        while True:
            head = stream.peek()
            kind = format_of(head)
            archive = is_tar(head) or is_zip(head)
            if not kind and not archive:
                break
            depth += 1
            if depth > self.account.limits.max_nesting:
                cause = f"refused: more than {depth - 1} archives or compressions inside each other."
                raise RefusedError(cause, place=name, next_step=UNPACK)
            if archive:
                walk = self._tar if is_tar(head) else self._zip
                yield from self._inside(walk(replace(outer, stream=stream)), outer.archives, depth)
                return
            stream = unpacked(kind, stream, name, self.account, remarks)
        if outer.archives > 1:
            self.account.spend("max_nested", 1, name)
        check_text(stream.peek(_SAMPLE), name)
        stream, numbers = utf8(stream, remarks), array("q")
        head = stream.peek(SNIFF)[:SNIFF]
        _check_document(head, name)
        stream, newest_first = plain_text(head, stream, numbers), form_of(head).newest_first
        yield replace(outer, stream=stream, remarks=remarks, numbers=numbers, newest_first=newest_first)

    def _inside(self, members: Iterator[Text], archives: int, depth: int) -> Iterator[Text]:
        for inner in members:
            try:
                if archives:
                    self.account.spend("max_nested", 1, inner.name)
                yield from self.unwrap(replace(inner, archives=archives + 1), depth)
            except ExhaustedError:
                raise
            except InputError as error:
                self.beside.skip(error)

    def _tar(self, outer: Text) -> Iterator[Text]:
        for member in tar_members(outer.stream, outer.name, self.account):
            rank = 0 if ARCHIVE.search(member.name) else rank_of(member.name)
            if rank == NOT_A_LOG:
                pass_over(outer.name, member, self.beside, self.account)
            elif member.refused:
                self.beside.skip(refusal(outer.name, member))
            else:
                yield Text(f"{outer.name}!{member.name}", rank, member.modified, member.open())

    def _zip(self, outer: Text) -> Iterator[Text]:
        """Hold a zip that comes as a stream in memory: its table of contents stands at its end."""
        held = io.BytesIO()
        for block in outer.stream.blocks():
            self.account.spend("max_held_bytes", len(block), outer.name)
            held.write(block)
        data: Callable[[], io.BytesIO] = partial(io.BytesIO, held.getvalue())
        members = zip_members(data, outer.name, self.account)
        for source in chosen(outer.name, members, self.argument, self.beside, self.account):
            yield Text(source.name, source.rank, source.modified, source.open())


def check_text(head: bytes, name: str) -> None:
    """Raise `InputError` where the first bytes of a file are not those of a text that can be read here."""
    if not head:
        raise InputError("the file is empty.", place=name, next_step="Download or export the log again.")
    if coding := _other_coding(head):
        step = "Save it as UTF-8, or copy it again without conversion."
        raise InputError(f"is text in {coding}, which is not read.", place=name, next_step=step)
    kind = binary_kind(head)
    sample = head[:_SAMPLE].replace(b"\0", b"")
    controls = len(sample) - len(sample.translate(None, bytes({*range(32), 127} - {9, 10, 12, 13, 27})))
    if kind and kind.starts.isascii() and kind.starts.isalpha() and controls < 0.02 * len(sample):
        kind = None  # a text may begin with a word, too
    if kind or controls > 0.05 * len(sample):
        cause = f"is no text log but {kind.name if kind else 'binary data'}."
        raise InputError(cause, place=name, next_step=next_step(kind))


def _check_document(head: bytes, name: str) -> None:
    """Raise `InputError` where a text is mails, a mail with an archive, or a document that quotes logs."""
    step = "Save what is attached to the mail as a file, and name that."
    if exports.is_mailbox(head[:_SAMPLE].decode("latin-1")):
        raise InputError("is a mailbox, which may hold several mails.", place=name, next_step=step)
    parts = exports.attached(head)
    if any(format_of(part) or is_zip(part) or is_tar(part) for part in parts):
        raise InputError("is a mail with a compressed file or an archive in it.", place=name, next_step=step)
    refuse_quotes([head, *parts], name)


def _other_coding(head: bytes) -> str:
    """Return the name of another coding: UTF-32 has three zeros to a letter, EBCDIC writes a blank as `@`."""
    sample = head[: _CODING_SAMPLE & ~3]
    zeros = sorted(sample[at::4].count(0) for at in range(4))
    few, many = 0.05 * len(sample), 0.225 * len(sample)  # of the letters, which are a quarter
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or zeros[0] < few < many < zeros[1]:
        return "UTF-32"
    plain = sample.decode("cp037")
    known = sum(letter.isascii() and (letter.isalnum() or letter in " .:-[]()'") for letter in plain)
    return "EBCDIC" if len(sample) > 64 and b" " not in sample and known > 0.85 * len(plain) else ""
