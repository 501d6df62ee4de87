"""Pictures of what the PBX saw of the phones: their addresses and ports, their round-trip times."""

from __future__ import annotations

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, table
from starface_nb.charts.theme import ACCENT, COLOURS, INK, TEXT, WIDTH, Picture, dressed

_MOST_POINTS = 3000
_MOST_ROWS = 80
_LABEL = 150


@picture
def addresses(s: Scene) -> Picture:
    """Draw when each phone registered from another port or address: a new port means that the old binding was gone."""
    tr = s.tr
    kinds = [tr("first seen"), tr("new port"), tr("new address"), tr("same address and port")]
    moves = _moves(s, kinds)
    counts = {k: moves.filter(pl.col("what") == k).height for k in kinds}
    most = moves.group_by("label").len().sort("len", "label", descending=[True, False])["label"].head(_MOST_ROWS)
    order = [label for label in s.phones["label"] if label in set(most)]
    shown, some = s.thinned(moves.filter(pl.col("label").is_in(order)).sort("at", "label"), _MOST_POINTS)
    palette = [INK, COLOURS["nat_expiry"], COLOURS["wan_outage"], COLOURS["latency"]]
    used = [k for k in kinds if counts[k]]
    legend = alt.Legend(title=None, orient="top")
    colours = alt.Scale(domain=used, range=[c for k, c in zip(kinds, palette, strict=True) if counts[k]])
    shapes = [m for k, m in zip(kinds, ("circle", "triangle-up", "diamond", "stroke"), strict=True) if counts[k]]
    chart = (
        alt.Chart(table(shown))
        .mark_point(filled=True, size=48, opacity=0.9, clip=True)
        .encode(
            x=s.x_time("at"),
            y=alt.Y("label:N", scale=alt.Scale(domain=order), axis=alt.Axis(title=None, labelLimit=_LABEL, grid=True)),
            color=alt.Color("what:N", scale=colours, legend=legend),
            shape=alt.Shape("what:N", scale=alt.Scale(domain=used, range=shapes), legend=legend),
            tooltip=[
                alt.Tooltip("label:N", title=tr("phone")),
                alt.Tooltip("what:N", title=tr("registered with")),
                alt.Tooltip("before:N", title=tr("before")),
                alt.Tooltip("now:N", title=tr("now")),
                alt.Tooltip("at:T", title=tr("at"), format=s.moment),
            ],
        )
        .properties(width=WIDTH - _LABEL, height=alt.Step(18 if len(order) <= 48 else 12))
    )
    ports = tr.count("{n} new port", "{n} new ports", counts[kinds[1]])
    title = ports + ", " + tr.count("{n} new public address", "{n} new public addresses", counts[kinds[2]])
    hidden = moves["label"].n_unique() - len(order)
    note = (
        tr.count(
            "{n} phone with fewer registrations is not shown",
            "{n} phones with fewer registrations are not shown",
            hidden,
        )
        if hidden
        else ""
    )
    return dressed(chart, title, tr("a phone that registers from a new port had lost its NAT entry"), note, some)


def _moves(s: Scene, kinds: list[str]) -> pl.DataFrame:
    """Every registration with an address, against the same phone's one before it."""
    frame = s.case.log.events.filter(
        pl.col("kind") == "registered", pl.col("address").is_not_null(), pl.col("time").is_not_null()
    )
    where = pl.concat_str("address", pl.col("port").cast(pl.String).fill_null("?"), separator=":")
    frame = frame.sort("time").with_columns(
        now=where, before=where.shift().over("peer"), _old=pl.col("address").shift().over("peer")
    )
    what = (
        pl.when(pl.col("before").is_null())
        .then(pl.lit(kinds[0]))
        .when(pl.col("_old") != pl.col("address"))
        .then(pl.lit(kinds[2]))
        .when(pl.col("before") != pl.col("now"))
        .then(pl.lit(kinds[1]))
        .otherwise(pl.lit(kinds[3]))
    )
    return s.seen(frame.with_columns(what=what)).select(
        "label", "at", "what", pl.col("before").fill_null("\u2013"), "now"
    )


@picture
def rtt(s: Scene) -> Picture:
    """Draw the round-trip times that the log names, against the limit above which an answer counts as late."""
    tr = s.tr
    words = {"reachable": tr("in time"), "lagged": tr("late (Lagged)")}
    frame = s.case.log.events.filter(pl.col("rtt_ms").is_not_null(), pl.col("kind").is_in(list(words)))
    data = s.seen(frame).select(
        "label",
        "at",
        "rtt_ms",
        limit="limit_ms",
        what=pl.col("kind").cast(pl.String).replace_strict(words, return_dtype=pl.String),
    )
    data = data.sort("at", "label")
    late = data.filter(pl.col("what") == words["lagged"]).height
    shown, some = s.thinned(data, _MOST_POINTS)
    scale = alt.Scale(domain=list(words.values()), range=[ACCENT, COLOURS["nat_expiry"]])
    legend = alt.Legend(title=None, orient="top")
    y = alt.Y(
        "rtt_ms:Q",
        scale=alt.Scale(type="symlog", constant=10, domainMin=0),
        axis=alt.Axis(title=tr("round-trip time (ms)"), values=[0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]),
    )
    points = (
        alt.Chart(table(shown))
        .mark_point(size=26, opacity=0.65, filled=True, clip=True)
        .encode(
            x=s.x_time("at"),
            y=y,
            color=alt.Color("what:N", scale=scale, legend=legend),
            shape=alt.Shape(
                "what:N", scale=alt.Scale(domain=list(words.values()), range=["circle", "triangle-up"]), legend=legend
            ),
            tooltip=[
                alt.Tooltip("label:N", title=tr("phone")),
                alt.Tooltip("rtt_ms:Q", title=tr("round-trip time (ms)")),
                alt.Tooltip("what:N", title=tr("answer")),
                alt.Tooltip("at:T", title=tr("at"), format=s.moment),
            ],
        )
    )
    limits = data["limit"].drop_nulls().unique().sort().head(3)
    lines = pl.DataFrame(
        {"limit": limits, "text": [tr("limit {ms} ms", ms=tr.number(v)) for v in limits]},
        schema={"limit": pl.Float64, "text": pl.String},
    )
    base = alt.Chart(table(lines)).encode(y="limit:Q")
    rule = base.mark_rule(color=INK, strokeDash=[4, 3])
    text = base.mark_text(**TEXT, align="right", baseline="bottom", dx=-4, dy=-2).encode(
        text="text:N", x=alt.value("width")
    )
    answers = tr.count("{n} answer timed in the log", "{n} answers timed in the log", data.height)
    title = answers + ", " + tr.count("{n} late", "{n} late", late)
    note = tr("the log names a round-trip time only when a phone changes its state")
    return dressed(alt.layer(points, rule, text).properties(width=WIDTH - 60, height=260), title, note, some)
