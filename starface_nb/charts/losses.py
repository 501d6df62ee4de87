"""Pictures of the losses: folded onto the keepalive, by duration, and both narrowed by a brush over the timeline."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.estimates import bands
from starface_nb.charts.scene import Scene, picture, said, table
from starface_nb.charts.theme import SHAPES, WIDTH, Picture, dressed
from starface_nb.charts.timeline import MOST_ROWS, bar_columns, bars, overview, phone_axis

_MOST_POINTS, _MOST_LINKED, _LINES = 2000, 2000, 10
_DURATIONS = [10, 60, 600, 3600, 21600, 86400, 604800, 2592000]
_LABELS = 140
_HALF = (WIDTH - _LABELS - 80) // 2


@picture
def fold(s: Scene) -> Picture:
    """Draw every loss by how long after the phone's last renewal it came: a NAT timeout is an upright line."""
    tr = s.tr
    data = measured(s).drop_nulls("age")
    shown, some = s.thinned(data, _MOST_POINTS)
    since = said((pl.col("since") * 60).round(0), tr.duration)
    told = shown.select("label", "begin", "until", "age", "back", "why", since=since, lasted=s.lasted())
    x, tips = _age(s), s.about(since=tr("since the last renewal"))
    base = alt.Chart(table(told)).encode(x=x, y=s.time(alt.Y), color=s.cause(), tooltip=tips)
    marks = [
        base.mark_rule(opacity=min(0.3, 60 / max(1, told.height))).encode(x2="back:Q"),  # many must not hide the points
        base.mark_point(size=36, opacity=0.9).encode(shape=s.cause(alt.Shape, SHAPES)),
    ]
    unknown = s.intervals.height - data.height
    note = tr.count(
        "{n} loss before the first known renewal is not shown",
        "{n} losses before the first known renewal are not shown",
        unknown,
    )
    help_line = tr(
        "point: the loss; thin line: until the phone answered again; grey band: the NAT timeout as estimated"
    )
    chart = alt.layer(*bands(s, x), *marks).properties(height=320)
    return dressed(chart, s.headline(), help_line, note if unknown else "", some)


@picture
def durations(s: Scene) -> Picture:
    """Draw how long the intervals lasted, on a logarithmic scale, with marks at the times that mean something."""
    tr, settings = s.tr, s.case.settings
    marks = {
        tr("one lost packet"): settings.probe_retry_s,
        tr("one probe interval"): settings.probe_interval_s + settings.probe_timeout_s,
        tr("keepalive"): settings.keepalive_s,
    }
    words = [f"{name} ({tr.duration(at)})" for name, at in marks.items()]
    lines = pl.DataFrame({"low": list(marks.values()), "text": words, "line": [4, 18, 32]})
    base = alt.Chart(table(lines)).encode(x=_lasting(s))
    counts = measured(s).drop_nulls("low").group_by("low", "high", "why").agg(n=pl.len()).sort("low", "why")
    highest: Any = counts.group_by("low").agg(pl.col("n").sum())["n"].max() or 1
    still = s.intervals["end"].null_count()
    note = tr.count(
        "{n} interval still open at the log's end is not counted",
        "{n} intervals still open at the log's end are not counted",
        still,
    )
    chart = alt.layer(
        _bars(s, alt.Chart(table(counts.with_columns(range=_range(s)))), "sum(n):Q", 1.2 * highest),
        base.mark_rule(strokeDash=[4, 3]),
        base.mark_text(baseline="top", dx=4).encode(text="text:N", y=alt.Y("line:Q", scale=None, axis=None)),
    )
    return dressed(chart.properties(height=240), s.headline(), note if still else "")


@picture
def linked(s: Scene) -> Picture:
    """Draw the timeline with a brush: dragging over it narrows the fold, the durations and the table below.

    Above 2,000 intervals or 80 phones it is the timeline's overview, without a brush.
    """
    if s.intervals.height > _MOST_LINKED or s.phones.height > MOST_ROWS:
        return overview(s)
    step = 15 if s.phones.height <= 40 else 10
    data = measured(s).select(
        *("label", "begin", "until", "why", "age", "low", "high"), *bar_columns(s, step), range=_range(s)
    )
    brush = alt.selection_interval(name="brush", encodings=["x"])
    above = bars(s, alt.Chart(), s.time(), phone_axis(s.phones["label"].to_list()))
    above = above.encode(opacity=alt.condition(brush, alt.value(1), alt.value(0.3))).add_params(brush)
    chosen = alt.Chart().transform_filter(brush)
    points = chosen.transform_filter("isValid(datum.age)").mark_point(size=26, opacity=0.8)
    aged = points.encode(x=_age(s, ticks=6), y=s.time(alt.Y).title(None), color=s.cause(), tooltip=s.about())
    lasting = _bars(s, chosen.transform_filter("isValid(datum.low)"), "count():Q")
    lasting = lasting.encode(x=_lasting(s).title(s.tr("unreachable for")))
    below = [one.properties(width=_HALF, height=170) for one in (aged, lasting)]
    chart = alt.vconcat(
        above.properties(width=WIDTH - _LABELS, height=alt.Step(step)),
        alt.hconcat(*below, spacing=24),
        _words(s, chosen),
        data=table(data),
        spacing=18,
    )
    return dressed(
        chart, s.headline(), s.tr("drag over the timeline to choose a time, click beside it to take it back")
    )


def measured(s: Scene) -> pl.DataFrame:
    """Return the scene's intervals with minutes since the phone's last renewal and the duration's bin.

    `since` is null where no renewal is known; `age` and `back` are loss and return within one keepalive. The bins, six
    per decade, reach from `low` to `high`, seconds, and are null while an interval is open.
    """
    renewals = s.case.cycles.select("peer", renewed="start").sort("renewed")
    since = (pl.col("start") - pl.col("renewed")).dt.total_milliseconds() / 60_000
    edge = (pl.col("seconds").clip(1.0).log10() * 6).floor() / 6
    return (
        s.intervals.join_asof(
            renewals, left_on="start", right_on="renewed", by="peer", check_sortedness=False, coalesce=False
        )
        .with_columns(since=since, age=since % s.keepalive, edge=edge)
        .with_columns(
            back=pl.min_horizontal(pl.col("age") + pl.col("minutes"), s.keepalive),
            low=pl.lit(10.0) ** pl.col("edge"),
            high=pl.lit(10.0) ** (pl.col("edge") + 1 / 6),
        )
        .sort("start", "label")
    )


def _age(s: Scene, ticks: int = 12) -> alt.X:
    """Return the x channel over one keepalive."""
    scale = alt.Scale(domain=[0, max(s.keepalive, 0.1)], nice=False, clamp=True)
    return alt.X(
        "age:Q", scale=scale, axis=alt.Axis(title=s.tr("minutes since the phone's last renewal"), tickCount=ticks)
    )


def _lasting(s: Scene) -> alt.X:
    """Return the x channel over durations in seconds."""
    longest: Any = s.intervals["seconds"].max() or 0
    scale = alt.Scale(type="log", domain=[4, max(330 * s.keepalive, longest * 1.5)], nice=False)
    names = ",".join(f"'{seconds}':'{s.tr.duration(seconds)}'" for seconds in _DURATIONS)
    shown = alt.Axis(values=_DURATIONS, labelExpr=f"({{{names}}})[datum.value]", grid=False)
    return alt.X("low:Q", scale=scale, axis=shown, title=s.tr("how long a phone was unreachable"))


def _range(s: Scene) -> pl.Expr:
    """Return a bin of durations in words."""
    return pl.format(
        s.tr("{low} to {high}", low="{}", high="{}"), *(said(pl.col(c), s.tr.duration) for c in ("low", "high"))
    )


def _bars(s: Scene, chart: alt.Chart, height: str, highest: float | None = None) -> Any:
    """Draw durations as stacked bars."""
    scale = alt.Undefined if highest is None else alt.Scale(domain=[0, highest])
    count = alt.Tooltip(height, title=s.tr("intervals"))
    return chart.mark_bar(binSpacing=1).encode(
        x=_lasting(s),
        x2="high:Q",
        y=alt.Y(height, scale=scale, stack="zero", axis=alt.Axis(title=s.tr("intervals"), format="d", tickMinStep=1)),
        color=s.cause(),
        tooltip=[*s.tips(why=s.tr("cause"), range=s.tr("unreachable for")), count],
    )


def _words(s: Scene, chosen: alt.Chart) -> Any:
    """Write the first intervals of the chosen time as a table."""
    counted = chosen.transform_window(
        line="row_number()", all="count()", sort=[alt.SortField("begin"), alt.SortField("label")], frame=[None, None]
    )
    line = alt.Y("line:O", axis=None, scale=alt.Scale(domain=list(range(1, _LINES + 1))))
    shown = counted.transform_filter(f"datum.line <= {_LINES}").encode(y=line)
    moment = alt.Text("begin:T", format=s.moment)
    columns = [(0, 105, moment), (110, 100, "label:N"), (215, 75, "lasted:N"), (295, 140, "why:N")]
    more = s.tr("intervals in the chosen time, the first {n} below:", n=_LINES)
    head = counted.transform_filter("datum.line == 1").transform_calculate(text=f"datum.all + ' ' + {more!r}")
    return alt.layer(
        *(shown.mark_text(x=x, limit=wide).encode(text=text) for x, wide, text in columns),
        head.mark_text(x=0, y=-8, fontWeight="bold").encode(text="text:N"),
    ).properties(width=WIDTH - _LABELS, height=alt.Step(17), view=alt.ViewConfig(stroke=None))
