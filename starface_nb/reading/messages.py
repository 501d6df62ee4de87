"""What a line says, whatever stands around it: header, message, and what the catalogue reads of it."""

from __future__ import annotations

import codecs
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import polars as pl

from starface_nb.reading import catalogue, layouts
from starface_nb.reading.calls import with_calls
from starface_nb.reading.fields import typed
from starface_nb.reading.tidy import tidied, without_end
from starface_nb.sources.limits import cores
from starface_nb.tables import table

HEADERLESS = ("none", "stamped")
_BROKEN_JSON = r'^\{.*"message" ?: ?"' + table("reading/core")["beginning"].removeprefix("^")
_INNER = catalogue.SUSPECT.replace("^", rf"^.+{layouts.HEADER}(?:\d+ \S+:)? ", 1)
_WORTH_A_THREAD = 8_000  # lines
_USUAL_STAMP = r"^(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"

# How a line that no entry reads looks like one: worded so, in a broken JSON object, behind something before its header,
# or cut off behind its first word.
LIKE = pl.Enum(["wording", "json", "inner", "beginning"])


def text_of(line: bytes) -> str:
    """Return a line as text; bytes that are no UTF-8 as their Latin-1 letters, so that names stay apart."""
    return line.decode("utf-8", "latin-1-rest")


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1-rest", _latin_1)


def decode(lines: list[bytes]) -> pl.Series:
    """Return lines as `text_of` does; line ends, a byte order mark and padding NULs are cut off."""
    try:
        series = pl.Series("text", lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        series = pl.Series("text", [text_of(line) for line in lines], dtype=pl.String)
    return series.str.strip_chars_end("\r\0 \t").str.strip_chars_start("\ufeff\0")


def read_lines(text: pl.Series, prefix: str | None, *, words: bool) -> pl.DataFrame:
    """Read lines, each for itself, on all cores.

    Parameters
    ----------
    text : polars.Series of String, shape (n,)
    prefix : str or None
        Regex of what grep, a container or the like put before every line.
    words : bool
        Keep the words of every line. Without it only those lines have theirs that may yet be looked at again: what
        stands in the others is in the columns, and a log may have a million of them.

    Returns
    -------
    polars.DataFrame
        `text` (null where it is not kept); `layout` and `stamp`, see `layouts.read_headers`; `verbose` (written at that
        level); `marked` (with a console's verbosity mark); `call` and `thread` of a call's steps; what
        `catalogue.match` and `fields.typed` say, null where no entry reads the line; and then how it is `like` one, of
        type `LIKE`. With `words` also `body` (the text without the prefix), `message` and `bare` (the message without
        a mark).
    """
    read = partial(_read, prefix=prefix, words=words)
    pieces = min(cores(), text.len() // _WORTH_A_THREAD)
    if pieces < 2:
        return read(text.to_frame("text"))
    with ThreadPoolExecutor(pieces) as pool:  # regular expressions run on one core per expression
        return pl.concat(pool.map(read, text.to_frame("text").iter_slices(-(-text.len() // pieces))))


def _read(rows: pl.DataFrame, prefix: str | None, *, words: bool) -> pl.DataFrame:
    body = pl.col("text").str.replace(prefix, "") if prefix else pl.col("text")
    rows = rows.with_columns(body.alias("body"))
    rows = rows.hstack(layouts.read_headers(rows["body"]))
    rows = rows.with_columns(layouts.verbose_prefix_off(pl.col("message")).alias("bare"))
    rows = rows.with_row_index("row")
    found = _with_untidy(rows, catalogue.match(rows["bare"], rows["module"]))
    rows = rows.join(typed(found), on="row", how="left", maintain_order="left")
    rows = rows.with_columns(
        (pl.col("level") == "VERBOSE").alias("verbose"),
        (pl.col("message") != pl.col("bare")).alias("marked"),
        pl.when(pl.col("entry").is_null()).then(_like()).alias("like"),
    )
    rows = with_calls(rows.drop("row", "level", "module", "endpoint", "identity", "lease_s", "state"))
    if words:
        return rows
    return rows.with_columns(pl.when(_looked_at_again()).then("text").alias("text")).drop("body", "message", "bare")


def _with_untidy(rows: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Add what the catalogue reads of lines that only copying has changed: in their blanks, quotes, colours, end."""
    missed = np.ones(rows.height, np.bool_)
    missed[found["row"].to_numpy()] = False
    odd = rows.filter(pl.Series(missed)).select("row", "module", "bare")
    odd = odd.filter(_is_drivers() & pl.col("bare").str.contains(catalogue.SUSPECT))
    if not odd.height:
        return found
    tidy = pl.Series([without_end(tidied(text)) for text in odd["bare"]], dtype=pl.String)
    more = catalogue.match(tidy, odd["module"])
    return pl.concat([found, more.with_columns(odd["row"].gather(more["row"]).alias("row"))]).sort("row")


def _is_drivers() -> pl.Expr:
    return pl.col("module").is_in(["", "chan_sip.c", "chan_iax2.c"]) | pl.col("module").str.contains("pjsip")


def _like() -> pl.Expr:
    driver = _is_drivers()
    json = (pl.col("layout") == "none") & pl.col("body").str.contains(_BROKEN_JSON)
    return (
        pl.when(driver & pl.col("bare").str.contains(catalogue.SUSPECT))
        .then(pl.lit("wording", LIKE))
        .when(driver & json)
        .then(pl.lit("json", LIKE))
        .when(pl.when(pl.col("layout") == "none").then("body").str.contains(_INNER))
        .then(pl.lit("inner", LIKE))
        .when(driver & pl.col("bare").str.contains(table("reading/core")["beginning"]))
        .then(pl.lit("beginning", LIKE))
    )


def _looked_at_again() -> pl.Expr:
    """Say which lines may be read again, or shown as not understood, once the whole log was seen."""
    usual = pl.col("stamp").str.contains(_USUAL_STAMP) | (pl.col("stamp") == "")
    long = pl.col("body").str.len_bytes() > layouts.CUT_AT
    glued = pl.col("bare").str.contains(".c: ", literal=True)  # the module of a second header on the line
    return pl.col("layout").is_in(HEADERLESS) | long | pl.col("like").is_not_null() | ~usual | glued
