"""Pictures of the rhythm: how many phones at once, and at which hours."""

from __future__ import annotations

from datetime import timedelta

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, table
from starface_nb.charts.theme import ACCENT, HEADER, INK, WIDTH, Picture, dressed

_MOST_SITES = 8
_MOST_STEPS = 3000


@picture
def simultaneity(s: Scene) -> Picture:
    """Draw how many phones of a site were unreachable at once: all together points at the line, one by one at NAT."""
    tr = s.tr
    sizes = s.phones.group_by("site").agg(phones=pl.len(), losses=pl.col("losses").sum())
    shown = sizes.sort("losses", "site", descending=[True, False]).head(_MOST_SITES).sort("site")
    rows = shown.rows() or [("", 0, 0)]
    data = pl.concat([_steps(s, name, phones, _MOST_STEPS // len(rows)) for name, phones, _ in rows])
    y = alt.Y("n:Q", axis=alt.Axis(title=None, tickCount=3, format="d", tickMinStep=1), scale=alt.Scale(domainMin=0))
    tip = [
        alt.Tooltip("site:N", title=tr("site")),
        alt.Tooltip("n:Q", title=tr("phones unreachable at once")),
        alt.Tooltip("begin:T", title=tr("from"), format=s.moment),
        alt.Tooltip("until:T", title=tr("until"), format=s.moment),
    ]
    base = alt.Chart().encode(x=s.x_time())
    area = base.mark_area(color=ACCENT, opacity=0.85, interpolate="step-after").encode(y=y)
    hover = base.mark_rect(color="transparent", aria=False).encode(
        x2="until:T", y=alt.value(0), y2=alt.value("height"), tooltip=tip
    )
    most = alt.Chart().mark_rule(color=INK, strokeDash=[4, 3]).encode(y="max(phones):Q")
    chart = alt.layer(area, hover, most, data=table(data)).properties(width=WIDTH - 60, height=64)
    chart = chart.facet(row=alt.Row("name:N", header=alt.Header(**HEADER)), spacing=12).resolve_scale(y="independent")
    left = sizes.height - shown.height
    note = (
        tr.count("{n} site with fewer losses is not shown", "{n} sites with fewer losses are not shown", left)
        if left
        else ""
    )
    help_line = tr("height: phones unreachable at the same time; dashed: all phones of the site")
    return dressed(chart, s.headline(), help_line, note)


def _steps(s: Scene, site: str, phones: int, most: int) -> pl.DataFrame:
    """How many phones of one site were unreachable from when until when."""
    mine = s.intervals.join(
        s.phones.filter(pl.col("site") == site).select("peer"), on="peer", how="semi", maintain_order="left"
    )
    span = (s.until - s.begin).total_seconds()
    at = [(pl.col(c) - pl.lit(s.begin)).dt.total_milliseconds().clip(0, span * 1000) / 1000 for c in ("begin", "until")]
    moves = pl.concat(
        [
            mine.select(t=at[0], d=pl.lit(1)),
            mine.select(t=at[1], d=pl.lit(-1)),
            pl.DataFrame({"t": [0.0, span], "d": [0, 0]}, schema={"t": pl.Float64, "d": pl.Int32}),
        ]
    )
    steps = moves.group_by("t").agg(pl.col("d").sum()).sort("t").select("t", n=pl.col("d").cum_sum())
    steps = steps.with_columns(u=pl.col("t").shift(-1)).filter(pl.col("u") > pl.col("t"))
    if steps.height > most:  # the highest of each equal part of the time
        part = span / most
        steps = (
            steps.group_by((pl.col("t") / part).floor().alias("k"))
            .agg(pl.col("n").max())
            .sort("k")
            .select(t=pl.col("k") * part, n="n", u=(pl.col("k") + 1) * part)
        )
    name = s.tr.count("{site}, {n} phone", "{site}, {n} phones", phones, site=site)
    moment = [
        (pl.lit(s.begin) + pl.duration(milliseconds=(pl.col(c) * 1000).cast(pl.Int64))).alias(n)
        for c, n in (("t", "begin"), ("u", "until"))
    ]
    return steps.select(
        pl.lit(name).alias("name"),
        pl.lit(site).alias("site"),
        *moment,
        pl.col("n").cast(pl.Int64),
        pl.lit(phones).alias("phones"),
    )


@picture
def heatmap(s: Scene) -> Picture:
    """Draw how many losses an hour of the week had, per hour that the log covers; hours without log stay empty."""
    tr = s.tr
    days = [tr("Mon"), tr("Tue"), tr("Wed"), tr("Thu"), tr("Fri"), tr("Sat"), tr("Sun")]
    lost = (
        s.intervals.filter(pl.col("begin") >= s.begin)
        .group_by(day=pl.col("begin").dt.weekday(), hour=pl.col("begin").dt.hour())
        .agg(n=pl.len())
    )
    data = (
        _covered(s)
        .join(lost, on=["day", "hour"], how="left")
        .with_columns(pl.col("n").fill_null(0))
        .with_columns(rate=pl.col("n") / pl.col("hours"))
        .sort("day", "hour")
        .with_columns(weekday=pl.col("day").map_elements(lambda d: days[d - 1], return_dtype=pl.String))
        .select("weekday", pl.col("hour").cast(pl.Int64), "n", "hours", "rate")
    )
    seen = [d for d in days if d in set(data["weekday"])]
    x = alt.X(
        "hour:O",
        scale=alt.Scale(domain=list(range(24))),
        axis=alt.Axis(title=tr("hour of the day ({zone})", zone=tr.time_zone), labelAngle=0),
    )
    y = alt.Y("weekday:N", scale=alt.Scale(domain=seen), axis=alt.Axis(title=None))
    legend = alt.Legend(title=tr("losses per hour"), orient="top", gradientLength=160, tickCount=4, format=".3~r")
    top = float(data["rate"].max() or 1)  # type: ignore[arg-type]
    cells = (
        alt.Chart(table(data))
        .mark_rect(stroke=INK, strokeOpacity=0.35)
        .encode(
            x=x,
            y=y,
            color=alt.Color("rate:Q", scale=alt.Scale(scheme="cividis", reverse=True, domain=[0, top]), legend=legend),
            tooltip=[
                alt.Tooltip("weekday:N", title=tr("day")),
                alt.Tooltip("hour:O", title=tr("hour")),
                alt.Tooltip("n:Q", title=tr("losses")),
                alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f"),
            ],
        )
    )
    text = (
        alt.Chart(table(data.filter(pl.col("n") > 0)))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("rate:Q", format=".3~r"),
            color=alt.condition(f"datum.rate > {top / 2}", alt.value("white"), alt.value("black")),
        )
    )
    help_line = tr("number: losses per hour of log in that hour of the week; empty: the log does not cover it")
    return dressed(alt.layer(cells, text).properties(width=WIDTH - 60, height=alt.Step(28)), s.headline(), help_line)


def _covered(s: Scene) -> pl.DataFrame:
    """Hours of log per weekday and hour of the day."""
    first = s.begin.replace(minute=0, second=0, microsecond=0)
    hours = pl.DataFrame({"h": pl.datetime_range(first, s.until, "1h", eager=True)})
    inside = (
        pl.min_horizontal(pl.col("h") + timedelta(hours=1), pl.lit(s.until)) - pl.max_horizontal("h", pl.lit(s.begin))
    ).dt.total_seconds() / 3600
    covered = hours.with_columns(inside=inside).filter(pl.col("inside") > 0.05)
    return covered.group_by(day=pl.col("h").dt.weekday(), hour=pl.col("h").dt.hour()).agg(hours=pl.col("inside").sum())
