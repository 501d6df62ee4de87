"""The characters that pages, editors and terminals put in place of Asterisk's own, turned back."""

from __future__ import annotations

import html
import re
from functools import cache

from starface_nb.tables import table


@cache
def _characters() -> dict[int, str]:
    return {ord(one): plain for plain, odd in table("reading/forms")["characters"].items() for one in odd}


@cache
def _pattern(part: str, name: str) -> re.Pattern[str]:
    return re.compile(table("reading/forms")[part][name])


def tidied(text: str) -> str:
    """Return a text with the characters that Asterisk writes, without entities and colours."""
    if not text.isascii():
        text = text.translate(_characters())
    if "&" in text and ";" in text:
        text = _pattern("text", "entity").sub(lambda found: html.unescape(found[0]), text).translate(_characters())
    return _pattern("text", "colour").sub("", text) if "[" in text else text


def without_end(text: str) -> str:
    """Return a line without the marks, tags and blanks that enclose it at its end."""
    if (text[-1:].isalnum() or text.endswith(")")) and text[-2:-1] != "\\":
        return text  # as most lines end
    return _pattern("behind", "pattern").sub("", text)
