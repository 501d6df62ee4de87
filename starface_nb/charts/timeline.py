"""The timeline: every phone's unreachable intervals, or where they are too many, an overview of them."""

import json
from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.estimates import verdict
from starface_nb.charts.scene import Scene, cause_names, narrowed, picture, said, table
from starface_nb.charts.theme import INK, LOSSES, READABLE, THICKNESS, Picture, dressed
from starface_nb.guide.words import site_name

MOST_ROWS, MOST_INTERVALS = 80, 3000
_MOST_TICKS = 2000
_TITLE = "When each phone was unreachable"
_MOST_CELLS, _MOST_PHONES, _MOST_STEPS, _STRENGTHS = 6000, 450, 250, 3
_STEPS_MIN = (5, 15, 30, 60, 180, 360, 720, 1440, 2880, 5760, 17280)


def draw_timeline(s: Scene) -> Picture:
    """Draw every phone's unreachable intervals along time, coloured by cause, against its keepalive grid.

    Above 3,000 intervals or 80 phones the picture is an overview: per phone and time bin the share of the bin that the
    phone was unreachable and the cause that made up most of it.
    """
    if s.intervals.height > MOST_INTERVALS or s.phones.height > MOST_ROWS:
        return overview(s)
    heads, order = _rows(s)
    step = 18 if len(order) <= 48 else 13
    bold = {"test": f"indexof({json.dumps(heads['label'].to_list())}, datum.value) >= 0", "value": "bold"}
    axis = alt.Axis(grid=False, ticks=False, labelFontWeight={"condition": bold, "value": "normal"})
    x, y = s.time(), alt.Y("label:N", scale=alt.Scale(domain=order, paddingInner=0, paddingOuter=0), axis=axis)
    names = alt.Chart(table(heads)).mark_text(dx=4).encode(x=alt.value(0), y=y, text="text:N")
    layers = [names, _bars(s, step, x, y)]
    ticks, more = _renewals_due(s), ""
    if ticks is None:
        more = s.tr("(zoom in for the renewals due)")
    elif ticks.height:
        due = alt.Chart(table(ticks)).mark_tick(thickness=1, color=READABLE, clip=True, height=step - 4)
        keepalive = s.tr.duration(s.case.settings.keepalive_s)
        more = s.tr("renewal due, every {keepalive} from the phone's last one", keepalive=keepalive)
        named = s.tr("renewal due")
        legend = alt.Legend(symbolType="M-.08,-.8L.08,-.8L.08,.8L-.08,.8Z", symbolFillColor=READABLE)
        entry = alt.Opacity("due:O", scale=alt.Scale(type="ordinal", domain=[named], range=[0.6]), legend=legend)
        tips = s.tips(begin=s.tr("renewal due"))
        layers.append(due.transform_calculate(due=json.dumps(named)).encode(x=x, y=y, opacity=entry, tooltip=tips))
    lost, _ = s.thinned(s.seen(s.case.calls_lost.select("peer", "time")).select("label", begin="at"), _MOST_TICKS)
    if lost.height:
        calls = alt.Chart(table(lost)).mark_point(shape="triangle-down", filled=True, color=INK, size=45, clip=True)
        layers.append(calls.encode(x=x, y=y, tooltip=s.tips(label=s.tr("phone"), begin=s.tr("call lost"))))
        more = s.tr.joined(more, s.tr("triangle: a call that did not reach the phone"))
    note = s.tr("bar: from the UNREACHABLE line until the phone answered again; {more}", more=more).rstrip("\u00a0; ")
    return dressed(alt.layer(*layers).properties(height=step * len(order)), s.tr, s.tr(_TITLE), s.headline(), note)


timeline = picture(draw_timeline)


def _bars(s: Scene, step: int, x: alt.X, y: alt.Y) -> Any:
    """Draw intervals as bars in rows of `step` pixels, with an outline so that the shortest stay visible."""
    share = pl.col("cause").cast(pl.String).replace_strict(THICKNESS, return_dtype=pl.Float64)
    told = {"size": share * (step - 2), "lasted": s.lasted(), "sure": said(pl.col("confidence"), s.tr.percent)}
    return (
        alt.Chart(table(s.intervals.select("label", "begin", "until", "why", **told)))
        .properties(name=LOSSES)
        .mark_bar(clip=True, strokeWidth=0.8)
        .encode(
            x=x,
            x2="until:T",
            y=y,
            size=alt.Size("size:Q", scale=None, legend=None),
            color=s.cause(),
            stroke=s.cause(alt.Stroke),
            tooltip=s.about(sure=s.tr("how sure")),
        )
    )


def _rows(s: Scene) -> tuple[pl.DataFrame, list[str]]:
    """Return the sites' names and verdicts, and the order of rows: each site's name, then its phones."""
    heads, order = [], []
    for (site,), phones in s.phones.group_by("site", maintain_order=True):
        head = s.tr("address not known") if site == "unknown" else s.tr("site {site}", site=site)
        heads.append({"label": head, "text": verdict(s, str(site))})
        order += [head, *phones["label"]]
    return pl.DataFrame(heads, schema={"label": pl.String, "text": pl.String}), order


def _renewals_due(s: Scene) -> pl.DataFrame | None:
    """When each phone's renewal was due: every keepalive from a renewal to the next one; None where far too many."""
    begin, until = s.window
    following = pl.col("start").shift(-1).over("peer").fill_null(until)
    renewals = s.case.cycles.filter(s.mine(), pl.col("start") <= until).select("peer", "start").unique()
    renewals = renewals.sort("peer", "start").with_columns(following=following).filter(pl.col("following") > begin)
    fits = (pl.col("following") - pl.col("start")).dt.total_milliseconds() // (s.keepalive * 60_000)
    renewals = renewals.with_columns(n=fits.cast(pl.Int64) + 1)
    if renewals["n"].sum() > 20 * _MOST_TICKS:
        return None
    due = renewals.with_columns(k=pl.int_ranges(0, "n")).explode("k", empty_as_null=True)
    due = due.with_columns(time=pl.col("start") + pl.duration(milliseconds=pl.col("k") * s.keepalive * 60_000))
    due = s.seen(due).select("label", begin="at").unique().sort("label", "begin")
    return due if due.height <= _MOST_TICKS else None


def overview(s: Scene) -> Picture:
    """Draw phones against time bins: colour says the main cause, strength the share of the bin spent unreachable."""
    tr, headline, every = s.tr, s.headline(), s.phones.height
    s = _lost_longest(s)
    order, left = s.phones["label"].to_list(), every - s.phones.height
    minutes, cells = _cells(s)
    step = 18 if len(order) <= 40 else max(2, min(9, 900 // len(order)))
    axis = alt.Axis()
    if step < 9:  # no room for every phone's name: the sites' names
        firsts = s.phones.group_by("site", maintain_order=True).first().select("label", "site").rows()
        names = {label: site_name(site, tr) for label, site in firsts}
        axis = alt.Axis(values=list(names), labelExpr=f"({json.dumps(names)})[datum.value]", ticks=False)
    strengths = [n / _STRENGTHS for n in range(1, _STRENGTHS + 1)]
    legend = alt.Legend(
        title=tr("share of the time"),
        values=strengths,
        labelExpr="'\u2264 ' + format(datum.value, '.0%')",
        symbolFillColor=INK,
        symbolStrokeWidth=0,
    )
    tips = s.tips(label=tr("phone"), why=tr("main cause"), begin=tr("from"), until=tr("until"))
    share = alt.Tooltip("share:Q", title=tr("share of the time unreachable, at most"), format=".0%")
    chart = (
        alt.Chart(table(cells))
        .mark_bar(aria=False, clip=True)
        .encode(
            x=s.time(),
            x2="until:T",
            y=alt.Y("label:N", scale=alt.Scale(domain=order, padding=0.1 if step > 4 else 0), axis=axis),
            color=s.cause(),
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.25, 1]), legend=legend),
            tooltip=[*tips, share],
        )
    )
    note = tr(
        "steps of {bin}: colour is the main cause, strength the share unreachable; choose phones or a window for more",
        bin=tr.duration(minutes * 60),
    )
    left_out = tr.count(
        "{n} phone that was unreachable for less is not shown",
        "{n} phones that were unreachable for less are not shown",
        left,
    )
    note = tr.joined(note, left_out) if left else note
    return dressed(chart.properties(height=step * max(1, len(order))), tr, s.tr(_TITLE), headline, note)


def _lost_longest(s: Scene) -> Scene:
    """Return a scene of as many phones as a picture has rows for: those that were unreachable longest."""
    if s.phones.height <= _MOST_PHONES:
        return s
    lost = s.intervals.group_by("peer").agg(lasted=(pl.col("until") - pl.col("begin")).sum())
    longest = s.phones.join(lost, on="peer", how="left", maintain_order="left")
    longest = longest.sort("lasted", descending=True, nulls_last=True, maintain_order=True).head(_MOST_PHONES)
    return narrowed(s, s.site, longest["peer"], s.window)


def _cells(s: Scene) -> tuple[int, pl.DataFrame]:
    """Return the finest step, minutes, that stays drawable, and runs of equal cells in it."""
    span = (s.until - s.begin).total_seconds() / 60
    finest = next((size for size in _STEPS_MIN if span / size <= _MOST_STEPS), _STEPS_MIN[-1])
    parts = parts_unreachable(s, finest, span)
    for size in (size for size in _STEPS_MIN if size >= finest):
        cells = _runs(s, parts.with_columns(pl.col("bin") // (size // finest)), size)
        if cells.height <= _MOST_CELLS:
            break
    return size, cells


def parts_unreachable(s: Scene, size: int, span: float) -> pl.DataFrame:
    """Minutes that each phone was unreachable in each step of `size` minutes, by cause."""
    low, high = (
        ((pl.col(c) - pl.lit(s.begin)).dt.total_milliseconds() / 60_000).clip(0, span) for c in ("begin", "until")
    )
    first, last = (pl.col(c).floordiv(size).cast(pl.Int32) for c in ("low", "high"))
    at = pl.col("bin") * size
    phone, why = pl.Enum(s.phones["label"]), pl.Enum(cause_names(s.tr).values())  # numbers are sorted faster
    return (
        s.intervals.select(pl.col("label").cast(phone), pl.col("why").cast(why), low=low, high=high)
        .with_columns(bin=pl.int_ranges(first, last + 1))
        .explode("bin", empty_as_null=True)
        .group_by("label", "bin", "why")
        .agg(part=(pl.min_horizontal("high", at + size) - pl.max_horizontal("low", at)).sum())
    )


def _runs(s: Scene, parts: pl.DataFrame, size: int) -> pl.DataFrame:
    """Steps of `size` minutes with their main cause and one of three strengths; equal neighbours are one."""
    share = (pl.col("part").sum() / size).clip(0, 1) * _STRENGTHS
    begin, until = (pl.lit(s.begin) + pl.duration(minutes=at * size) for at in (pl.first("bin"), pl.last("bin") + 1))
    return (
        parts.group_by("label", "bin", "why")
        .agg(pl.col("part").sum())
        .sort("label", "bin", "part", "why", descending=[False, False, True, False])
        .group_by("label", "bin", maintain_order=True)
        .agg(pl.col("why").first(), share=share.ceil().clip(1) / _STRENGTHS)  # what was unreachable at all is visible
        .with_columns(run=pl.struct("label", "why", "share", pl.col("bin") - pl.int_range(pl.len())).rle_id())
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("label").first(), begin=begin, until=until, why=pl.col("why").first(), share=pl.col("share").first()
        )
        .drop("run")
    )
