"""Text from a log, made harmless for a terminal, a page and a picture."""

from __future__ import annotations

from unicodedata import category


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
