"""What a line says, whatever stands around it: header, message, and what the catalogue reads of it."""

from __future__ import annotations

from functools import partial

import polars as pl

from starface_nb.frames import in_pieces
from starface_nb.reading import catalogue, layouts
from starface_nb.reading.fields import typed


def decode(lines: list[bytes]) -> pl.Series:
    """Return lines as text: bad bytes become U+FFFD; line ends, a byte order mark and padding NULs are cut off."""
    try:
        series = pl.Series("text", lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        series = pl.Series("text", [line.decode("utf-8", "replace") for line in lines], dtype=pl.String)
    return series.str.strip_chars_end("\r\0 \t").str.strip_chars_start("\ufeff\0")


def read_lines(lines: list[bytes], prefix: str | None) -> pl.DataFrame:
    """Read lines, each for itself.

    Parameters
    ----------
    lines : list of bytes, length n
    prefix : str or None
        Regex of what grep, a container or the like put before every line.

    Returns
    -------
    polars.DataFrame, shape (n, 20)
        `text`; `body` (the text without the prefix); the parts of the header and `message`, see
        `layouts.read_headers`; `bare` (the message without a console's verbosity mark); and what `catalogue.match` and
        `fields.typed` say of it, null where no entry reads it.
    """
    return in_pieces(partial(_read, prefix=prefix), decode(lines).to_frame())


def _read(rows: pl.DataFrame, prefix: str | None) -> pl.DataFrame:
    body = pl.col("text").str.replace(prefix, "") if prefix else pl.col("text")
    rows = rows.with_columns(body.alias("body"))
    rows = rows.hstack(layouts.read_headers(rows["body"]))
    rows = rows.with_columns(layouts.verbose_prefix_off(pl.col("message")).alias("bare"))
    found = typed(catalogue.match(rows["bare"], rows["module"]))
    joined = rows.with_row_index("row").join(found, on="row", how="left", maintain_order="left")
    return joined.drop("row", "endpoint", "identity", "state")
