"""Files that are no log of Asterisk's: what they seem to be, and where the right one is; see `foreign.toml`."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote

from starface_nb.errors import InputError
from starface_nb.tables import table

_LOOKED_AT = 64 << 10


@dataclass(frozen=True)
class Kind:
    """What a file may be instead; see the head of `foreign.toml`."""

    name: str
    pattern: str = ""
    starts: str = ""
    member: str = ""
    quotes: bool = False
    step: str = ""
    samples: tuple[str, ...] = ()


@cache
def kinds() -> tuple[Kind, ...]:
    """Return what is known, in the order in which it is tried."""
    return tuple(Kind(**one) for one in table("sources/foreign")["kind"])


def binary_kind(head: bytes) -> Kind | None:
    """Return what a file is that begins like no text, or None."""
    return next((one for one in kinds() if one.starts and head.startswith(one.starts.encode("latin-1"))), None)


def document_kind(members: Iterable[str]) -> Kind | None:
    """Return what a zip archive is that is an office program's file, or None."""
    there = set(members)
    return next((one for one in kinds() if one.member in there), None)


def text_kind(head: bytes) -> Kind:
    """Return what a text seems to be in which no line is Asterisk's."""
    return next(_named(head))


def refuse_quotes(texts: Iterable[bytes], place: str) -> None:
    """Raise `InputError` where a text is no log, though lines of one may stand in it."""
    for kind in (one for text in texts for one in _named(text, quotes=True)):
        raise refusal(kind, place)


def _named(head: bytes, *, quotes: bool = False) -> Iterator[Kind]:
    text = head[:_LOOKED_AT].decode("utf-8", "replace").lstrip("\ufeff")
    known = (one for one in kinds() if one.pattern and one.quotes >= quotes)
    return (one for one in known if re.search(f"(?m){one.pattern}", text))


def texts() -> list[str]:
    """Return every text that is said of such files."""
    said = [text for kind in kinds() for text in (kind.name, kind.step) if text]
    return [*dict.fromkeys(said), table("sources/foreign")["right"]]


def refusal(kind: Kind, place: str) -> InputError:
    """Return the error that says what a file is, and where the right one is."""
    cause = f"no line of this file is Asterisk's; it seems to be {kind.name}."
    if kind.quotes:
        cause = f"this is {kind.name}, not a log."
    return InputError(cause, place=place, next_step=next_step(kind))


def nothing_in(place: str, notes: Sequence[str]) -> InputError:
    """Return the error that says that a folder or archive holds no log, or is a case."""
    folder = Path(place).absolute()
    if os.path.isfile(folder / "case.json"):  # noqa: PTH113  in a folder that may not be read, too
        step = f"Open it with `starface-nb lab --cases {quote(str(folder.parent))} --case {quote(folder.name)}`."
        return InputError("is a case, not a log.", place=place, next_step=step)
    cause = "holds no log that can be read" + (f" ({' '.join(notes[:3])})." if notes else ".")
    return InputError(cause, place=place, next_step="Name Asterisk's full log, or an archive that holds it.")


def next_step(kind: Kind | None) -> str:
    """Return what to do instead, and where the right log is."""
    return f"{kind.step if kind else ''} {table('sources/foreign')['right']}".strip()
