"""Pictures of the losses: folded onto the keepalive, by duration, and the fold beside the timeline."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import altair as alt
import polars as pl
from altair.utils.schemapi import debug_mode

from starface_nb.charts.estimates import bands
from starface_nb.charts.scene import Scene, picture, said, table
from starface_nb.charts.theme import LOSSES, SHAPES, Picture, dressed, inline_svg, specification, with_rows
from starface_nb.charts.timeline import draw_timeline

_MOST_POINTS = 1000
_DURATIONS = [10, 60, 600, 3600, 21600, 86400, 604800, 2592000]
_WIDE, _NARROW = 640, 480


def draw_fold(s: Scene, known: pl.DataFrame | None = None) -> Picture:
    """Draw every loss by how long after the phone's last renewal it came: a NAT timeout is an upright line."""
    tr = s.tr
    data = known if known is not None else measured(s).drop_nulls("age")
    shown, some = s.thinned(data, _MOST_POINTS)
    since = said((pl.col("since") * 60).round(0), tr.duration)
    told = shown.select("label", "begin", "until", "age", "back", "why", since=since, lasted=s.lasted())
    scale = alt.Scale(domain=[0, max(s.keepalive, 0.1)], nice=False, clamp=True)
    since_renewal = alt.Axis(title=tr("minutes since the phone's last renewal"), tickCount=12)
    x, tips = alt.X("age:Q", scale=scale, axis=since_renewal), s.about(since=tr("since the last renewal"))
    base = alt.Chart(table(told)).encode(x=x, y=s.time(alt.Y), color=s.cause(), tooltip=tips)
    marks = [
        base.mark_rule(opacity=min(0.3, 60 / max(1, told.height))).encode(x2="back:Q"),  # many must not hide the points
        base.properties(name=LOSSES).mark_point(size=36, opacity=1).encode(shape=s.cause(alt.Shape, SHAPES)),
    ]
    unknown = s.intervals.height - data.height
    note = tr.count(
        "{n} loss before the first known renewal is not shown",
        "{n} losses before the first known renewal are not shown",
        unknown,
    )
    help_line = tr(
        "point: the loss; thin line: until the phone answered again; grey band: the NAT timeout as estimated "
        "(a loss shows at the next probe only, so points lie to its right); right edge: the keepalive"
    )
    chart = alt.layer(*bands(s, x), *marks).properties(height=320)
    title = tr("How long after its phone's last renewal each loss came")
    return dressed(chart, tr, title, s.headline(), help_line, note if unknown else "", some)


fold = picture(draw_fold)


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
    ends = (said(pl.col(end), tr.duration) for end in ("low", "high"))
    counts = measured(s).drop_nulls("low").group_by("low", "high", "why").agg(n=pl.len()).sort("low", "why")
    counts = counts.with_columns(range=pl.format(tr("{low} to {high}", low="{}", high="{}"), *ends))
    highest: Any = counts.group_by("low").agg(pl.col("n").sum())["n"].max() or 1
    count = alt.Axis(title=tr("intervals"), format="d", tickMinStep=1)
    bars = alt.Chart(table(counts)).mark_bar(binSpacing=1)
    bars = bars.encode(
        x=_lasting(s),
        x2="high:Q",
        y=alt.Y("sum(n):Q", scale=alt.Scale(domain=[0, 1.2 * highest]), stack="zero", axis=count),
        color=s.cause(),
        tooltip=[
            *s.tips(why=tr("cause"), range=tr("unreachable for")),
            alt.Tooltip("sum(n):Q", title=tr("intervals")),
        ],
    )
    still = s.intervals["end"].null_count()
    note = tr.count(
        "{n} interval still open at the log's end is not counted",
        "{n} intervals still open at the log's end are not counted",
        still,
    )
    chart = alt.layer(
        bars,
        base.mark_rule(strokeDash=[4, 3]),
        base.mark_text(baseline="top", dx=4).encode(text="text:N", y=alt.Y("line:Q", scale=None, axis=None)),
    )
    return dressed(
        chart.properties(height=240),
        tr,
        tr("How long the phones were unreachable"),
        s.headline(),
        note if still else "",
    )


def linked(s: Scene) -> tuple[str, str]:
    """Return timeline and fold as SVG whose marks carry their losses' rows, of a scene whose losses are `measured`."""
    known = s.intervals.drop_nulls("age")
    points, _ = s.thinned(known, _MOST_POINTS)
    with ThreadPoolExecutor(1) as drawing, debug_mode(False):  # drawn in one thread while the other chart is built here
        above = drawing.submit(inline_svg, specification(draw_timeline(s)), _WIDE)
        beside = inline_svg(specification(draw_fold(s, known)), _NARROW)
    return with_rows(above.result(), s.intervals["row"].to_list()), with_rows(beside, points["row"].to_list())


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
    )


def _lasting(s: Scene) -> alt.X:
    """Return the x channel over durations in seconds."""
    longest: Any = s.intervals["seconds"].max() or 0
    scale = alt.Scale(type="log", domain=[4, max(330 * s.keepalive, longest * 1.5)], nice=False)
    names = ",".join(f"'{seconds}':'{s.tr.duration(seconds)}'" for seconds in _DURATIONS)
    shown = alt.Axis(values=_DURATIONS, labelExpr=f"({{{names}}})[datum.value]", grid=False)
    return alt.X("low:Q", scale=scale, axis=shown, title=s.tr("how long a phone was unreachable"))
