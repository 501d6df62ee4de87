"""Frames as tables for people: the log's own time, durations in words, short file names, nothing cut off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import polars as pl

from starface_nb.guide import Translator, cause_name, translator
from starface_nb.guide.words import note_text
from starface_nb.tables import table
from starface_nb.text import unparted, visible

_LEFT_OUT = ("evidence", "offset", "end_offset", "interval")
_NAMES = ("line", "end_line", "port")  # numbers that nobody adds up
_FITTING = "font-size:clamp(9px,1.6vw,13px)"  # in a window of 680 px, too
_AS_A_PAGE = "<style>.jp-RenderedSVG img{max-width:100%}</style>"  # of nbconvert: pictures stay inside a narrow window
_SHARES = ("confidence", "level", "probability_too_short")


@dataclass(frozen=True)
class Shown:
    """Something to be read: as plain text in a terminal, as HTML in a notebook; both are safe to show."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return _AS_A_PAGE + unparted(self.html)


def readable(frame: pl.DataFrame, tr: Translator | None = None, rows: int = 12) -> Shown:
    """Return the first rows of a public frame as a table; columns that are empty in all of them are left out.

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
    if shown.is_empty():
        return lines([tr("There is none.")])
    shown = shown.select(column.name for column in shown if column.null_count() < len(column))
    labels = table("guide/texts")["columns"]
    heads = [
        tr(labels[name]) if name in labels else name.removesuffix("_s").replace("_", " ") for name in shown.columns
    ]
    cells = [[visible(_cell(c.name, value, c.dtype, tr)) for value in c] for c in shown]
    more = frame.height - shown.height
    rest = tr.count("and {n} more row", "and {n} more rows", more) if more else ""
    with pl.Config(
        fmt_str_lengths=200,
        tbl_cols=-1,
        tbl_rows=-1,
        tbl_width_chars=10_000,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        text = str(pl.DataFrame(dict(zip(heads, cells, strict=True))))
    sides = ["text-align:right" if dtype.is_numeric() else "text-align:left" for dtype in shown.dtypes]
    whole = [f"{side};white-space:nowrap" if side.endswith("right") else side for side in sides]
    html = f"<table style='{_FITTING}'><thead>{_row('th', heads, sides)}</thead><tbody>"
    html += "".join(_row("td", row, whole) for row in zip(*cells, strict=True)) + "</tbody></table>"
    return Shown(f"{text}\n{rest}".rstrip(), html + (f"<p>{escape(rest)}</p>" if rest else ""))


def lines(told: Sequence[str]) -> Shown:
    """Return lines of plain text; two blanks in front make a line a detail of the one above."""
    shown = [(line.startswith(" "), escape(visible(line.strip()))) for line in told if line.strip()]
    html = "".join(f"<li>{text}</li>" if detail else f"<p>{text}</p>" for detail, text in shown)
    return Shown("\n".join(map(visible, told)), re.sub(r"(?:<li>.*?</li>)+", r"<ul>\g<0></ul>", html))


def _row(tag: str, texts: Sequence[str], sides: Sequence[str]) -> str:
    cells = (f'<{tag} style="{side}">{escape(text)}</{tag}>' for text, side in zip(texts, sides, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(name: str, value: Any, dtype: pl.DataType, tr: Translator) -> str:
    """Return one value as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return tr.time(value)
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if name == "seconds" or name.endswith("_s"):
        return tr.duration(value)
    if isinstance(value, int | float):
        return str(value) if name in _NAMES else tr.percent(value, 1) if name in _SHARES else tr.number(value, 3)
    if isinstance(dtype, pl.List):
        return ", ".join(map(str, value))
    if name == "cause":
        return cause_name(value, tr)
    if name == "reason":
        return note_text(value, tr) or tr(value)
    if isinstance(dtype, pl.Enum) or name == "verdict":
        words = table("guide/texts").get(name, {})
        return tr(words[value]) if value in words else value.replace("_", " ")
    return re.split(r"[/\\]", value)[-1] if name in ("file", "end_file") else str(value)
