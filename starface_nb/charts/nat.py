"""The picture of the NAT timeout: every cycle as a bracket, the estimate as a band, known defaults as rules."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts.overview import bracket, verdict
from starface_nb.charts.scene import Scene, Window, plain, scene, table
from starface_nb.charts.theme import ACCENT, COLOURS, HALO, INK, SMALL, TEXT, WIDTH, Picture, dressed
from starface_nb.guide.routers import routers

_MOST_CYCLES = 1500
_NAME_HEIGHT = 12
_MINUTES = [0, 0.5, 1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 90, 120, 180, 240]


def cycles(case: Diagnosis, site: str | None = None, language: str = "en", window: Window | None = None) -> Picture:
    """Draw a site's renewal cycles as brackets on its NAT timeout, with the estimate and known router defaults.

    Parameters
    ----------
    case : Diagnosis
    site : str, optional
        Default: the site with the most cycles that ended with the binding's death.
    language : str
        `en`, `de` or `fr`.
    window : tuple of aware datetime, optional
    """
    if site is None:
        ranked = case.sites.sort("cycles_expired", "cycles_survived", "site", descending=[True, True, False])
        site = ranked["site"][0] if ranked.height else None
    s = scene(case, language, site, None, window)
    tr = s.tr
    data, left_out = _brackets(s)
    top = _longest(s, data)
    x = alt.X(
        "low:Q",
        scale=alt.Scale(type="sqrt", domain=[0, top], nice=False),
        axis=alt.Axis(title=tr("minutes since the renewal"), values=_MINUTES, format="~r"),
    )
    y = s.y_time("at")
    words = [tr("expired: the timeout lies inside"), tr("survived: the timeout is longer")]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=words, range=[COLOURS["nat_expiry"], ACCENT]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3),
    )
    base = alt.Chart(
        table(
            data.with_columns(
                what=pl.col("what").replace_strict(
                    dict(zip(("expired", "survived"), words, strict=True)), return_dtype=pl.String
                )
            )
        )
    )
    tip = [
        alt.Tooltip("peer:N", title=tr("phone")),
        alt.Tooltip("what:N", title=tr("cycle")),
        alt.Tooltip("text:N", title=tr("NAT timeout")),
        alt.Tooltip("at:T", title=tr("ended"), format=s.moment),
    ]
    lines = base.mark_rule(strokeWidth=2, opacity=0.75, clip=True).encode(
        x=x, x2="high:Q", y=y, color=colour, tooltip=tip
    )
    ends = (
        base.transform_filter("datum.open")
        .mark_point(shape="triangle-right", size=28, filled=True, opacity=0.8, clip=True)
        .encode(x=x, y=y, color=colour, tooltip=tip)
    )
    chart = alt.layer(*_bands(s, x), lines, ends, *_defaults(s, top), *_keepalive(s, x)).properties(
        width=WIDTH - 60, height=340
    )
    row = next(iter(case.sites.filter(pl.col("site") == (site or "")).iter_rows(named=True)), None)
    told = verdict(tr, row) or tr("nothing known of the NAT timeout")
    title = f"{site or tr('no site')}: {told}"
    changed = row["changed_at"] if row else None
    when = tr("the timeout changed about {time}", time=tr.time(changed)) if changed else ""
    used = tr.count("{n} cycle as a bracket", "{n} cycles as brackets", data.height)
    dropped = tr.count(
        "{n} says nothing about the timeout and is left out",
        "{n} say nothing about the timeout and are left out",
        left_out,
    )
    return dressed(
        chart,
        title,
        when,
        f"{used}; {dropped}" if left_out else used,
        tr("grey band: the estimate; dashed: defaults of known routers, as a hint only"),
    )


def _brackets(s: Scene) -> tuple[pl.DataFrame, int]:
    """The cycles that bound the timeout, in minutes; at most 1,500, evenly chosen over time."""
    mine = s.case.cycles.filter(pl.col("site") == (s.site or ""), pl.col("end").is_between(*s.window)).sort(
        "end", "peer"
    )
    told = mine.filter(pl.col("outcome") != "excluded")
    left_out = mine.height - told.height
    told, _ = s.thinned(told, _MOST_CYCLES)
    text = [bracket(s.tr, low, high) for low, high in told.select("lower_s", "upper_s").iter_rows()]
    data = told.select(
        plain("peer").alias("peer"),
        s.wall("end").alias("at"),
        low=pl.col("lower_s") / 60,
        high=(pl.col("upper_s") / 60).fill_null(pl.when(pl.col("outcome") == "survived").then(0.0).otherwise(None)),
        open=pl.col("upper_s").is_null(),
        what=pl.col("outcome").cast(pl.String),
        text=pl.Series(text, dtype=pl.String),
    )
    return data, left_out


def _longest(s: Scene, data: pl.DataFrame) -> float:
    seen: Any = pl.concat([data["low"], data["high"]]).max()
    return max(s.case.settings.keepalive_s / 60 * 1.08, float(seen or 0) * 1.05)


def _bands(s: Scene, x: alt.X) -> list[Any]:
    eras = s.case.eras.filter(pl.col("site") == (s.site or ""), pl.col("high_s").is_not_null())
    if eras.is_empty():
        return []
    text = [
        s.tr("estimate: {bracket}", bracket=bracket(s.tr, low, high))
        for low, high in eras.select("low_s", "high_s").iter_rows()
    ]
    data = eras.select(
        pl.max_horizontal(s.wall("start"), pl.lit(s.begin)).alias("at"),
        pl.min_horizontal(s.wall("end"), pl.lit(s.until)).alias("to"),
        low=pl.col("low_s").fill_null(0) / 60,
        high=pl.col("high_s") / 60,
        text=pl.Series(text, dtype=pl.String),
    ).filter(pl.col("to") > pl.col("at"))
    base = alt.Chart(table(data)).encode(
        x=x, x2="high:Q", y="at:T", tooltip=alt.Tooltip("text:N", title=s.tr("NAT timeout"))
    )
    words = (
        alt.Chart(table(data))
        .mark_text(**TEXT, align="left", baseline="top", dx=6, dy=5, fontWeight="bold")
        .encode(x="high:Q", y="at:T", text="text:N")
    )
    return [base.mark_rect(color=INK, opacity=0.35).encode(y2="to:T"), words]


def _keepalive(s: Scene, x: alt.X) -> list[Any]:
    minutes = s.case.settings.keepalive_s / 60
    data = pl.DataFrame({"low": [minutes], "text": [s.tr("keepalive {time}", time=s.tr.duration(minutes * 60))]})
    base = alt.Chart(table(data)).encode(x=x)
    return [
        base.mark_rule(color=INK, strokeWidth=1.5),
        base.mark_text(**TEXT, align="right", baseline="bottom", dx=-4, dy=-5).encode(
            text="text:N", y=alt.value("height")
        ),
    ]


def _defaults(s: Scene, top: float) -> list[Any]:
    """Known defaults inside the picture, one rule per number, named upright."""
    known = routers().filter(
        pl.col("protocol") == "UDP",
        pl.col("direction") != "one",
        pl.col("seconds").is_not_null(),
        ~pl.col("legacy"),
        pl.col("seconds") / 60 < top,
    )
    if known.is_empty():
        return []
    rows, last = [], -1.0
    for seconds, vendors in known.group_by("seconds").agg(pl.col("vendor").unique().sort()).sort("seconds").iter_rows():
        place = (WIDTH - 60) * math.sqrt(seconds / 60 / top)
        room = place - last >= _NAME_HEIGHT  # where names would touch, the rule stays and its tooltip names them
        last = place if room else last
        name = ", ".join(vendors[:2]) + (" \u2026" if len(vendors) > 2 else "") if room else ""
        rows.append({"low": seconds / 60, "lasts": s.tr.duration(seconds), "name": name, "full": "; ".join(vendors)})
    data = pl.DataFrame(rows)
    tip = [alt.Tooltip("full:N", title=s.tr("default of")), alt.Tooltip("lasts:N", title=s.tr("NAT timeout"))]
    base = alt.Chart(table(data)).encode(x="low:Q", tooltip=tip)
    return [
        base.mark_rule(color=INK, strokeDash=[3, 3]),
        *(
            base.mark_text(**SMALL, **edge, angle=270, align="left", baseline="bottom", dx=6, dy=-2, limit=140).encode(
                text="name:N", y=alt.value("height")
            )
            for edge in (HALO, {})
        ),
    ]
