"""What several pictures share: too much for single marks, the estimate as bands, the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, table
from starface_nb.charts.theme import INK, SMALL, WIDTH, Picture, dressed
from starface_nb.guide.i18n import Translator
from starface_nb.text import visible

MOST_ROWS = 80
_MOST_CELLS, _MOST_STEPS, _STRENGTHS = 6000, 250, 3
_EDGES = ("begin", "until")
_LABEL_MIN = 7.0
_BINS_MIN = (5, 15, 30, 60, 180, 360, 720, 1440, 2880, 5760, 17280)


def verdict(tr: Translator, site: Mapping[str, Any] | None) -> str:
    """Say in a few words what is known of a site's NAT timeout."""
    if site is None or site["site"] == "unknown":
        return ""
    if site["verdict"] == "undetermined":
        return tr("NAT timeout: cannot tell")
    if site["verdict"] == "no_expiry_seen":
        return tr("no NAT expiry seen")
    return tr("NAT timeout {bracket}: too short", bracket=bracket(tr, site["low_s"], site["high_s"]))


def bracket(tr: Translator, low: float | None, high: float | None) -> str:
    """Write a bracket in minutes where whole minutes fit, else with its units."""
    if high is None:
        return tr("over {low}", low=tr.duration(low or 0))
    if not low:
        return tr("at most {high}", high=tr.duration(high))
    if min(low, high) >= 120:
        return tr("{low} to {high} min", low=tr.number(low / 60, 1), high=tr.number(high / 60, 1))
    return tr("{low} to {high}", low=tr.duration(low), high=tr.duration(high))


def bands(s: Scene, scale: alt.Scale) -> list[Any]:
    """Return the estimate of each site in the scene as an upright band over minutes, named where there is room."""
    sites = set(s.phones["site"])
    too_short = pl.col("high_s").is_not_null() & (pl.col("verdict") == "too_short")
    known = s.case.sites.filter(pl.col("site").is_in(sites), too_short).sort("high_s", "site")
    if known.is_empty():
        return []
    rows, last = [], -_LABEL_MIN
    for r in known.iter_rows(named=True):
        room = r["high_s"] / 60 - last >= _LABEL_MIN * s.case.settings.keepalive_s / 3600
        last = r["high_s"] / 60 if room else last
        text = visible(r["site"]) if room and len(sites) > 1 else ""
        told = bracket(s.tr, r["low_s"], r["high_s"])
        low = (r["low_s"] or 0) / 60
        rows.append({"low": low, "high": r["high_s"] / 60, "text": text, "site": visible(r["site"]), "bracket": told})
    tip = [alt.Tooltip("site:N", title=s.tr("site")), alt.Tooltip("bracket:N", title=s.tr("NAT timeout"))]
    base = alt.Chart(table(pl.DataFrame(rows))).encode(x=alt.X("low:Q", scale=scale), tooltip=tip)
    return [
        base.mark_rect(color=INK, opacity=0.3, stroke=INK).encode(x2="high:Q"),
        base.mark_text(**SMALL, baseline="bottom").encode(text="text:N", y=alt.value(-3)),
    ]


def timeline(s: Scene) -> Picture:
    """Draw phones against time bins: colour says the main cause, strength the share of the bin spent unreachable."""
    minutes, cells = _cells(s)
    tr = s.tr
    order = s.phones["label"].to_list()
    firsts = s.phones.group_by("site", maintain_order=True).first().select("label", "site")
    names = (
        "({"
        + ",".join(f"{_quoted(label)}:{_quoted(site)}" for label, site in firsts.iter_rows())
        + "})[datum.value] || ''"
    )
    step = 18 if len(order) <= 40 else max(2, min(9, 900 // len(order)))
    axis = (
        alt.Axis(title=None, labelExpr=names, labelOverlap=True, ticks=False, grid=False)
        if step < 9
        else alt.Axis(title=None, labelLimit=150)
    )
    chart = (
        alt.Chart(table(cells))
        .mark_bar(aria=False, clip=True)
        .encode(
            x=s.x_time(),
            x2="until:T",
            y=alt.Y("label:N", scale=alt.Scale(domain=order, padding=0.1 if step > 4 else 0), axis=axis),
            color=s.colour(),
            opacity=alt.Opacity(
                "share:Q",
                scale=alt.Scale(domain=[0, 1], range=[0.25, 1]),
                legend=alt.Legend(
                    title=tr("share of the time"),
                    orient="top",
                    values=[n / _STRENGTHS for n in range(1, _STRENGTHS + 1)],
                    labelExpr="'\u2264 ' + format(datum.value, '.0%')",
                    symbolFillColor=INK,
                    symbolStrokeWidth=0,
                ),
            ),
            tooltip=[
                alt.Tooltip("label:N", title=tr("phone")),
                alt.Tooltip("why:N", title=tr("main cause")),
                alt.Tooltip("share:Q", title=tr("share of the time unreachable, at most"), format=".0%"),
                alt.Tooltip("begin:T", title=tr("from"), format=s.moment),
                alt.Tooltip("until:T", title=tr("until"), format=s.moment),
            ],
        )
        .properties(width=WIDTH - 150, height=alt.Step(step))
    )
    note = tr(
        "steps of {bin}: colour is the main cause, strength the share unreachable; choose phones or a window for more",
        bin=tr.duration(minutes * 60),
    )
    return dressed(chart, s.headline(), note)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cells(s: Scene) -> tuple[int, pl.DataFrame]:
    """Runs of equal cells in the finest step, minutes, that stays drawable."""
    span = (s.until - s.begin).total_seconds() / 60
    finest = next((size for size in _BINS_MIN if span / size <= _MOST_STEPS), _BINS_MIN[-1])
    parts = _parts(s, float(finest), span)
    for size in (size for size in _BINS_MIN if size >= finest):
        cells = _runs(s, parts, finest, size)
        if cells.height <= _MOST_CELLS:
            break
    return size, cells


def _parts(s: Scene, size: float, span: float) -> pl.DataFrame:
    """Minutes that each phone was unreachable in each step, by cause."""
    low, high = (((pl.col(c) - pl.lit(s.begin)).dt.total_milliseconds() / 60_000).clip(0, span) for c in _EDGES)
    at = pl.col("bin") * size
    first, last = (pl.col(c).floordiv(size).cast(pl.Int32) for c in ("low", "high"))
    return (
        s.intervals.select("label", "why", low=low, high=high)
        .with_columns(pl.col("label", "why").cast(pl.Categorical), bin=pl.int_ranges(first, last + 1))
        .explode("bin", empty_as_null=True)
        .group_by("label", "bin", "why")
        .agg((pl.min_horizontal("high", at + size) - pl.max_horizontal("low", at)).sum().alias("part"))
    )


def _runs(s: Scene, parts: pl.DataFrame, finest: int, size: int) -> pl.DataFrame:
    """Steps of `size` minutes with their main cause and one of three strengths; equal neighbours are one."""
    shares = (
        parts.group_by("label", pl.col("bin") // (size // finest), "why")
        .agg(pl.col("part").sum())
        .with_columns(pl.col("label", "why").cast(pl.String))
        .sort("label", "bin", "part", "why", descending=[False, False, True, False])
        .group_by("label", "bin", maintain_order=True)
        .agg(pl.col("why").first(), share=(pl.col("part").sum() / size).clip(0, 1))
        # rounded up: what was unreachable at all stays visible
        .with_columns(share=(pl.col("share") * _STRENGTHS).ceil().clip(1, _STRENGTHS) / _STRENGTHS)
    )
    like_before = [pl.col(name) == pl.col(name).shift() for name in ("label", "why", "share")]
    same = pl.all_horizontal(*like_before, pl.col("bin") == pl.col("bin").shift() + 1)
    begin, until = (
        pl.lit(s.begin) + pl.duration(minutes=edge * size) for edge in (pl.col("bin").first(), pl.col("bin").last() + 1)
    )
    return (
        shares.with_columns(run=(~same.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("label").first(), begin.alias("begin"), until.alias("until"), pl.col("why", "share").first())
        .drop("run")
        .sort("label", "begin")
    )


def folded(s: Scene, data: pl.DataFrame, keepalive: float, x: alt.X, y: alt.Y) -> list[Any]:
    """Count losses per cell of age and time, coloured by the commonest cause."""
    wide = keepalive / 60
    tall = max(1.0, (s.until - s.begin).total_seconds() / 60)
    counted = (
        data.with_columns(
            col=(pl.col("age") / wide).floor(),
            row=((pl.col("begin") - pl.lit(s.begin)).dt.total_minutes() / tall).floor(),
        )
        .group_by("col", "row", "why")
        .agg(n=pl.len())
        .sort("col", "row", "n", "why", descending=[False, False, True, False])
        .group_by("col", "row", maintain_order=True)
        .agg(pl.col("why").first(), pl.col("n").sum())
        .select(
            age=pl.col("col") * wide,
            back=(pl.col("col") + 1) * wide,
            begin=pl.lit(s.begin) + pl.duration(milliseconds=(pl.col("row") * tall * 60_000).cast(pl.Int64)),
            until=pl.lit(s.begin) + pl.duration(milliseconds=((pl.col("row") + 1) * tall * 60_000).cast(pl.Int64)),
            why="why",
            n="n",
        )
        .sort("begin", "age")
    )
    tip = [alt.Tooltip("n:Q", title=s.tr("losses")), alt.Tooltip("why:N", title=s.tr("main cause"))]
    size = alt.Opacity(
        "n:Q", scale=alt.Scale(type="sqrt", range=[0.15, 1]), legend=alt.Legend(title=s.tr("losses"), orient="top")
    )
    return [
        alt.Chart(table(counted))
        .mark_rect(aria=False)
        .encode(x=x, x2="back:Q", y=y, y2="until:T", color=s.colour(), opacity=size, tooltip=tip)
    ]
