"""Text from a log, made harmless for a terminal, a page and a picture; and a time that somebody typed."""

import re
from datetime import datetime
from unicodedata import category

from starface_nb.errors import SettingError

_YEARS = range(1971, 2100)
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


def unparted(html: str) -> str:
    """Return HTML, or plain text that will be shown, in which no line ends between a number and its unit.

    What is there to be copied or was typed (`pre`, `code`, `textarea`) stays as it is.
    """
    return _PARTED.sub(lambda found: "\u00a0" if found[0] == " " else found[0], html)


def moment(text: str, time_zone: str) -> datetime:
    """Return the time that somebody typed (ISO 8601): aware, in `time_zone` unless it has an offset.

    Raises
    ------
    SettingError
        It is no time, or there is no such zone.
    """
    from starface_nb.reading.clock import zone

    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        when = datetime.min
    if when.year not in _YEARS:
        raise SettingError(f"{text!r} is no time.", next_step="Write it as 2026-03-13T11:45.")
    return when if when.tzinfo else when.replace(tzinfo=zone(time_zone))
