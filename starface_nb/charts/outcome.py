"""Pictures of outcomes: before and after a change, and many customers side by side."""

import json
from typing import Any

import altair as alt
import polars as pl

from starface_nb.analysis.compare import Comparison, Side
from starface_nb.charts.estimates import bracket
from starface_nb.charts.scene import plain, table
from starface_nb.charts.theme import COLOURS, Picture, dressed
from starface_nb.guide import Translator, cause_name, translator
from starface_nb.text import visible

_MOST_CUSTOMERS = 48
_STRIP = 0.6
"""Share of a customer's row that its highest bar fills; above it stands the verdict."""
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
    rows, lines = [], []
    for one in sorted(comparison.sites, key=lambda one: one.site):
        site = visible(one.site)
        lines += [site, *when]
        sides = (one.before, True), (one.after, one.verdict != "cannot_tell")
        rows += [
            {"line": len(lines) - 2 + i, "site": site, "when": when[i], **_side(tr, side, told=told)}
            for i, (side, told) in enumerate(sides)
        ]
    names = alt.Axis(
        labelExpr=f"({json.dumps(lines)})[datum.value]",
        labelFontWeight={"condition": {"test": "datum.value % 3 == 0", "value": "bold"}, "value": "normal"},
        ticks=False,
        grid=False,
    )
    lost = alt.Axis(title=tr("share of the renewal periods with a NAT loss"), format=".0%", tickCount=6)
    base = alt.Chart(table(pl.DataFrame(rows))).encode(
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1]), axis=lost),
        y=alt.Y("line:O", scale=alt.Scale(domain=list(range(len(lines)))), axis=names),
        tooltip=[
            alt.Tooltip("site:N", title=tr("site")),
            alt.Tooltip("when:N", title=tr("log")),
            alt.Tooltip("text:N", title=tr("NAT losses")),
            alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f"),
        ],
    )
    chart = alt.layer(
        base.mark_bar(height=8, yOffset=6).encode(
            color=alt.Color("when:N", scale=alt.Scale(domain=when, range=_TWO), legend=None)
        ),
        base.mark_text(baseline="bottom", dy=1).encode(x=alt.value(2), text="text:N"),  # longer than some bars
    ).properties(height=28 * len(lines))
    named = {
        "fixed": tr("fixed"),
        "improved": tr("improved"),
        "unchanged": tr("unchanged"),
        "worse": tr("worse"),
        "cannot_tell": tr("cannot tell yet"),
    }
    changed = tr("changed about {time}", time=tr.time(comparison.changed_at)) if comparison.changed_at else ""
    meaning = tr("a period: the time from one renewal to the next, in which a binding can die")
    return dressed(chart, tr, tr("Before and after: {verdict}", verdict=named[comparison.verdict]), changed, meaning)


def _side(tr: Translator, side: Side | None, *, told: bool) -> dict[str, object]:
    if side is None:
        return {"share": 0.0, "text": tr("not compared"), "hours": None}
    losses = tr.count("{n} loss", "{n} losses", side.losses)
    periods = tr.count("{n} period", "{n} periods", side.periods)
    text = tr("{losses} in {periods}", losses=losses, periods=periods)
    if told and (side.low_s is not None or side.high_s is not None):
        text = tr.joined(text, tr("NAT timeout {bracket}", bracket=bracket(tr, side.low_s, side.high_s)))
    share = min(1.0, side.losses / side.periods) if side.periods else 0.0
    return {"share": share, "text": text, "hours": side.hours}


def fleet_page(summary: pl.DataFrame, language: str = "en") -> Picture:
    """Draw one strip per customer: the losses along the log, NAT apart from the rest; worst first.

    Parameters
    ----------
    summary : polars.DataFrame
        Of schema `starface_nb.fleet.schemas.FLEET`, or its columns `customer`, `rank`, `verdict`, `low_s`, `high_s`,
        `losses`, `nat_losses`, `nat_by_bin`, `other_by_bin`.
    language : str
        `en`, `de` or `fr`.
    """
    tr = translator(language)
    read = summary.filter(pl.col("nat_by_bin").is_not_null()).sort("rank", "customer")
    shown = read.head(_MOST_CUSTOMERS).with_columns(plain("customer")).with_row_index("row")
    kinds = [cause_name("nat_expiry", tr), tr("other causes")]
    data = _bins(shown, kinds)
    peaks = dict(data.group_by("row").agg(pl.col("all").first()).iter_rows())
    texts = [_verdict(tr, one, peaks.get(one["row"], 0)) for one in shown.iter_rows(named=True)]
    heads = shown.select("customer", foot=pl.col("row") + 1 - _STRIP, text=pl.Series(texts, dtype=pl.String))
    names = [f"{rank}. {customer}" for rank, customer in shown.select("rank", "customer").iter_rows()]
    axis = alt.Axis(
        values=[row + 0.6 for row in range(len(names))],
        labelExpr=f"({json.dumps(names)})[floor(datum.value)]",
        ticks=False,
        grid=False,
    )
    parts: Any = shown["nat_by_bin"].list.len().max() or 1
    y = alt.Y("from:Q", axis=axis, scale=alt.Scale(domain=[len(names), 0], nice=False))
    bars = alt.Chart(table(data)).mark_bar(aria=False, strokeWidth=0, binSpacing=0)
    bars = bars.encode(
        x=alt.X("bin:Q", axis=None, scale=alt.Scale(domain=[0, parts], nice=False)),
        x2="end:Q",
        y=y,
        y2="to:Q",
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=_TWO)),
        tooltip=[
            alt.Tooltip("customer:N", title=tr("customer")),
            alt.Tooltip("kind:N", title=tr("cause")),
            alt.Tooltip("n:Q", title=tr("losses")),
        ],
    )
    head = alt.Chart(table(heads)).encode(y=alt.Y("foot:Q"))
    above = head.mark_text(baseline="bottom", dy=-2).encode(x=alt.value(4), text="text:N")
    title = tr(
        "{customers}: {bad} with a NAT timeout that is too short",
        customers=tr.count("{n} customer", "{n} customers", summary.height),
        bad=tr.number(read.filter(pl.col("verdict") == "too_short").height),
    )
    failed = summary.height - read.height
    unread = tr.count("{n} customer's log could not be read", "{n} customers' logs could not be read", failed)
    return dressed(
        alt.layer(bars, above).properties(height=46 * max(1, len(names))),
        tr,
        title,
        tr("each strip: losses from the log's beginning to its end; the height differs between customers"),
        unread if failed else "",
        tr("the first {n} are drawn", n=tr.number(_MOST_CUSTOMERS)) if read.height > _MOST_CUSTOMERS else "",
    )


def _verdict(tr: Translator, row: dict[str, Any], highest: int) -> str:
    losses = tr.count("{n} loss", "{n} losses", row["losses"] or 0)
    if highest:
        losses = tr.joined(losses, tr("highest bar: {n}", n=tr.number(highest)))
    if row["verdict"] == "too_short":
        return tr("too short: {bracket}; {losses}", bracket=bracket(tr, row["low_s"], row["high_s"]), losses=losses)
    if row.get("fixed_at") is not None:
        before = bracket(tr, row["before_low_s"], row["before_high_s"])
        until = tr("until {time} too short: {bracket}", time=tr.time(row["fixed_at"], "short"), bracket=before)
        return tr.joined(until, losses)
    return tr(
        "no NAT expiry; {losses}" if row["verdict"] == "no_expiry_seen" else "cannot tell; {losses}", losses=losses
    )


def _bins(frame: pl.DataFrame, kinds: list[str]) -> pl.DataFrame:
    """One bar per customer, part of the log and kind, stacked in the customer's strip; `all` is the highest stack."""
    long = frame.select(
        "row", "customer", "nat_by_bin", "other_by_bin", bin=pl.int_ranges(pl.col("nat_by_bin").list.len())
    )
    long = long.explode("nat_by_bin", "other_by_bin", "bin", empty_as_null=True)
    nat, other = pl.col("nat_by_bin"), pl.col("other_by_bin")
    long = long.with_columns(all=(nat + other).max().over("row"))
    both = pl.concat(
        long.with_columns(kind=pl.lit(kind), n=n, low=low)
        for kind, n, low in ((kinds[0], nat, nat * 0), (kinds[1], other, nat))
    )
    foot, unit = pl.col("row") + 1, _STRIP / pl.col("all")
    edges = {"end": pl.col("bin") + 1, "from": foot - pl.col("low") * unit}
    edges["to"] = foot - (pl.col("low") + pl.col("n")) * unit
    return (
        both.filter(pl.col("n") > 0)
        .select("row", "customer", "kind", "n", "bin", "all", **edges)
        .sort("row", "bin", "kind")
    )
