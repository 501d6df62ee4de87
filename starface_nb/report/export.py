"""Every loss as a table for other programs: CSV and Excel."""

from io import BytesIO

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts.scene import said
from starface_nb.guide import Translator, cause_name
from starface_nb.guide.words import site_name
from starface_nb.text import visible

_FORMULA = r"^[=+\-@\t\r]"


def losses(diagnosis: Diagnosis, tr: Translator) -> pl.DataFrame:
    """Return one row per loss with translated heads; times are the log's local time, durations seconds.

    A loss that is still open has no end, and lasts until the log's.
    """

    def local(name: str) -> pl.Expr:
        return pl.col(name).dt.convert_time_zone(tr.time_zone).dt.replace_time_zone(None).dt.truncate("1s")

    columns = {
        tr("Phone"): said(pl.col("peer"), visible),
        tr("Site (public address)"): said(pl.col("site"), lambda site: site_name(visible(site), tr)),
        tr("From"): local("start"),
        tr("Until"): local("end"),
        tr("Duration (s)"): pl.col("seconds").fill_null(
            (pl.lit(diagnosis.log.last) - pl.col("start")).dt.total_seconds()
        ),
        tr("Cause"): said(pl.col("cause").cast(pl.String), lambda cause: cause_name(cause, tr)),
        tr("How sure"): pl.col("confidence").round(3),
        tr("File"): said(
            pl.col("file").cast(pl.String), lambda file: visible(file.replace("\\", "/").rsplit("/", 1)[-1])
        ),
        tr("Line"): pl.col("line"),
    }
    return diagnosis.intervals.sort("start", "peer").select(value.alias(head) for head, value in columns.items())


def to_bytes(frame: pl.DataFrame, kind: str) -> bytes:
    """Return a frame as a `csv` or `xlsx` file; no text in it is a formula."""
    buffer = BytesIO()
    if kind == "xlsx":
        frame.write_excel(buffer, autofit=True)
    else:
        texts = pl.col(pl.String)
        safe = pl.when(texts.str.contains(_FORMULA)).then("'" + texts).otherwise(texts).name.keep()
        frame.with_columns(safe).write_csv(buffer, include_bom=True, datetime_format="%Y-%m-%d %H:%M:%S")
    return buffer.getvalue()
