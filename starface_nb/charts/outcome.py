"""Pictures of outcomes: before and after a change, and many customers side by side."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from starface_nb.analysis.compare import Comparison, Side
from starface_nb.charts.overview import bracket
from starface_nb.charts.scene import plain, table
from starface_nb.charts.theme import COLOURS, HEADER, TEXT, WIDTH, Picture, dressed
from starface_nb.guide.causes import cause_name
from starface_nb.guide.i18n import Translator, translator
from starface_nb.text import visible

_MOST_CUSTOMERS = 48
_SIDE = {"site": pl.String, "when": pl.String, "share": pl.Float64, "text": pl.String, "hours": pl.Float64}


def before_after(comparison: Comparison, language: str = "en") -> Picture:
    """Draw, per site, how many of its renewal periods had a NAT loss before and after the change.

    Parameters
    ----------
    comparison : Comparison
    language : str
        `en`, `de` or `fr`.
    """
    tr = translator(language, comparison.time_zone)
    when = [tr("before"), tr("after")]
    rows = [
        row
        for one in sorted(comparison.sites, key=lambda one: one.site)
        for row in (_side(tr, one.site, when[0], one.before), _side(tr, one.site, when[1], one.after))
    ]
    lost = alt.Axis(title=tr("share of the renewal periods with a NAT loss"), format=".0%", tickCount=6)
    base = alt.Chart().encode(
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1]), axis=lost),
        y=alt.Y("when:N", scale=alt.Scale(domain=when), axis=alt.Axis(title=None, ticks=False, domain=False)),
        tooltip=[
            alt.Tooltip("site:N", title=tr("site")),
            alt.Tooltip("when:N", title=tr("log")),
            alt.Tooltip("text:N", title=tr("NAT losses")),
            alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f"),
        ],
    )
    scale = alt.Scale(domain=when, range=[COLOURS["nat_expiry"], COLOURS["wan_outage"]])
    short, long = (base.transform_filter(f"datum.share {sign} 0.45") for sign in ("<=", ">"))
    words: dict[str, Any] = {"align": "right", "dx": -6, "fontSize": 11, "color": "white", "fontWeight": "bold"}
    chart = alt.layer(
        base.mark_bar(height=14).encode(color=alt.Color("when:N", scale=scale, legend=None)),
        short.mark_text(**TEXT, align="left", dx=6).encode(text="text:N"),
        long.mark_text(**words).encode(text="text:N"),
        data=table(pl.DataFrame(rows, schema=_SIDE, orient="row")),
    )
    chart = chart.properties(width=WIDTH - 80, height=alt.Step(20))
    chart = chart.facet(row=alt.Row("site:N", header=alt.Header(**HEADER)), spacing=14)
    named = {
        "fixed": tr("fixed"),
        "improved": tr("improved"),
        "unchanged": tr("unchanged"),
        "worse": tr("worse"),
        "cannot_tell": tr("cannot tell yet"),
    }
    changed = tr("changed about {time}", time=tr.time(comparison.changed_at)) if comparison.changed_at else ""
    meaning = tr("a period: the time from one renewal to the next, in which a binding can die")
    return dressed(chart, tr("Before and after: {verdict}", verdict=named[comparison.verdict]), changed, meaning)


def _side(tr: Translator, site: str, when: str, side: Side) -> dict[str, object]:
    losses = tr.count("{n} loss", "{n} losses", side.losses)
    periods = tr.count("{n} period", "{n} periods", side.periods)
    text = tr("{losses} in {periods}", losses=losses, periods=periods)
    if side.low_s is not None or side.high_s is not None:
        text += "; " + tr("NAT timeout {bracket}", bracket=bracket(tr, side.low_s, side.high_s))
    share = min(1.0, side.losses / side.periods) if side.periods else 0.0
    return {"site": visible(site), "when": when, "share": share, "text": text, "hours": side.hours}


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
    kinds = [cause_name("nat_expiry", tr), tr("other causes")]
    data = _bins(shown.with_columns(pl.Series("name", names, dtype=pl.String)), kinds)
    parts = max((len(counts) for counts in shown["nat_by_bin"].to_list()), default=1)
    x = alt.X("bin:Q", axis=None, scale=alt.Scale(domain=[0, parts], nice=False))
    y = alt.Y("from:Q", axis=alt.Axis(title=None, tickCount=2, format="d", tickMinStep=1, grid=False, minExtent=24))
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
