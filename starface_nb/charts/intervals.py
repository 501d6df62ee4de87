"""Pictures of the unreachable intervals: along time, folded onto the keepalive, by duration."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from starface_nb.charts import overview
from starface_nb.charts.scene import Scene, picture, table
from starface_nb.charts.theme import INK, TEXT, THICKNESS, WIDTH, Picture, dressed

_MOST_POINTS = 3000
_MOST_TICKS = 2000
_LABEL = 150
_DURATIONS = [10, 60, 600, 3600, 21600, 86400, 604800, 2592000]


@picture
def timeline(s: Scene) -> Picture:
    """Draw every phone's unreachable intervals along time, coloured by cause, against its keepalive grid.

    Above 3,000 intervals or 80 phones the picture is an overview: per phone and time bin the share of the bin that the
    phone was unreachable and the cause that made up most of it.
    """
    if s.intervals.height > _MOST_POINTS or s.phones.height > overview.MOST_ROWS:
        return overview.timeline(s)
    rows, order = _rows(s)
    step = 18 if len(order) <= 48 else 13
    y = phone_axis(order, rows["label"].to_list())
    x = s.x_time()
    layers = [_headers(s, rows, x, y), _bars(s, x, y, step)]
    ticks = _keepalives(s)
    if 0 < ticks.height <= _MOST_TICKS:
        layers.append(
            alt.Chart(table(ticks))
            .mark_tick(thickness=1, color=INK, clip=True, height=step - 4)
            .encode(x=x, y=y, tooltip=[alt.Tooltip("begin:T", title=s.tr("renewal due"), format=s.moment)])
        )
    keepalive = s.tr.duration(s.case.settings.keepalive_s)
    grid = s.tr("grey ticks: renewal due, every {keepalive} from the phone's last renewal", keepalive=keepalive)
    more = s.tr("(zoom in for the renewals due)") if ticks.height > _MOST_TICKS else grid if ticks.height else ""
    help_line = s.tr("bar: from the UNREACHABLE line until the phone answered again; {more}", more=more).rstrip("; ")
    chart = alt.layer(*layers).properties(width=WIDTH - _LABEL, height=alt.Step(step))
    return dressed(chart, s.headline(), help_line)


def phone_axis(order: list[str], heads: list[str] | None = None) -> alt.Y:
    """Return the y channel with one row per phone; the rows in `heads` are set in bold."""
    bold = {"condition": {"test": f"indexof({json.dumps(heads or [])}, datum.value) >= 0", "value": "bold"}}
    weight = {**bold, "value": "normal"}
    axis = alt.Axis(title=None, labelLimit=_LABEL, grid=False, ticks=False, labelFontWeight=weight)
    return alt.Y("label:N", scale=alt.Scale(domain=order, paddingInner=0, paddingOuter=0), axis=axis)


def _rows(s: Scene) -> tuple[pl.DataFrame, list[str]]:
    """One row per phone, and above each site's phones a row with its name and verdict."""
    order: list[str] = []
    heads: list[dict[str, str]] = []
    sites = {r["site"]: r for r in s.case.sites.iter_rows(named=True)}
    for (site,), phones in s.phones.group_by("site", maintain_order=True):
        head = s.tr("site {site}", site=site)
        heads.append({"label": head, "text": overview.verdict(s.tr, sites.get(str(site)))})
        order += [head, *phones["label"]]
    return pl.DataFrame(heads, schema={"label": pl.String, "text": pl.String}), order


def _headers(s: Scene, rows: pl.DataFrame, x: alt.X, y: alt.Y) -> Any:
    data = table(rows.with_columns(begin=pl.lit(s.begin)))
    return alt.Chart(data).mark_text(**TEXT, align="left", dx=4).encode(x=x, y=y, text="text:N")


def _bars(s: Scene, x: alt.X, y: alt.Y, step: int) -> Any:
    tr = s.tr
    size = pl.col("cause").cast(pl.String).replace_strict(THICKNESS, return_dtype=pl.Float64) * (step - 2)
    data = s.intervals.select(
        "label",
        "begin",
        "until",
        "why",
        size.alias("size"),
        lasted=_durations(s),
        sure=pl.col("confidence").map_elements(tr.percent, return_dtype=pl.String),
    )
    return (
        alt.Chart(table(data))
        .mark_bar(clip=True, strokeWidth=0.8)
        .encode(
            x=x,
            x2="until:T",
            y=y,
            size=alt.Size("size:Q", scale=None, legend=None),
            color=s.colour(),
            stroke=alt.Stroke("why:N", scale=s.cause_scale(), legend=None),
            tooltip=interval_tooltip(s),
        )
    )


def interval_tooltip(s: Scene) -> list[alt.Tooltip]:
    """Return the tooltip of one interval."""
    tr = s.tr
    return [
        alt.Tooltip("label:N", title=tr("phone")),
        alt.Tooltip("why:N", title=tr("cause")),
        alt.Tooltip("lasted:N", title=tr("unreachable for")),
        alt.Tooltip("begin:T", title=tr("from"), format=s.moment),
        alt.Tooltip("until:T", title=tr("until"), format=s.moment),
        alt.Tooltip("sure:N", title=tr("how sure")),
    ]


def _durations(s: Scene) -> pl.Expr:
    """Formatted duration; an open interval says that it is still open."""
    text = (pl.col("minutes") * 60).round(0).map_elements(s.tr.duration, return_dtype=pl.String)
    still = pl.lit(s.tr("still unreachable at the log's end"))
    return pl.when(pl.col("end").is_null()).then(pl.concat_str(text, pl.lit(", "), still)).otherwise(text)


def _keepalives(s: Scene) -> pl.DataFrame:
    """When each phone's renewal was due: its last renewal plus multiples of the keepalive, until the next renewal."""
    keepalive = s.case.settings.keepalive_s
    begin, until = s.window
    renewals = (
        s.case.cycles.filter(pl.col("peer").is_in(s.phones["peer"].implode()), pl.col("start") <= until)
        .select("peer", "start")
        .unique()
        .sort("peer", "start")
        .with_columns(following=pl.col("start").shift(-1).over("peer").fill_null(until))
        .filter(pl.col("following") > begin)
        .with_columns(n=((pl.col("following") - pl.col("start")).dt.total_milliseconds() / 1000 / keepalive).floor())
    )
    if renewals["n"].sum() + renewals.height > 20 * _MOST_TICKS:
        return pl.DataFrame({"label": ["", ""] * _MOST_TICKS, "begin": [s.begin, s.begin] * _MOST_TICKS})
    due = renewals.with_columns(k=pl.int_ranges(0, pl.col("n").cast(pl.Int64) + 1)).explode("k", empty_as_null=True)
    due = due.with_columns(time=pl.col("start") + pl.duration(milliseconds=pl.col("k") * round(keepalive * 1000)))
    return s.seen(due).select("label", begin="at").unique().sort("label", "begin")


@picture
def fold(s: Scene) -> Picture:
    """Draw every loss by how long after the phone's last renewal it came: a NAT timeout is an upright line."""
    keepalive = s.case.settings.keepalive_s / 60
    data = folded(s)
    unknown = s.intervals.height - data.height
    tr = s.tr
    scale = alt.Scale(domain=[0, max(keepalive, 0.1)], nice=False, clamp=True)
    x = alt.X("age:Q", scale=scale, axis=alt.Axis(title=tr("minutes since the phone's last renewal"), tickCount=13))
    y = s.y_time("begin")
    if data.height > _MOST_POINTS:
        marks = overview.folded(s, data, keepalive, x, y)
    else:
        since = (pl.col("since") * 60).round(0).map_elements(tr.duration, return_dtype=pl.String)
        told = data.with_columns(lasted=_durations(s), since=since).drop("row", "start", "end", "minutes")
        base = alt.Chart(table(told)).encode(
            x=x,
            y=y,
            color=s.colour(),
            tooltip=[*interval_tooltip(s)[:5], alt.Tooltip("since:N", title=tr("since the last renewal"))],
        )
        marks = [
            base.mark_rule(strokeWidth=1.5, opacity=0.25).encode(x2="back:Q"),
            base.mark_point(filled=True, size=36, opacity=0.9).encode(shape=s.shape()),
        ]
    note = tr.count(
        "{n} loss before the first known renewal is not shown",
        "{n} losses before the first known renewal are not shown",
        unknown,
    )
    chart = alt.layer(*overview.bands(s, scale), *marks).properties(width=WIDTH - 60, height=320)
    help_line = tr(
        "point: the loss; thin line: until the phone answered again; grey band: the NAT timeout as estimated"
    )
    return dressed(chart, s.headline(), help_line, note if unknown else "")


def folded(s: Scene) -> pl.DataFrame:
    """The intervals with `age` and `back`: minutes since the last renewal at the loss and at the return."""
    keepalive = s.case.settings.keepalive_s / 60
    renewals = s.case.cycles.select("peer", renewed="start").sort("renewed")
    joined = s.intervals.join_asof(
        renewals,
        left_on="start",
        right_on="renewed",
        by="peer",
        strategy="backward",
        check_sortedness=False,
        coalesce=False,
    ).filter(pl.col("renewed").is_not_null())
    since = (pl.col("start") - pl.col("renewed")).dt.total_milliseconds() / 60_000
    return (
        joined.with_columns(since=since, age=since % keepalive)
        .with_columns(back=pl.min_horizontal(pl.col("age") + pl.col("minutes"), keepalive))
        .select("row", "label", "begin", "until", "age", "back", "since", "minutes", "why", "start", "end")
        .sort("start", "label")
    )


@picture
def durations(s: Scene) -> Picture:
    """Draw how long the intervals lasted, on a logarithmic scale, with marks at the times that mean something."""
    tr, settings = s.tr, s.case.settings
    counts = _histogram(s)
    highest = max(1.0, float(counts["to"].max() or 0))  # type: ignore[arg-type]
    scale, axis = duration_axis(s)
    bars = (
        alt.Chart(table(counts))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("low:Q", scale=scale, axis=axis),
            x2="high:Q",
            y=alt.Y(
                "from:Q",
                scale=alt.Scale(domain=[0, 1.2 * highest]),
                axis=alt.Axis(title=tr("intervals"), format="d", tickMinStep=1),
            ),
            y2="to:Q",
            color=s.colour(),
            tooltip=[
                alt.Tooltip("why:N", title=tr("cause")),
                alt.Tooltip("n:Q", title=tr("intervals")),
                alt.Tooltip("range:N", title=tr("unreachable for")),
            ],
        )
    )
    marks = pl.DataFrame(
        {
            "low": [settings.probe_retry_s, settings.probe_interval_s + settings.probe_timeout_s, settings.keepalive_s],
            "text": [
                tr("one lost packet"),
                tr("one probe interval"),
                tr("keepalive"),
            ],
            "line": [4, 18, 32],
        }
    ).with_columns(
        text=pl.col("text")
        + pl.lit(" (")
        + pl.col("low").map_elements(tr.duration, return_dtype=pl.String)
        + pl.lit(")")
    )
    base = alt.Chart(table(marks)).encode(x=alt.X("low:Q", scale=scale))
    rules = base.mark_rule(color=INK, strokeDash=[4, 3])
    text = base.mark_text(**TEXT, align="left", baseline="top", dx=4).encode(
        text="text:N", y=alt.Y("line:Q", scale=None, axis=None)
    )
    open_ones = s.intervals["end"].null_count()
    note = tr.count(
        "{n} interval still open at the log's end is not counted",
        "{n} intervals still open at the log's end are not counted",
        open_ones,
    )
    return dressed(
        alt.layer(bars, rules, text).properties(width=WIDTH - 60, height=240), s.headline(), note if open_ones else ""
    )


def duration_axis(s: Scene) -> tuple[alt.Scale, alt.Axis]:
    """Return a logarithmic scale for durations in seconds, and an axis that names them."""
    longest = float(s.intervals["seconds"].max() or 0)  # type: ignore[arg-type]
    scale = alt.Scale(type="log", domain=[4, max(10_000.0, longest * 1.5)], nice=False)
    names = ",".join(f"'{seconds}':'{s.tr.duration(seconds)}'" for seconds in _DURATIONS)
    title = s.tr("how long a phone was unreachable")
    return scale, alt.Axis(title=title, values=_DURATIONS, labelExpr=f"({{{names}}})[datum.value]", grid=False)


def _histogram(s: Scene) -> pl.DataFrame:
    """Counts per cause and duration bin, stacked; six bins per decade."""
    closed = s.intervals.filter(pl.col("seconds").is_not_null())
    edge = (pl.col("seconds").clip(1.0).log10() * 6).floor()
    order = {c: i for i, c in enumerate(s.causes)}
    counts = (
        closed.group_by(edge.alias("bin"), "cause", "why")
        .agg(n=pl.len().cast(pl.Int64))
        .with_columns(_order=pl.col("cause").cast(pl.String).replace_strict(order, default=0, return_dtype=pl.Int64))
        .sort("bin", "_order")
        .with_columns(to=pl.col("n").cum_sum().over("bin"))
    )
    low, high = (
        (10 ** (counts["bin"].to_numpy() / 6), 10 ** ((counts["bin"].to_numpy() + 1) / 6))
        if counts.height
        else (np.zeros(0), np.zeros(0))
    )
    text = [
        s.tr("{low} to {high}", low=s.tr.duration(a), high=s.tr.duration(b)) for a, b in zip(low, high, strict=True)
    ]
    return counts.select(
        "why",
        "n",
        pl.Series("low", low, dtype=pl.Float64),
        pl.Series("high", high, dtype=pl.Float64),
        (pl.col("to") - pl.col("n")).alias("from"),
        "to",
        pl.Series("range", text, dtype=pl.String),
    )
