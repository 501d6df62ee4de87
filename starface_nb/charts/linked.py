"""Pictures that narrow one another: a brush over the timeline."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts import overview
from starface_nb.charts.intervals import duration_axis, folded, phone_axis
from starface_nb.charts.scene import Scene, picture, table
from starface_nb.charts.theme import TEXT, THICKNESS, WIDTH, Picture, dressed

_MOST = 2000
_LINES = 10
_HALF = (WIDTH - 190) // 2


@picture
def linked(s: Scene) -> Picture:
    """Draw the timeline with a brush: dragging over it narrows the fold, the durations and the table below.

    Above 2,000 intervals or 80 phones it is the timeline's overview, without a brush.
    """
    if s.intervals.height > _MOST or s.phones.height > overview.MOST_ROWS:
        return overview.timeline(s)
    tr = s.tr
    brush = alt.selection_interval(name="brush", encodings=["x"])
    step = 15 if s.phones.height <= 40 else 10
    above = (
        alt.Chart()
        .mark_bar(clip=True, strokeWidth=0.8)
        .encode(
            x=s.x_time(),
            x2="until:T",
            y=phone_axis(s.phones["label"].to_list()),
            size=alt.Size("size:Q", scale=None, legend=None),
            color=s.colour(),
            stroke=alt.Stroke("why:N", scale=s.cause_scale(), legend=None),
            opacity=alt.condition(brush, alt.value(1), alt.value(0.3)),
            tooltip=[alt.Tooltip("label:N", title=tr("phone")), alt.Tooltip("lasted:N", title=tr("unreachable for"))],
        )
        .add_params(brush)
        .properties(width=WIDTH - 150, height=alt.Step(step))
    )
    chosen = alt.Chart().transform_filter(brush)
    pictures = alt.hconcat(_fold(s, chosen), _durations(s, chosen), spacing=40)
    chart = alt.vconcat(above, pictures, _table(s, chosen), data=table(_data(s, step)), spacing=18)
    return dressed(chart, s.headline(), tr("drag over the timeline to choose a time, click beside it to take it back"))


def _data(s: Scene, step: int) -> pl.DataFrame:
    ages = folded(s).select("row", "age")
    size = pl.col("cause").cast(pl.String).replace_strict(THICKNESS, return_dtype=pl.Float64) * (step - 2)
    low = ((pl.col("seconds").clip(1.0).log10() * 6).floor() / 6).alias("low")
    lasted = (pl.col("minutes") * 60).round(0).map_elements(s.tr.duration, return_dtype=pl.String)
    return (
        s.intervals.join(ages, on="row", how="left", maintain_order="left")
        .with_columns(low, size.alias("size"), lasted.alias("lasted"))
        .with_columns(pl.lit(10).pow("low").alias("low"), pl.lit(10).pow(pl.col("low") + 1 / 6).alias("high"))
        .select("label", "begin", "until", "why", "size", "lasted", "age", "low", "high")
    )


def _fold(s: Scene, chosen: alt.Chart) -> Any:
    keepalive = s.case.settings.keepalive_s / 60
    axis = alt.Axis(title=s.tr("minutes since the phone's last renewal"), tickCount=7)
    return (
        chosen.transform_filter("isValid(datum.age)")
        .mark_point(filled=True, size=26, opacity=0.8)
        .encode(
            x=alt.X("age:Q", scale=alt.Scale(domain=[0, keepalive], nice=False), axis=axis),
            y=alt.Y("begin:T", scale=alt.Scale(reverse=True), axis=alt.Axis(title=None, format="%H:%M", tickCount=6)),
            color=s.colour(),
        )
        .properties(width=_HALF, height=170)
    )


def _durations(s: Scene, chosen: alt.Chart) -> Any:
    x, axis = duration_axis(s)
    return (
        chosen.transform_filter("isValid(datum.low)")
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("low:Q", scale=x, axis=axis),
            x2="high:Q",
            y=alt.Y("count():Q", stack="zero", axis=alt.Axis(title=s.tr("intervals"), format="d", tickMinStep=1)),
            color=s.colour(),
        )
        .properties(width=_HALF, height=170)
    )


def _table(s: Scene, chosen: alt.Chart) -> Any:
    """The first intervals of the chosen time as words."""
    counted = chosen.transform_window(
        line="row_number()", all="count()", sort=[alt.SortField("begin"), alt.SortField("label")], frame=[None, None]
    )
    shown = counted.transform_filter(f"datum.line <= {_LINES}").encode(
        y=alt.Y("line:O", axis=None, scale=alt.Scale(domain=list(range(1, _LINES + 1))))
    )
    moment = alt.Text("begin:T", format=s.moment)
    columns = [(0, moment), (150, "label:N"), (350, "lasted:N"), (470, "why:N")]
    texts = [shown.mark_text(**TEXT, align="left", x=x).encode(text=text) for x, text in columns]
    more = s.tr("intervals in the chosen time, the first {n} below:", n=_LINES)
    head = counted.transform_filter("datum.line == 1").transform_calculate(text=f"datum.all + ' ' + {more!r}")
    title = head.mark_text(**TEXT, align="left", x=0, y=-8, fontWeight="bold").encode(text="text:N")
    return alt.layer(*texts, title).properties(width=WIDTH - 150, height=alt.Step(17), view=alt.ViewConfig(stroke=None))
