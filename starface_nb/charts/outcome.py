"""Pictures of outcomes: before and after a change, and many customers side by side."""

from __future__ import annotations

import re
from typing import Any

import altair as alt
import polars as pl

from starface_nb.analysis.compare import Comparison, Side
from starface_nb.charts.estimates import bracket
from starface_nb.charts.scene import plain, table
from starface_nb.charts.theme import COLOURS, WIDTH, Picture, dressed
from starface_nb.guide.causes import cause_name
from starface_nb.guide.i18n import Translator, translator
from starface_nb.text import visible

_MOST_CUSTOMERS = 48
_TWO = [COLOURS["nat_expiry"], COLOURS["wan_outage"]]


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
        {"site": visible(one.site), "when": name, **_side(tr, side)}
        for one in sorted(comparison.sites, key=lambda one: one.site)
        for name, side in zip(when, (one.before, one.after), strict=True)
    ]
    lost = alt.Axis(title=tr("share of the renewal periods with a NAT loss"), format=".0%", tickCount=6)
    base = alt.Chart().encode(
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1]), axis=lost),
        y=alt.Y("when:N", scale=alt.Scale(domain=when), axis=alt.Axis(ticks=False, domain=False)),
        tooltip=[
            alt.Tooltip("site:N", title=tr("site")),
            alt.Tooltip("when:N", title=tr("log")),
            alt.Tooltip("text:N", title=tr("NAT losses")),
            alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f"),
        ],
    )
    short, long = (base.transform_filter(f"datum.share {sign} 0.45") for sign in ("<=", ">"))
    inside = long.mark_text(align="right", dx=-6, color="white", fontWeight="bold")
    chart = alt.layer(
        base.mark_bar(height=14).encode(
            color=alt.Color("when:N", scale=alt.Scale(domain=when, range=_TWO), legend=None)
        ),
        short.mark_text(dx=6).encode(text="text:N"),
        inside.encode(text="text:N"),
        data=table(pl.DataFrame(rows)),
    )
    chart = chart.properties(width=WIDTH - 60, height=alt.Step(20)).facet(row=alt.Row("site:N"), spacing=14)
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


def _side(tr: Translator, side: Side) -> dict[str, object]:
    losses = tr.count("{n} loss", "{n} losses", side.losses)
    periods = tr.count("{n} period", "{n} periods", side.periods)
    text = tr("{losses} in {periods}", losses=losses, periods=periods)
    if side.low_s is not None or side.high_s is not None:
        text += "; " + tr("NAT timeout {bracket}", bracket=bracket(tr, side.low_s, side.high_s))
    share = min(1.0, side.losses / side.periods) if side.periods else 0.0
    return {"share": share, "text": text, "hours": side.hours}


def fleet_page(summary: pl.DataFrame, language: str = "en", columns: int = 3) -> Picture:
    """Draw one small picture per customer: the losses along the log, NAT apart from the rest; worst first.

    Parameters
    ----------
    summary : polars.DataFrame
        Of schema `starface_nb.fleet.schemas.FLEET`, or its columns `customer`, `rank`, `verdict`, `low_s`, `high_s`,
        `losses`, `nat_losses`, `nat_by_bin`, `other_by_bin`.
    language : str
        `en`, `de` or `fr`.
    columns : int
        Pictures side by side.
    """
    tr = translator(language)
    read = summary.filter(pl.col("nat_by_bin").is_not_null()).sort("rank", "customer")
    shown = read.head(_MOST_CUSTOMERS).with_columns(plain("customer"))
    names = [
        "\n".join((f"{row['rank']}. {row['customer']}", *_verdict(tr, row))) for row in shown.iter_rows(named=True)
    ]
    kinds = [cause_name("nat_expiry", tr), tr("other causes")]
    data = _bins(shown.with_columns(name=pl.Series(names, dtype=pl.String)), kinds)
    parts: Any = shown["nat_by_bin"].list.len().max() or 1
    axis = alt.Axis(tickCount=2, format="d", tickMinStep=1, grid=False, minExtent=24)
    bars = (
        alt.Chart(table(data))
        .mark_bar(aria=False, strokeWidth=0, binSpacing=0)
        .encode(
            x=alt.X("bin:Q", axis=None, scale=alt.Scale(domain=[0, parts], nice=False)),
            x2="end:Q",
            y=alt.Y("from:Q", axis=axis),
            y2="to:Q",
            color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=_TWO)),
            tooltip=[
                alt.Tooltip("customer:N", title=tr("customer")),
                alt.Tooltip("kind:N", title=tr("cause")),
                alt.Tooltip("n:Q", title=tr("losses")),
            ],
        )
    )
    header = alt.Header(
        labelExpr="split(datum.value, '\\n')", labelLimit=150, labelFontWeight="normal", labelLineHeight=13
    )
    small = bars.properties(width=WIDTH // columns - 62, height=46)
    facet = alt.Facet("name:N", header=header, sort=names)
    chart = small.facet(facet=facet, columns=columns, spacing={"row": 16, "column": 20}).resolve_scale(y="independent")
    title = tr(
        "{customers}: {bad} with a NAT timeout that is too short",
        customers=tr.count("{n} customer", "{n} customers", summary.height),
        bad=tr.number(read.filter(pl.col("verdict") == "too_short").height),
    )
    failed = summary.height - read.height
    unread = tr.count("{n} customer's log could not be read", "{n} customers' logs could not be read", failed)
    return dressed(
        chart,
        title,
        tr("each picture: losses from the log's beginning to its end; the height differs between customers"),
        unread if failed else "",
        tr("the first {n} are drawn", n=tr.number(_MOST_CUSTOMERS)) if read.height > _MOST_CUSTOMERS else "",
    )


def _verdict(tr: Translator, row: dict[str, Any]) -> list[str]:
    losses = tr.count("{n} loss", "{n} losses", row["losses"] or 0)
    if row["verdict"] == "too_short":
        said = tr("too short: {bracket}; {losses}", bracket=bracket(tr, row["low_s"], row["high_s"]), losses=losses)
    elif row["verdict"] == "no_expiry_seen":
        said = tr("no NAT expiry; {losses}", losses=losses)
    else:
        said = tr("cannot tell; {losses}", losses=losses)
    return re.split(r"\s?; ", said)


def _bins(frame: pl.DataFrame, kinds: list[str]) -> pl.DataFrame:
    """One row per customer, part of the log and kind, stacked; empty parts are left out, but every customer stays."""
    bins = pl.int_ranges(0, pl.col("nat_by_bin").list.len())
    long = frame.select("name", "customer", "nat_by_bin", "other_by_bin", bin=bins)
    long = long.explode("nat_by_bin", "other_by_bin", "bin", empty_as_null=True)
    nat, rest = pl.col("nat_by_bin"), pl.col("other_by_bin")
    both = [
        long.with_columns(pl.lit(kind).alias("kind"), n=n, low=low)
        for kind, n, low in ((kinds[0], nat, nat * 0), (kinds[1], rest, nat))
    ]
    data = pl.concat(both).filter((pl.col("n") > 0) | ((pl.col("bin") == 0) & (pl.col("kind") == kinds[0])))
    edges = {"end": pl.col("bin") + 1, "from": pl.col("low"), "to": pl.col("low") + pl.col("n")}
    return data.select("name", "customer", "kind", "n", "bin", **edges).sort("name", "bin", "kind")
