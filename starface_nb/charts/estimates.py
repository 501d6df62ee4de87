"""Pictures of the NAT timeout: every cycle as a bracket, the estimate as a band, known defaults as rules."""

import math
from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, plain, table
from starface_nb.charts.theme import ACCENT, COLOURS, HALO, INK, WIDTH, Picture, dressed
from starface_nb.guide.i18n import Translator
from starface_nb.guide.routers import registered_phone_defaults
from starface_nb.guide.words import short_bracket
from starface_nb.text import visible

_MOST_CYCLES = 1500
_told = pl.col("verdict") != "undetermined"
_NAME_ROOM, _SITE_ROOM = 12, 0.12
_HIGH, _FOOT = 320, 112
"""Of the picture of cycles: the part that shows them, and the part beneath for the routers' names, pixels."""
_MINUTES = [0.0, 0.5, 1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 90, 120, 180, 240]


def verdict(s: Scene, site: str | None) -> str:
    """Say in a few words what is known of a site's NAT timeout."""
    found = s.case.sites.filter(pl.col("site") == (site or ""), pl.col("site") != "unknown")
    if found.is_empty():
        return ""
    verdict, low, high = found.select("verdict", "low_s", "high_s").row(0)
    if verdict == "undetermined":
        return s.tr("NAT timeout: cannot tell")
    if verdict == "no_expiry_seen":
        return s.tr("no NAT expiry seen")
    return s.tr("NAT timeout {bracket}: too short", bracket=bracket(s.tr, low, high))


def bracket(tr: Translator, low: float | None, high: float | None) -> str:
    """Write a bracket in few words, also where nothing is known."""
    return tr("over {low}", low=tr.duration(low or 0)) if high is None else short_bracket(low, high, tr)


def brackets(s: Scene, frame: pl.DataFrame, low: str = "low_s", high: str = "high_s") -> pl.Series:
    """Return the brackets of a frame in words."""
    return pl.Series("text", [bracket(s.tr, *ends) for ends in frame.select(low, high).iter_rows()], dtype=pl.String)


def bands(s: Scene, x: alt.X) -> list[Any]:
    """Return the estimate of each site in the scene as an upright band over `age`, named where there is room."""
    sites = s.phones["site"].unique()
    too_short = pl.col("high_s").is_not_null() & (pl.col("verdict") == "too_short")
    known = s.case.sites.filter(pl.col("site").is_in(sites.implode()), too_short).sort("high_s", "site")
    names, last = [], -math.inf
    for site, high in known.select("site", "high_s").iter_rows():
        room = len(sites) > 1 and high - last >= _SITE_ROOM * s.case.settings.keepalive_s
        last = high if room else last
        names.append(visible(site) if room else "")
    data = known.select(
        plain("site"),
        age=pl.col("low_s").fill_null(0) / 60,
        high=pl.col("high_s") / 60,
        name=pl.Series(names, dtype=pl.String),
        text=brackets(s, known),
    )
    tips = s.tips(site=s.tr("site"), text=s.tr("NAT timeout"))
    base = alt.Chart(table(data)).encode(x=x, tooltip=tips)
    return [
        base.mark_rect(color=INK, opacity=0.3, stroke=INK).encode(x2="high:Q"),
        base.mark_text(fontSize=10, align="center", baseline="bottom").encode(text="name:N", y=alt.value(-3)),
    ]


@picture
def cycles(s: Scene) -> Picture:
    """Draw a site's renewal cycles as brackets on its NAT timeout, with the estimate and known router defaults.

    Without a site it is the one with the most cycles that ended with the binding's death.
    """
    tr = s.tr
    here = s.case.sites.filter(
        pl.col("site").is_in(s.phones["site"].implode()) if s.site is None else pl.col("site") == s.site
    )
    here = here.sort("cycles_expired", "cycles_survived", "site", descending=[True, True, False])
    site, changed = here.select("site", "changed_at").row(0) if here.height else (s.site, None)
    mine = s.case.cycles.filter(pl.col("site") == (site or ""), pl.col("end").is_between(*s.window), s.mine())
    told = mine.filter(pl.col("outcome") != "excluded").sort("end", "peer")
    shown, some = s.thinned(told, _MOST_CYCLES)
    words = {"expired": tr("expired: the timeout lies inside"), "survived": tr("survived: the timeout is longer")}
    survived = pl.when(pl.col("outcome") == "survived").then(0.0)
    data = shown.select(
        plain("peer"),
        s.wall("end").alias("at"),
        low=pl.col("lower_s") / 60,
        high=(pl.col("upper_s") / 60).fill_null(survived),
        open=pl.col("upper_s").is_null().cast(pl.Int8),
        what=pl.col("outcome").cast(pl.String).replace_strict(words, return_dtype=pl.String),
        text=brackets(s, shown, "lower_s", "upper_s"),
    )
    longest: Any = pl.concat([data["low"], data["high"]]).max() or 0
    top = max(s.keepalive * 1.08, longest * 1.05)
    scale = alt.Scale(type="sqrt", domain=[0, top], nice=False)
    axis = alt.Axis(title=tr("minutes since the renewal"), values=_MINUTES, format="~r", grid=False)
    x = alt.X("low:Q", scale=scale, axis=axis)
    look = alt.Scale(domain=list(words.values()), range=[COLOURS["nat_expiry"], ACCENT])
    base = alt.Chart(table(data)).encode(
        x=x,
        y=s.time(alt.Y, "at", range=[_HIGH, 0]),
        color=alt.Color("what:N", scale=look, legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3)),
        tooltip=s.tips(peer=tr("phone"), what=tr("cycle"), text=tr("NAT timeout"), at=tr("ended")),
    )
    arrow = base.transform_filter("datum.open").mark_point(shape="triangle-right", size=28, opacity=1, clip=True)
    grid = alt.Chart(table(pl.DataFrame({"low": _MINUTES}))).transform_filter(f"datum.low < {top}")
    chart = alt.layer(
        grid.mark_rule(opacity=0.22).encode(x=x, y=alt.value(0), y2=alt.value(_HIGH)),
        *_eras(s, site, x, top),
        base.mark_rule(strokeWidth=2, clip=True).encode(x2="high:Q"),
        arrow,
        *_defaults(s, top),
        *_keepalive(s, x),
    )
    dropped = tr.count(
        "{n} says nothing about the timeout and is left out",
        "{n} say nothing about the timeout and are left out",
        mine.height - told.height,
    )
    used = tr.count("{n} cycle as a bracket", "{n} cycles as brackets", told.height)
    known = verdict(s, site) or tr("nothing known of the NAT timeout")
    return dressed(
        chart.properties(height=_HIGH + _FOOT),
        tr,
        tr("{name}: {text}", name=visible(site) if site else tr("no site"), text=known),
        tr("the timeout changed about {time}", time=tr.time(changed)) if changed else "",
        tr.joined(used, dropped if mine.height > told.height else "", some),
        tr("grey band: the estimate; dashed: defaults of known routers, as a hint only"),
    )


def _eras(s: Scene, site: str | None, x: alt.X, top: float) -> list[Any]:
    """Return the estimates of a site's eras as bands."""
    eras = s.case.eras.filter(pl.col("site") == (site or ""), pl.col("high_s").is_not_null(), _told)
    data = eras.select(
        pl.max_horizontal(s.wall("start"), pl.lit(s.begin)).alias("at"),
        pl.min_horizontal(s.wall("end"), pl.lit(s.until)).alias("until"),
        low=pl.col("low_s").fill_null(0) / 60,
        high=pl.col("high_s") / 60,
        text=s.tr("estimate: {bracket}", bracket="") + brackets(s, eras),
    ).filter(pl.col("until") > pl.col("at"))
    right = pl.col("high") > top / 3  # the words stand where there is room
    data = data.with_columns(edge=pl.when(right).then("low").otherwise("high"), side=right.cast(pl.Int8))
    base = alt.Chart(table(data)).encode(y="at:T")
    side: dict[str, Any] = {
        "align": alt.ExprRef("datum.side ? 'right' : 'left'"),
        "dx": alt.ExprRef("datum.side ? -6 : 6"),
    }
    words = base.encode(x="edge:Q", text="text:N")
    return [
        base.mark_rect(color=INK, opacity=0.35).encode(
            x=x, x2="high:Q", y2="until:T", tooltip=s.tips(text=s.tr("NAT timeout"))
        ),
        *(words.mark_text(baseline="top", dy=5, fontWeight="bold", **side, **edge) for edge in (HALO, {})),
    ]


def _keepalive(s: Scene, x: alt.X) -> list[Any]:
    name = s.tr("keepalive {time}", time=s.tr.duration(s.case.settings.keepalive_s))
    base = alt.Chart(table(pl.DataFrame({"low": [s.keepalive], "text": [name]}))).encode(x=x)
    words = base.mark_text(align="right", baseline="top", dx=-4, dy=4)
    return [base.mark_rule(strokeWidth=1.5), words.encode(text="text:N", y=alt.value(0))]


def _defaults(s: Scene, top: float) -> list[Any]:
    """Return known defaults at the picture's foot, one rule per number, named upright."""
    known = registered_phone_defaults().filter(pl.col("seconds") / 60 < top, ~pl.col("legacy"))
    rows, last = [], -math.inf
    for seconds, vendors in known.group_by("seconds").agg(pl.col("vendor").unique().sort()).sort("seconds").iter_rows():
        place = WIDTH * math.sqrt(seconds / 60 / top)
        room = place - last >= _NAME_ROOM  # where names would touch, the rule stays and its tooltip names them
        last = place if room else last
        name = ", ".join(vendors[:2]) + (" \u2026" if len(vendors) > 2 else "") if room else ""
        rows.append({"low": seconds / 60, "lasts": s.tr.duration(seconds), "name": name, "full": s.tr.joined(*vendors)})
    if not rows:
        return []
    tips = s.tips(full=s.tr("default of"), lasts=s.tr("NAT timeout"))
    base = alt.Chart(table(pl.DataFrame(rows))).encode(x="low:Q", tooltip=tips)
    look: dict[str, Any] = {"fontSize": 10, "angle": 270, "baseline": "bottom", "dx": 6, "dy": -2, "limit": _FOOT - 8}
    names = base.encode(text="name:N", y=alt.value("height"))
    return [
        base.mark_rule(strokeDash=[3, 3]).encode(y=alt.value(_HIGH), y2=alt.value("height")),
        *(names.mark_text(**look, **edge) for edge in (HALO, {})),
    ]
