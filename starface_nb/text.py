"""Text from a log, made harmless for a terminal, a page and a picture; and a time that somebody typed."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from unicodedata import category

from starface_nb.errors import SettingError

_YEARS = range(1971, 2100)
_TYPED = re.compile(  # day or year first; hours and minutes as 11:45, 11.45 or 11h45; an offset from UTC
    r"(\d+)([-/.])(\d+)\2(\d+)(?:[T, ]+(\d\d?)(?:h|([:.]))(\d\d)(?:\6(\d\d(?:[.,]\d+)?))?( ?(?:Z|[+-]\d\d:?\d\d))?)?"
)
_UNIT = r"(?<=\d) (?=(?:ms|s|min|h|d|T|j|[Mm]inuten?s?|[Ss]econde?s?|Sekunden?)\b)"
_PARTED = re.compile(rf"<(pre|code|textarea)\b.*?</\1>|<[^>]*>|{_UNIT}", re.DOTALL)


def visible(text: str, limit: int | None = None) -> str:
    r"""Return text with everything that has no shape of its own written as its code, such as `\x1b` or `\u202e`.

    Control and direction characters, lone surrogates and unassigned code points could steer a terminal, turn the order
    of what stands beside them, or not be written at all. Blanks of any width stay: languages put them into numbers.

    Parameters
    ----------
    text : str
        Anything from a log, a file's name included. Not escaped for HTML.
    limit : int, optional
        Characters of `text` to keep; an ellipsis stands for the rest.
    """
    if limit is not None and len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text)


def few(texts: Sequence[str], most: int) -> str:
    """Return the first of some texts in a row; dots stand for more."""
    return ", ".join(texts[:most]) + (" ..." if len(texts) > most else "")


def unparted(html: str) -> str:
    """Return HTML, or plain text that will be shown, in which no line ends between a number and its unit.

    What is there to be copied or was typed (`pre`, `code`, `textarea`) stays as it is.
    """
    return _PARTED.sub(lambda found: "\u00a0" if found[0] == " " else found[0], html)


def read_typed(text: str, *, slashed: bool = True, timed: bool = False) -> datetime:
    """Read a day, or a moment, as people of any of the languages type it: the day or the year first.

    What else ISO 8601 allows is refused: it reads 11.45 and 11,45 as parts of an hour, and Python as 11:00.

    Parameters
    ----------
    text : str
    slashed : bool
        Whether `3/4/2026`, the 3rd of April, is taken: where nobody sees that, the 4th of March may be meant.
    timed : bool
        Whether a day alone is none.

    Returns
    -------
    datetime
        Aware where an offset from UTC was typed.

    Raises
    ------
    SettingError
        There is no such day or moment, or it is written in another way.
    """
    when, found = None, _TYPED.fullmatch(text.strip())
    if found and (slashed or found[2] != "/"):
        first, month, last, hour, minute, second, offset = (part or "00" for part in found.group(1, 3, 4, 5, 7, 8, 9))
        year, day = (first, last) if len(first) == 4 else (last, first)
        with suppress(ValueError):
            zone = offset.strip() if found[9] else ""
            when = datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second}{zone}")
    if when is None or when.year not in _YEARS or (timed and found and found[5] is None):
        raise SettingError(f"{text!r} is no time.", next_step="Write it as 2026-03-13T11:45.")
    return when


def moment(text: str, time_zone: str, *, slashed: bool = False, timed: bool = False) -> datetime:
    """Return the time that somebody typed, see `read_typed`: aware, in `time_zone` unless it has an offset.

    Raises
    ------
    SettingError
        It is no time, none of this zone, or one that occurs twice there; or there is no such zone.
    """
    from starface_nb.reading.clock import zone

    when, here = read_typed(text, slashed=slashed, timed=timed), zone(time_zone)
    if when.tzinfo:
        return when
    first, second = (when.replace(tzinfo=here, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        there = first.astimezone(UTC).astimezone(here).replace(tzinfo=None) == when
        raise SettingError(
            f"{text!r} {'occurs twice' if there else 'does not occur'} in {time_zone}, where clocks are changed then.",
            next_step=f"Write it with its offset from UTC: {first.isoformat()} or {second.isoformat()}.",
        )
    return first
