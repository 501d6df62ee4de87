"""Frames as tables for people: the log's own time, durations in words, short file names, nothing cut off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.guide import Translator, cause_name, translator
from starface_nb.guide.words import toml
from starface_nb.text import visible

_LEFT_OUT = ("evidence", "offset", "end_offset", "interval")
_SHARES = ("confidence", "level", "probability_too_short")


@dataclass(frozen=True)
class Table:
    """The first rows of a frame, ready to be read.

    Attributes
    ----------
    frame : polars.DataFrame
        Text columns only.
    numbers : frozenset of str
        Columns that hold numbers: they stand to the right.
    rest : str
        What is not shown, in words.
    """

    frame: pl.DataFrame
    numbers: frozenset[str] = frozenset()
    rest: str = ""

    def __repr__(self) -> str:
        if self.frame.is_empty():
            return self.rest
        with pl.Config(
            fmt_str_lengths=200,
            tbl_cols=-1,
            tbl_rows=-1,
            tbl_width_chars=10_000,
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
        ):
            return f"{self.frame}\n{self.rest}".rstrip()

    def _repr_html_(self) -> str:
        rest = f"<p>{escape(self.rest)}</p>" if self.rest else ""
        if self.frame.is_empty():
            return rest
        left, right = 'style="text-align:left"', 'style="text-align:right;white-space:nowrap"'
        sides = [right if name in self.numbers else left for name in self.frame.columns]

        def row(tag: str, texts: Sequence[str]) -> str:
            cells = (f"<{tag} {side}>{escape(text)}</{tag}>" for text, side in zip(texts, sides, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        body = "".join(row("td", texts) for texts in self.frame.rows())
        return f"<table><thead>{row('th', self.frame.columns)}</thead><tbody>{body}</tbody></table>{rest}"


@dataclass(frozen=True)
class Text:
    """Lines of plain text; two blanks in front make a line a detail of the one above."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(map(visible, self.lines))

    def _repr_html_(self) -> str:
        shown = ((line.startswith(" "), escape(visible(line.strip()))) for line in self.lines if line.strip())
        told = "".join(f"<li>{text}</li>" if detail else f"<p>{text}</p>" for detail, text in shown)
        return re.sub(r"(?:<li>.*?</li>)+", r"<ul>\g<0></ul>", told)


def readable(frame: pl.DataFrame, tr: Translator | None = None, rows: int = 12) -> Table:
    """Return the first rows of a public frame as a table.

    Parameters
    ----------
    frame : polars.DataFrame
        Times in UTC, durations in seconds in columns that end in `_s`.
    tr : Translator, optional
        Speaks the case's language, in the log's time zone; default English, Europe/Berlin.
    rows : int
        At most so many are shown.
    """
    tr = tr or translator()
    shown = frame.head(rows).select(pl.exclude(_LEFT_OUT))
    labels = toml("texts.toml")["columns"]
    names = {
        name: tr(labels[name]) if name in labels else name.removesuffix("_s").replace("_", " ")
        for name in shown.columns
    }
    cells = {names[c.name]: [visible(_cell(c.name, value, c.dtype, tr)) for value in c] for c in shown}
    numbers = frozenset(names[name] for name, dtype in shown.schema.items() if dtype.is_numeric())
    more = frame.height - shown.height
    rest = tr.count("and {n} more row", "and {n} more rows", more) if more else ""
    return Table(pl.DataFrame(cells), numbers, rest if shown.height else tr("There is none."))


def _cell(name: str, value: Any, dtype: pl.DataType, tr: Translator) -> str:
    """Return one value as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(tr.time_zone)):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if name == "seconds" or name.endswith("_s"):
        return tr.duration(value)
    if isinstance(value, float):
        sure = name in _SHARES and not 0.001 <= value <= 0.999  # none is certain
        return ("< 0.001" if value < 0.5 else "> 0.999") if sure else f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(dtype, pl.List):
        return ", ".join(map(str, value))
    if isinstance(dtype, pl.Enum) or name == "verdict":
        words = toml("texts.toml").get(name, {})
        spoken = tr(words[value]) if value in words else value.replace("_", " ")
        return cause_name(value, tr) if name == "cause" else spoken
    return re.split(r"[/\\]", value)[-1] if name in ("file", "end_file") else str(value)
