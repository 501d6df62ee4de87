"""Frames as tables for people: the log's own time, durations in words, short file names, nothing cut off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

import polars as pl

from starface_nb.charts.scene import plain
from starface_nb.guide import Translator, cause_name, translator, word
from starface_nb.text import visible

_LEFT_OUT = ("evidence", "offset", "end_offset", "interval")
_SPOKEN = ("verdict", "renewed_by", "status", "ended_by")
_LABELS = {
    "site": "site",
    "phones": "phones",
    "addresses": "addresses",
    "eras": "eras",
    "changed_at": "changed at",
    "low_s": "more than",
    "high_s": "at most",
    "estimate_s": "estimate",
    "level": "level",
    "verdict": "verdict",
    "probability_too_short": "probability too short",
    "renewed_by": "renewed by",
    "cycles_expired": "cycles expired",
    "cycles_survived": "cycles survived",
    "cycles_excluded": "cycles excluded",
    "recommended_timeout_s": "recommended timeout",
    "peer": "peer",
    "tech": "tech",
    "trunk": "trunk",
    "status": "status",
    "ever_registered": "ever registered",
    "losses": "losses",
    "unreachable_s": "unreachable",
    "period_s": "period",
    "first": "first",
    "last": "last",
    "start": "start",
    "end": "end",
    "seconds": "duration",
    "ended_by": "ended by",
    "repeats": "repeats",
    "cause": "cause",
    "confidence": "confidence",
    "file": "file",
    "line": "line",
    "end_file": "end file",
    "end_line": "end line",
    "renewal": "renewal",
    "outcome": "outcome",
    "reason": "reason",
    "lower_s": "more than",
    "upper_s": "at most",
    "era": "era",
    "intervals": "intervals",
    "cycles": "cycles",
    "reading": "reading",
    "product": "product",
    "state": "state",
    "source": "source",
    "port": "port",
    "protocol": "protocol",
    "direction": "direction",
    "purpose": "purpose",
    "scope": "scope",
}
_WORDS = {
    "expired": "expired",
    "survived": "survived",
    "excluded": "excluded",
    "registered": "registered",
    "recovery": "recovery",
    "routine": "routine",
}


@dataclass(frozen=True)
class Table:
    """The first rows of a frame, ready to be read.

    Attributes
    ----------
    frame : polars.DataFrame
        Text columns only.
    rows : int
        Rows of the whole frame.
    numbers : frozenset of str
        Columns that hold numbers: they stand to the right.
    rest : str
        What is not shown, in words.
    """

    frame: pl.DataFrame
    rows: int
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
        head = "".join(f"<th {side}>{escape(n)}</th>" for n, side in zip(self.frame.columns, sides, strict=True))
        body = "".join(
            "<tr>" + "".join(f"<td {side}>{escape(t)}</td>" for t, side in zip(row, sides, strict=True)) + "</tr>"
            for row in self.frame.rows()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


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
    names = {name: _label(name, tr) for name in shown.columns}
    text = shown.select(_text(name, dtype, tr) for name, dtype in shown.schema.items()).fill_null("")
    numbers = frozenset(names[name] for name, dtype in shown.schema.items() if dtype.is_numeric())
    more = frame.height - shown.height
    rest = (
        tr.count("and {n} more row", "and {n} more rows", more)
        if more
        else ""
        if shown.height
        else tr("There is none.")
    )
    return Table(text.select(plain(name).alias(label) for name, label in names.items()), frame.height, numbers, rest)


def _label(name: str, tr: Translator) -> str:
    return tr(_LABELS[name]) if name in _LABELS else name.removesuffix("_s").replace("_", " ")


def _text(name: str, dtype: pl.DataType, tr: Translator) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone(tr.time_zone).dt.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(dtype, pl.List):
        return column.list.join(", ")
    if name == "seconds" or name.endswith("_s"):
        return column.map_elements(tr.duration, return_dtype=pl.String)
    if dtype == pl.Boolean:
        return pl.when(column).then(pl.lit(tr("yes"))).when(~column).then(pl.lit(tr("no"))).alias(name)
    if isinstance(dtype, pl.Enum):
        return column.cast(pl.String).map_elements(lambda value: _word(name, value, tr), return_dtype=pl.String)
    if dtype.is_float():
        share = name.startswith("probability") or name in ("confidence", "level")
        return column.map_elements(_share if share else _number, return_dtype=pl.String)
    if name in ("file", "end_file"):
        return column.str.extract(r"([^/\\]*)$")
    return column.cast(pl.String)


def _word(name: str, value: str, tr: Translator) -> str:
    if name == "cause":
        return cause_name(value, tr)
    if name in _SPOKEN:
        return word(name, value, tr)
    return tr(_WORDS[value]) if value in _WORDS else value.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _share(value: float) -> str:
    """Return a share; none is certain."""
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else _number(value)
