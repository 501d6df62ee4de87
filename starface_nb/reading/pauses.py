"""Where a log's lines stop for longer: what a reader of silence must know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import polars as pl

from starface_nb.reading.schemas import PAUSES

LEAST_S = 600.0
"""Shorter pauses are not kept."""
COUNTS_AT_MOST_S = 3600.0
"""A pause counts no longer than this in what a file usually writes per second."""
STRAY_DAYS = 366
"""A line this far from the file's median time has the date of a clock that was not set."""


def without_strays(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that have a time, without those of a clock that was not set (1970, years ahead).

    Parameters
    ----------
    rows : polars.DataFrame
        `time` (UTC), `offset` (bytes), `role`, `doubt` and `detail`, in the file's order.
    """
    known = rows.filter(pl.col("time").is_not_null())
    far = (pl.col("time") - pl.col("time").median()).abs() > pl.duration(days=STRAY_DAYS)
    before, after = pl.col("time").shift(1), pl.col("time").shift(-1)
    ahead = ((pl.col("time") - after) > pl.duration(minutes=1)) & (after >= before)
    return known.filter(~far).filter(~ahead.fill_null(value=False))


def find_pauses(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Return the pauses of a file; frame of schema `PAUSES`, in the file's order.

    Parameters
    ----------
    rows : polars.DataFrame
        From `without_strays`.
    file : str
    """
    took = pl.col("time").diff().dt.total_microseconds() / 1e6
    wrote = pl.col("offset").diff().abs().cast(pl.Float64)
    told = (pl.col("role") == "gap") & pl.col("doubt").is_null()
    thrown = pl.when(told).then(pl.col("detail").cast(pl.Int64, strict=False)).fill_null(0).alias("discarded")
    begin, end = pl.col("time").shift(1).alias("start"), pl.col("time").alias("end")
    steps = rows.select(begin, end, thrown, took=took, wrote=wrote).filter(pl.col("took") >= 0)
    seconds, size = steps.select(pl.col("took").clip(upper_bound=COUNTS_AT_MOST_S).sum(), pl.sum("wrote")).row(0)
    usual = pl.col("wrote") * (seconds / size if size else 0.0)
    long = steps.filter((pl.col("took") >= LEAST_S) | (pl.col("discarded") > 0))
    return PAUSES.check(long.with_columns(pl.lit(file).alias("file"), usual.alias("usual_s")))


def pauses_between(parts: Sequence[tuple[str, datetime | None, datetime | None]]) -> pl.DataFrame:
    """Return the pauses from the end of one file to the begin of the next; frame of schema `PAUSES`.

    Parameters
    ----------
    parts : sequence of (file, first, last)
        In time order; aware times of each file's first and last line that has one.
    """
    timed = [(file, first, last) for file, first, last in parts if first is not None and last is not None]
    steps = [(after, end, start, 0.0, 0) for (_, _, end), (after, start, _) in pairwise(timed)]
    frame = pl.DataFrame(steps, schema=PAUSES.dtypes, orient="row")
    return PAUSES.check(frame.filter((pl.col("end") - pl.col("start")).dt.total_seconds() >= LEAST_S))
