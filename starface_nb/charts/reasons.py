"""How the model came to a cause, and how far its confidences have proven true; for the notebook that explains it."""

import json
import math
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import LONGEST_NAME, table
from starface_nb.charts.theme import COLOURS, Picture, dressed
from starface_nb.guide import cause_name, translator
from starface_nb.guide.words import why
from starface_nb.text import unparted, visible

MOST, _LETTERS, _LINE = 1e6, 48, 13


def terms(interval: Mapping[str, Any], language: str = "en") -> Picture:
    """Draw by how much each observation speaks for a loss's cause against the next best one.

    Parameters
    ----------
    interval : Mapping
        A row of the frame `intervals`.
    language : str
        `en`, `de` or `fr`.
    """
    evidence = json.loads(interval["evidence"])
    tr = translator(language)
    rows = [
        {
            "what": textwrap.fill(
                unparted(why(term["cause"], {**evidence, "terms": [term]}, tr).removesuffix(".")), _LETTERS
            ),
            "times": min(math.exp(term["log_odds"]), MOST),
        }
        for term in evidence.get("terms") or []
    ]
    frame = pl.DataFrame(rows, schema={"what": pl.String, "times": pl.Float64})
    lines = max((str(row["what"]).count("\n") + 1 for row in rows), default=1)
    axis = alt.Axis(title=tr("times as likely as under the next best cause"), format=",", tickCount=5)
    bars = (
        alt.Chart(table(frame))
        .mark_bar(height=14, color=COLOURS[interval["cause"]])
        .encode(
            x=alt.X("times:Q", stack=None, scale=alt.Scale(type="log", domainMin=1), axis=axis),
            y=alt.Y(
                "what:N", sort=None, axis=alt.Axis(labelExpr="split(datum.value, '\\n')", labelLimit=420, title=None)
            ),
            tooltip=[alt.Tooltip("what:N"), alt.Tooltip("times:Q", format=".3~s")],
        )
        .properties(height=(_LINE * lines + 11) * max(1, frame.height))
    )
    title = tr(
        "{phone}: {cause}, confidence {share}",
        phone=visible(interval["peer"], LONGEST_NAME),
        cause=tr.inside(cause_name(interval["cause"], tr)),
        share=tr.percent(interval["confidence"], 1),
    )
    return dressed(bars, tr, title, tr("the largest terms; the confidence weighs all of them, for all causes"))


def reliability(measured: Mapping[str, Any], language: str = "en") -> Picture:
    """Draw what confidences said beside how often they were right.

    Parameters
    ----------
    measured : Mapping
        From `starface_nb.samples.calibration`.
    language : str
        `en`, `de` or `fr`.
    """
    tr = translator(language)
    groups = {"nat_expiry": cause_name("nat_expiry", tr), "others": tr("other causes")}
    rows = [{"of": name, **row} for key, name in groups.items() for row in measured[key]["rows"]]
    share = alt.Scale(domain=[0.4, 1], clamp=True)
    base = alt.Chart(table(pl.DataFrame(rows)))
    named = alt.Color(
        "of:N", scale=alt.Scale(domain=[*groups.values()], range=[COLOURS["nat_expiry"], COLOURS["wan_outage"]])
    )
    points = base.mark_point(opacity=1).encode(
        x=alt.X("said:Q", scale=share, axis=alt.Axis(title=tr("confidence told"), format=".0%", tickCount=7)),
        y=alt.Y("right:Q", scale=share, axis=alt.Axis(title=tr("answers that were right"), format=".0%")),
        size=alt.Size("answers:Q", scale=alt.Scale(type="log", range=[30, 420]), legend=None),
        color=named,
        shape=alt.Shape("of:N", scale=alt.Scale(domain=[*groups.values()])),
        tooltip=[
            alt.Tooltip("of:N", title=tr("cause told")),
            alt.Tooltip("answers:Q", title=tr("answers"), format=","),
            alt.Tooltip("said:Q", title=tr("confidence told"), format=".1%"),
            alt.Tooltip("right:Q", title=tr("answers that were right"), format=".1%"),
        ],
    )
    even = alt.Chart(table(pl.DataFrame({"x": [0.4, 1.0]}))).mark_line(strokeDash=[4, 4], color="#808080")
    chart = alt.layer(even.encode(x="x:Q", y="x:Q"), points).properties(height=280)
    errors = (f"{tr.inside(name)} {tr.number(measured[key]['expected_error'], 3)}" for key, name in groups.items())
    return dressed(
        chart,
        tr,
        tr("What a confidence is worth"),
        tr(
            "on the dashed line a confidence means what it says; mean distance from it: {errors}",
            errors=", ".join(errors),
        ),
        tr(
            "measured on {losses} of simulated customers on {day}",
            losses=tr.count("{n} loss", "{n} losses", measured["losses"]),
            day=tr.time(datetime.fromisoformat(measured["measured"]).replace(tzinfo=UTC), "day"),
        ),
    )
