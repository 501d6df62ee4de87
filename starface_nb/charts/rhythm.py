"""Pictures of the rhythm: how many phones at once, and at which hours."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, said, table
from starface_nb.charts.theme import ACCENT, INK, WIDTH, Picture, dressed

_MOST_SITES, _MOST_STEPS = 8, 3000


@picture
def simultaneity(s: Scene) -> Picture:
    """Draw how many phones of a site were unreachable at once: all together points at the line, one by one at NAT."""
    tr = s.tr
    sizes = s.phones.group_by("site").agg(phones=pl.len(), losses=pl.col("losses").sum())
    shown = sizes.sort("losses", "site", descending=[True, False]).head(_MOST_SITES).sort("site")
    rows = shown.rows() or [("", 0, 0)]
    data = pl.concat([at_once(s, name, phones, _MOST_STEPS // len(rows)) for name, phones, _ in rows])
    tips = s.tips(name=tr("site"), n=tr("phones unreachable at once"), begin=tr("from"), until=tr("until"))
    base = alt.Chart().encode(x=s.time())
    height = alt.Y("n:Q", axis=alt.Axis(tickCount=3, format="d", tickMinStep=1), scale=alt.Scale(domainMin=0))
    area = base.mark_area(color=ACCENT, opacity=0.85, interpolate="step-after").encode(y=height)
    whole = {"y": alt.value(0), "y2": alt.value("height")}
    hover = base.mark_rect(color="transparent", aria=False).encode(x2="until:T", tooltip=tips, **whole)
    most = alt.Chart().mark_rule(strokeDash=[4, 3]).encode(y="max(phones):Q")
    chart = alt.layer(area, hover, most, data=table(data)).properties(width=WIDTH - 40, height=56)
    chart = chart.facet(row=alt.Row("name:N"), spacing=12).resolve_scale(y="independent")
    left = sizes.height - shown.height
    note = tr.count("{n} site with fewer losses is not shown", "{n} sites with fewer losses are not shown", left)
    help_line = tr("height: phones unreachable at the same time; dashed: all phones of the site")
    return dressed(chart, s.headline(), help_line, note if left else "")


def at_once(s: Scene, site: str, phones: int, most: int) -> pl.DataFrame:
    """Return how many phones of one site were unreachable from when until when, in at most `most` steps."""
    here = s.phones.filter(pl.col("site") == site).select("peer")
    mine = s.intervals.join(here, on="peer", how="semi", maintain_order="left")
    ends = pl.DataFrame(
        {"t": [s.begin, s.until], "d": [0, 0]}, schema={"t": s.intervals.schema["begin"], "d": pl.Int32}
    )
    moves = [mine.select(t=pl.col(c).clip(s.begin, s.until), d=pl.lit(d)) for c, d in (("begin", 1), ("until", -1))]
    steps = pl.concat([*moves, ends]).group_by("t").agg(pl.col("d").sum()).sort("t")
    steps = steps.select(begin="t", until=pl.col("t").shift(-1), n=pl.col("d").cum_sum().cast(pl.Int64))
    steps = steps.filter(pl.col("until") > pl.col("begin"))
    if steps.height > most:  # the highest of each equal part of the time
        part = (s.until - s.begin) / most
        parts = steps.group_by(pl.col("begin").dt.truncate(part)).agg(pl.col("n").max()).sort("begin")
        steps = parts.select("begin", until=pl.col("begin") + part, n="n")
    name = s.tr.count("{site}, {n} phone", "{site}, {n} phones", phones, site=site)
    return steps.with_columns(name=pl.lit(name), phones=pl.lit(phones))


@picture
def heatmap(s: Scene) -> Picture:
    """Draw how many losses an hour of the week had, per hour that the log covers; hours without log stay empty."""
    tr = s.tr
    days = [tr("Mon"), tr("Tue"), tr("Wed"), tr("Thu"), tr("Fri"), tr("Sat"), tr("Sun")]
    of_week = pl.col("begin").dt.weekday().alias("day"), pl.col("begin").dt.hour().cast(pl.Int64).alias("hour")
    lost = s.intervals.filter(pl.col("begin") >= s.begin).group_by(*of_week).agg(n=pl.len())
    data = _covered(s).group_by(*of_week).agg(pl.col("hours").sum()).join(lost, on=["day", "hour"], how="left")
    data = data.with_columns(pl.col("n").fill_null(0), weekday=said(pl.col("day"), lambda day: days[day - 1]))
    data = data.with_columns(rate=pl.col("n") / pl.col("hours")).sort("day", "hour").drop("day")
    top: Any = data["rate"].max() or 1
    seen = [day for day in days if day in set(data["weekday"])]
    hour = alt.Axis(title=tr("hour of the day ({zone})", zone=tr.time_zone), labelAngle=0)
    colours = alt.Scale(scheme="cividis", reverse=True, domain=[0, top])
    legend = alt.Legend(title=tr("losses per hour"), gradientLength=160, tickCount=4, format=".3~r")
    hours = alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f")
    base = alt.Chart(table(data)).encode(
        x=alt.X("hour:O", scale=alt.Scale(domain=list(range(24))), axis=hour),
        y=alt.Y("weekday:N", scale=alt.Scale(domain=seen)),
        tooltip=[*s.tips(weekday=tr("day"), hour=tr("hour"), n=tr("losses")), hours],
    )
    cells = base.mark_rect(stroke=INK, strokeOpacity=0.35)
    text = base.transform_filter("datum.n > 0").mark_text(fontSize=10, align="center")
    ink = alt.condition(f"datum.rate > {top / 2}", alt.value("white"), alt.value("black"))
    chart = alt.layer(
        cells.encode(color=alt.Color("rate:Q", scale=colours, legend=legend)),
        text.encode(text=alt.Text("rate:Q", format=".2~r"), color=ink),
    )
    help_line = tr("number: losses per hour of log in that hour of the week; empty: the log does not cover it")
    return dressed(chart.properties(height=alt.Step(28)), s.headline(), help_line)


def _covered(s: Scene) -> pl.DataFrame:
    """Every hour that the log covers for more than three minutes: its `begin`, and `hours`, how much of it."""
    begin = pl.datetime_range(pl.lit(s.begin).dt.truncate("1h"), pl.lit(s.until), "1h").alias("begin")
    first, last = (
        pl.max_horizontal("begin", pl.lit(s.begin)),
        pl.min_horizontal(pl.col("begin").dt.offset_by("1h"), pl.lit(s.until)),
    )
    hours = (last - first).dt.total_seconds() / 3600
    return pl.select(begin).with_columns(hours=hours).filter(pl.col("hours") > 0.05)
