"""Pictures of outcomes: before and after a change, and many customers side by side."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.overview import bracket
from starface_nb.charts.scene import plain, table
from starface_nb.charts.theme import COLOURS, Picture, dressed
from starface_nb.guide.i18n import Translator, translator

_MOST_CUSTOMERS = 48


def fleet_page(summary: pl.DataFrame, language: str = "en", columns: int = 4) -> Picture:
    """Draw one small picture per customer: the losses along the log, NAT apart from the rest; worst first.

    Parameters
    ----------
    summary : polars.DataFrame
        Of schema `starface_nb.fleet.schema.FLEET`, or its columns `customer`, `rank`, `verdict`, `low_s`, `high_s`,
        `losses`, `nat_losses`, `nat_by_bin`, `other_by_bin`.
    language : str
        `en`, `de` or `fr`.
    columns : int
        Pictures side by side.
    """
    tr = translator(language)
    read = summary.filter(pl.col("nat_by_bin").is_not_null()).sort("rank", "customer")
    shown = read.head(_MOST_CUSTOMERS)
    names = [
        f"{row['rank']}. {row['name']}\n{_verdict(tr, row)}"
        for row in shown.with_columns(name=plain("customer")).to_dicts()
    ]
    kinds = [tr("NAT expiry"), tr("other causes")]
    data = _bins(shown.with_columns(pl.Series("name", names, dtype=pl.String)), kinds)
    x = alt.X("bin:Q", axis=None)
    y = alt.Y("from:Q", axis=alt.Axis(title=None, tickCount=2, format="d", tickMinStep=1, grid=False))
    tip = [
        alt.Tooltip("customer:N", title=tr("customer")),
        alt.Tooltip("kind:N", title=tr("cause")),
        alt.Tooltip("n:Q", title=tr("losses")),
    ]
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[COLOURS["nat_expiry"], COLOURS["wan_outage"]]),
        legend=alt.Legend(title=None, orient="top"),
    )
    bars = (
        alt.Chart(table(data))
        .mark_bar(aria=False, strokeWidth=0, binSpacing=0)
        .encode(x=x, x2="end:Q", y=y, y2="to:Q", color=colour, tooltip=tip)
    )
    header = alt.Header(
        title=None,
        labelAnchor="start",
        labelExpr="split(datum.value, '\\n')",
        labelFontSize=11,
        labelLimit=170,
        labelPadding=4,
        labelLineHeight=13,
    )
    chart = bars.properties(width=150, height=46).facet(
        facet=alt.Facet("name:N", header=header, sort=names), columns=columns, spacing={"row": 16, "column": 20}
    )
    chart = chart.resolve_scale(y="independent")
    bad = read.filter(pl.col("verdict") == "too_short").height
    title = tr(
        "{customers}: {bad} with a NAT timeout that is too short",
        customers=tr.count("{n} customer", "{n} customers", summary.height),
        bad=tr.number(bad),
    )
    failed = summary.height - read.height
    notes = [
        tr("each picture: losses from the log's beginning to its end; the height differs between customers"),
        tr.count("{n} customer's log could not be read", "{n} customers' logs could not be read", failed)
        if failed
        else "",
        tr("the first {n} are drawn", n=tr.number(_MOST_CUSTOMERS)) if read.height > _MOST_CUSTOMERS else "",
    ]
    return dressed(chart, title, *notes)


def _verdict(tr: Translator, row: dict[str, Any]) -> str:
    losses = tr.count("{n} loss", "{n} losses", row["losses"] or 0)
    if row["verdict"] == "too_short":
        return tr("too short: {bracket}; {losses}", bracket=bracket(tr, row["low_s"], row["high_s"]), losses=losses)
    if row["verdict"] == "no_expiry_seen":
        return tr("no NAT expiry; {losses}", losses=losses)
    return tr("cannot tell; {losses}", losses=losses)


def _bins(frame: pl.DataFrame, kinds: list[str]) -> pl.DataFrame:
    """One row per customer, part of the log and kind, stacked; empty parts are left out, but every customer stays."""
    long = frame.select(
        "name", plain("customer"), "nat_by_bin", "other_by_bin", bin=pl.int_ranges(0, pl.col("nat_by_bin").list.len())
    )
    long = long.explode("nat_by_bin", "other_by_bin", "bin", empty_as_null=True)
    both = [
        long.select("name", "customer", "bin", kind=pl.lit(kinds[0]), n="nat_by_bin", low=pl.lit(0, dtype=pl.Int64)),
        long.select("name", "customer", "bin", kind=pl.lit(kinds[1]), n="other_by_bin", low="nat_by_bin"),
    ]
    data = pl.concat(both).filter((pl.col("n") > 0) | ((pl.col("bin") == 0) & (pl.col("kind") == kinds[0])))
    return data.select(
        "name",
        "customer",
        "kind",
        "n",
        "bin",
        (pl.col("bin") + 1).alias("end"),
        pl.col("low").alias("from"),
        (pl.col("low") + pl.col("n")).alias("to"),
    ).sort("name", "bin", "kind")
