"""Declared schemas of the public frames: name, dtype and nullability of every column."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

# Polars takes up numpy here: where two threads make it do so at once, one fails (polars 2.1.0 _dependencies.py:76).
pl.Series(np.zeros(1))

UTC_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Column:
    """One column of a public frame; unit and meaning are for who reads `frames.csv`."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    nullable: bool


@dataclass(frozen=True)
class Schema:
    """A named, ordered set of columns that a frame is checked against at a room's border."""

    name: str
    columns: tuple[Column, ...]

    @cached_property
    def dtypes(self) -> dict[str, pl.DataType | type[pl.DataType]]:
        """Column names and dtypes, in order."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return a frame of this schema with no rows."""
        return pl.DataFrame(schema=self.dtypes)

    def frame(self, rows: list[dict[str, object]]) -> pl.DataFrame:
        """Build a checked frame from rows; missing keys become null."""
        return self.check(pl.DataFrame(rows, schema=self.dtypes, orient="row") if rows else self.empty())

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with exactly these columns in this order.

        Raises
        ------
        polars.exceptions.SchemaError
            A column is missing or has another dtype.
        ValueError
            A column that may not be null is null somewhere.
        """
        frame = frame.match_to_schema(self.dtypes, extra_columns="ignore")
        bad = [one.name for one in self.columns if not one.nullable and frame[one.name].null_count()]
        if bad:
            raise ValueError(f"frame {self.name!r} has nulls where none may be: {bad}")
        return frame


def declared(module: str, **words: pl.DataType) -> dict[str, Schema]:
    """Return the schemas declared in `frames.csv` beside a module, by name.

    Parameters
    ----------
    module : str
        The module's `__file__`.
    **words : polars.DataType
        The closed vocabularies, above all, that the column `type` names.
    """
    types = {"time": UTC_TIME, "texts": pl.List(pl.String), "counts": pl.List(pl.Int64), **words}
    found = defaultdict[str, list[Column]](list)
    with Path(module).with_name("frames.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            dtype = types.get(row["type"]) or getattr(pl, row["type"])
            found[row["frame"]].append(Column(row["column"], dtype, bool(row["nullable"])))
    return {name: Schema(name, tuple(columns)) for name, columns in found.items()}
