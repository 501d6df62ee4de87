"""Pictures of the rhythm: how many phones at once, and at which hours."""

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, said, table
from starface_nb.charts.theme import ACCENT, INK, Picture, dressed
from starface_nb.guide.words import site_name

_MOST_SITES, _MOST_STEPS = 8, 3000
_FULL = 0.7
"""Share of a site's row that all its phones at once fill; above it stands the site's name."""


@picture
def simultaneity(s: Scene) -> Picture:
    """Draw how many phones of a site were unreachable at once: all together points at the line, one by one at NAT."""
    tr = s.tr
    sizes = s.phones.group_by("site").agg(phones=pl.len(), losses=pl.col("losses").sum())
    shown = sizes.sort("losses", "site", descending=[True, False]).head(_MOST_SITES).sort("site")
    rows = shown.rows() or [("", 0, 0)]
    steps = [at_once(s, name, phones, _MOST_STEPS // len(rows)) for name, phones, _ in rows]
    whole = pl.col("phones").clip(1)
    data = pl.concat(one.with_columns(foot=i + 1.0) for i, one in enumerate(steps)).with_columns(
        high=pl.col("foot") - _FULL * pl.col("n") / whole, full=pl.col("foot") - _FULL
    )
    most = tr("at most {n} at once", n="{}")
    heads = data.group_by("foot", "name", "full", maintain_order=True).agg(pl.col("n").max())
    heads = heads.with_columns(text=pl.format("{}, " + most, "name", "n"))
    tips = s.tips(name=tr("site"), n=tr("phones unreachable at once"), begin=tr("from"), until=tr("until"))
    y = alt.Y("foot:Q", axis=None, scale=alt.Scale(domain=[len(rows), 0], nice=False))
    base, head = alt.Chart(table(data)).encode(x=s.time(), detail="name:N"), alt.Chart(table(heads))
    chart = alt.layer(
        base.mark_area(color=ACCENT, opacity=1, interpolate="step-after", clip=True).encode(y=y, y2="high:Q"),
        base.mark_rect(color="transparent", aria=False).encode(x2="until:T", y=y, y2="full:Q", tooltip=tips),
        head.mark_rule(strokeDash=[4, 3]).encode(y="full:Q"),
        head.mark_text(baseline="bottom", dy=-3, fontWeight="bold").encode(x=alt.value(4), y="full:Q", text="text:N"),
    )
    left = sizes.height - shown.height
    note = tr.count("{n} site with fewer losses is not shown", "{n} sites with fewer losses are not shown", left)
    help_line = tr("height: phones unreachable at the same time; dashed: all phones of the site")
    title = tr("How many phones were unreachable at once")
    return dressed(chart.properties(height=76 * len(rows)), tr, title, s.headline(), help_line, note if left else "")


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
    name = s.tr.count("{site}, {n} phone", "{site}, {n} phones", phones, site=site_name(site, s.tr))
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
    hours = alt.Tooltip("hours:Q", title=tr("hours of log"), format=".1f")
    base = alt.Chart(table(data)).encode(
        x=alt.X("hour:O", scale=alt.Scale(domain=list(range(24))), axis=hour),
        y=alt.Y("weekday:N", scale=alt.Scale(domain=seen)),
        tooltip=[*s.tips(weekday=tr("day"), hour=tr("hour"), n=tr("losses")), hours],
    )
    strength = alt.Opacity("rate:Q", scale=alt.Scale(domain=[0, top], range=[0, 1]), legend=None)
    faint, strong = (base.transform_filter(f"datum.rate {side} {0.85 * top}") for side in ("<=", ">"))
    rate = alt.Text("rate:Q", format=".2~r")
    look: dict[str, Any] = {"fontSize": 10, "align": "center"}
    chart = alt.layer(
        base.mark_rect(color=ACCENT, stroke=INK, strokeOpacity=0.35).encode(fillOpacity=strength),
        faint.mark_text(**look).encode(text=rate),
        strong.mark_text(**look, color="white").encode(text=rate),
    )
    help_line = tr("number: losses per hour of log in that hour of the week; empty: the log does not cover it")
    return dressed(
        chart.properties(height=28 * max(1, len(seen))),
        tr,
        tr("At which hours phones were lost"),
        s.headline(),
        help_line,
    )


def _covered(s: Scene) -> pl.DataFrame:
    """Every hour that the log covers for more than three minutes: its `begin`, and `hours`, how much of it."""
    begin = pl.datetime_range(pl.lit(s.begin).dt.truncate("1h"), pl.lit(s.until), "1h").alias("begin")
    first, last = (
        pl.max_horizontal("begin", pl.lit(s.begin)),
        pl.min_horizontal(pl.col("begin").dt.offset_by("1h"), pl.lit(s.until)),
    )
    hours = (last - first).dt.total_seconds() / 3600
    return pl.select(begin).with_columns(hours=hours).filter(pl.col("hours") > 0.05)
