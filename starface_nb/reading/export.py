"""Events as jsonl, csv or parquet, as the command line promises them."""

from __future__ import annotations

import json
from io import BytesIO
from typing import BinaryIO

import polars as pl
from xlsxwriter import Workbook  # type: ignore[import-untyped]

from starface_nb.errors import SettingError
from starface_nb.files import parquet

COLUMNS = ("time", "kind", "peer", "tech", "address", "port", "rtt_ms", "limit_ms", "file", "line")
AUTHOR = "starface-nb"  # of a sheet
MOST_ROWS_OF_EXCEL = 1_048_575


def local_iso(time: str, time_zone: str) -> pl.Expr:
    """Return a UTC time column as ISO 8601 text in a zone: with its offset, and milliseconds where there are any."""
    local = pl.col(time).dt.convert_time_zone(time_zone)
    fraction = pl.col(time).dt.nanosecond() != 0
    whole = local.dt.strftime("%Y-%m-%dT%H:%M:%S%:z")
    return pl.when(fraction).then(local.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")).otherwise(whole)


def write(events: pl.DataFrame, file: BinaryIO, chosen: str, time_zone: str) -> None:
    """Write the contract's columns of the events in the chosen format (`jsonl`, `csv`, `parquet` or `xlsx`).

    In csv, text that a spreadsheet would take for a formula gets an apostrophe in front: names come from the network.
    """
    if chosen == "parquet":
        file.write(parquet(events.select(COLUMNS)))
        return
    if chosen == "xlsx":
        _write_excel(events, file, time_zone)
        return
    rows = events.select(local_iso("time", time_zone).alias("time"), *COLUMNS[1:])
    if chosen == "csv":
        text = pl.col("peer", "file")
        guarded = pl.when(text.str.contains(r"^[=+\-@\t\r]")).then("'" + text).otherwise(text)
        rows.with_columns(guarded.name.keep()).write_csv(whole := BytesIO())  # of a full disk it has errors of its own
        file.write(whole.getbuffer())
        return
    for row in rows.iter_rows(named=True):
        line = {
            key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in row.items()
        }
        file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def _write_excel(events: pl.DataFrame, file: BinaryIO, time_zone: str) -> None:
    if events.height > MOST_ROWS_OF_EXCEL:
        raise SettingError(
            f"A sheet of Excel holds {MOST_ROWS_OF_EXCEL:,} rows, and there are {events.height:,} events.",
            next_step="Choose csv or parquet.",
        )
    local = pl.col("time").dt.convert_time_zone(time_zone).dt.replace_time_zone(None)
    sheet = BytesIO()  # a pipe cannot be written in the order that Excel's archive needs
    as_text = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(sheet, {"in_memory": True, "nan_inf_to_errors": True, **as_text}) as book:  # no temporary folder
        book.set_properties({"author": AUTHOR})
        events.select(local, *COLUMNS[1:]).write_excel(book, dtype_formats={pl.Datetime: "yyyy-mm-dd hh:mm:ss.000"})
    file.write(sheet.getvalue())
