"""Which lines are believed: not what stands in a dump or on a continuation line."""

from __future__ import annotations

import re

import polars as pl

from starface_nb.reading import layouts
from starface_nb.reading.messages import HEADERLESS, read_lines

_MOST_CHECKED = 1000

DUMP = "inside a dump of a received or sent message"
NO_HEADER = "no header, in a file whose lines have one: the continuation of another message"
UNKNOWN = "begins like an event, but its wording is not known"
INNER = "something stands before its header"
NO_JSON = "a broken JSON object"
UNFINISHED = "the last line is not finished"
UNTIMED = "the date format is not known; a logger.conf beside the log would name it"
QUOTING = (DUMP, NO_HEADER)
"""Reasons for which a line is no event of the log's own, for sure."""


def habits(rows: pl.DataFrame) -> tuple[bool, bool]:
    """Return how the lines of one file begin, seen over all lines at hand; `rows` has `layout`, `verbose` and `dumped`.

    Returns
    -------
    headed : bool
        Every entry has a header, so that a line without one continues the entry before.
    console : bool
        Some entries have a console's header, so that its header-less verbose lines carry a verbosity mark.
    """
    known = layouts.layouts()
    headed_by = ["json", *(one.name for one in known if one.style == "file")]
    console_by = [one.name for one in known if one.style == "console"]
    layout, own = pl.col("layout"), ~pl.col("dumped")
    plain = layout.is_in(console_by) & pl.col("verbose")  # a console shows verbose lines without a header
    headed, console = rows.select(
        ((layout.is_in(headed_by) | plain) & own).sum().alias("headed"),
        (layout.is_in(console_by) & ~plain & own).sum().alias("console"),
    ).row(0)
    return headed > console, console > 0


def with_swallowed(rows: pl.DataFrame, prefix: str | None, *, headed: bool) -> pl.DataFrame:
    """Put the entry that a cut entry swallowed in place of the line it stands on.

    From Asterisk 16 on an entry longer than LOGMSG_SIZE loses its newline, so that the next entry follows on the same
    physical line: behind the cut entry's 8 KiB, which may have begun some lines earlier.
    """
    suspicious = pl.col("layout").is_in(HEADERLESS) if headed else pl.lit(value=False)
    body = pl.col("text").str.replace(prefix or "^", "").alias("body")
    suspicious |= body.str.len_bytes() > layouts.CUT_AT
    kept = rows.with_row_index("i").filter(pl.col("text").is_not_null() & pl.col("line").is_not_null())
    inner = kept.filter(~pl.col("dumped") & suspicious & body.str.slice(1).str.contains(layouts.HEADER))
    inner = inner.head(_MOST_CHECKED).with_columns(body)
    texts = [_swallowed(*one) for one in inner.select("body", "offset", "entry_begin").iter_rows()]
    found = inner.with_columns(pl.Series("inner", texts, dtype=pl.String)).drop_nulls("inner")
    if not found.height:
        return rows
    given = found.select("i", "offset", "line", "text", "dumped", "entry_begin")
    return _replaced(rows, given.hstack(read_lines(found["inner"].alias("text"), None, words=True).drop("text")))


def _replaced(rows: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with others in place of those of the same number `i`."""
    others = rows.with_row_index("i").filter(~pl.col("i").is_in(again["i"].implode())).drop("i")
    return pl.concat([others, again.select(others.columns)]).sort("offset", maintain_order=True)


def with_glued(rows: pl.DataFrame, prefix: str | None) -> pl.DataFrame:
    """Put the entries that stand on one line, the newline between them lost, in place of that line.

    A name cannot hold a whole header; but only where what stands before the second one is a message by itself, or one
    that leaves no quotation or bracket open, do two entries stand there: else the line quotes one.
    """
    body = pl.col("text").str.replace(prefix or "^", "").alias("body")
    two = body.str.contains(f"^{layouts.HEADER}.+{layouts.HEADER}")
    known = pl.col("text").is_not_null() & pl.col("line").is_not_null() & ~pl.col("dumped")
    some = rows.with_row_index("i").filter(known & two).select("i", "offset", "line", "dumped", "entry_begin", body)
    if not some.height:
        return rows
    parts = [[part for part in re.split(f"(?={layouts.HEADER})", text) if part] for text in some["body"]]
    some = some.with_columns(pl.Series("text", parts)).explode("text")
    again = some.drop("body").hstack(read_lines(some["text"], None, words=True).drop("text"))
    is_last = pl.int_range(pl.len()).over("i") == pl.len().over("i") - 1
    return _replaced(rows, again.filter((pl.col("entry").is_not_null() | is_last | _is_closed("text")).all().over("i")))


def _is_closed(column: str) -> pl.Expr:
    """Say whether a text ends like a message and closes every quotation and bracket that it opens."""
    text = pl.col(column)
    # app_verbose.c logs whatever the dialplan tells it, the other two whatever is dialled
    ends = text.str.contains(r"[^\s:/@&,=]$") & ~text.str.contains(r" app_(?:verbose|dial|queue)\.c: ")
    even = [text.str.count_matches(mark, literal=True) % 2 == 0 for mark in "\"'"]
    pairs = [
        text.str.count_matches(a, literal=True) == text.str.count_matches(b, literal=True) for a, b in ("()", "<>")
    ]
    return pl.all_horizontal(ends, *even, *pairs)


def _swallowed(text: str, offset: int, entry_begin: int | None) -> str | None:
    """Return the entry behind a cut one, if the cut one is long enough to have been cut."""
    whole = re.match(layouts.HEADER, text) is not None
    if not whole and entry_begin is None:
        return None
    before = 0 if whole else offset - (entry_begin or 0)
    raw = text.encode()
    found = re.compile(layouts.HEADER.encode()).search(raw, max(1, layouts.CUT_AT - before))
    return raw[found.start() :].decode("utf-8", "replace") if found else None


def judged(rows: pl.DataFrame, *, headed: bool, console: bool) -> pl.DataFrame:
    """Add `doubt` to the rows: why a line is not believed, null where it is.

    Parameters
    ----------
    rows : polars.DataFrame
        Lines with `dumped`, `layout` and `marked`.
    headed, console : bool
        See `habits`.
    """
    bare = pl.col("layout").is_in(HEADERLESS) & pl.col("role").ne_missing("gap")  # which others write, too
    unmarked = (pl.col("layout") == "none") & ~pl.col("marked")
    continued = bare & (pl.lit(headed) | (unmarked & pl.lit(console)))
    return rows.with_columns(
        pl.when("dumped").then(pl.lit(DUMP)).when(continued).then(pl.lit(NO_HEADER)).alias("doubt")
    )


def looks_like_event(unfinished: int) -> pl.Expr:
    """Say whether a line that no entry reads begins like one: as an expression over rows."""
    return pl.col("like").is_in(["wording", "json", "inner"]) | (
        (pl.col("like") == "beginning") & (pl.col("offset") == unfinished)
    )


def why_not(unfinished: int) -> pl.Expr:
    """Return the reason why such a line is not an event, as an expression over rows."""
    return (
        pl.when(pl.col("offset") == unfinished)
        .then(pl.lit(UNFINISHED))
        .when(pl.col("like") == "json")
        .then(pl.lit(NO_JSON))
        .when((pl.col("like") == "inner") & (pl.col("doubt") != DUMP))
        .then(pl.lit(INNER))
        .otherwise(pl.coalesce("doubt", pl.lit(UNKNOWN)))
    )
