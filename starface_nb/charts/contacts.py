"""Pictures of what the PBX saw of the phones: their addresses and ports, their round-trip times."""

from typing import Any

import altair as alt
import polars as pl

from starface_nb.charts.scene import Scene, picture, table
from starface_nb.charts.theme import ACCENT, COLOURS, INK, Picture, dressed

_MOST_POINTS, _MOST_ROWS = 3000, 80
_MILLISECONDS = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
Looks = dict[str, tuple[str, str]]


@picture
def addresses(s: Scene) -> Picture:
    """Draw when each phone registered from another port or address: a new port means that the old binding was gone."""
    tr = s.tr
    first, port, address, same = tr("first seen"), tr("new port"), tr("new address"), tr("same address and port")
    looks = {
        first: (INK, "circle"),
        port: (COLOURS["nat_expiry"], "triangle-up"),
        address: (COLOURS["wan_outage"], "diamond"),
        same: (COLOURS["latency"], "stroke"),
    }
    moves = _moves(s, list(looks))
    counts = dict(moves["what"].value_counts().iter_rows())
    most = moves.group_by("label").len().sort("len", "label", descending=[True, False])["label"].head(_MOST_ROWS)
    order = s.phones.filter(pl.col("label").is_in(most.implode()))["label"].to_list()
    shown, some = s.thinned(moves.filter(pl.col("label").is_in(order)), _MOST_POINTS)
    tips = s.tips(label=tr("phone"), what=tr("registered with"), before=tr("before"), now=tr("now"), at=tr("at"))
    points = _points(s, shown, {look: looks[look] for look in looks if look in counts}, tips)
    rows = alt.Y("label:N", scale=alt.Scale(domain=order), axis=alt.Axis(grid=True))
    chart = points.encode(y=rows).properties(height=max(1, len(order)) * (18 if len(order) <= 48 else 12))
    hidden = moves["label"].n_unique() - len(order)
    note = tr.count(
        "{n} phone with fewer registrations is not shown", "{n} phones with fewer registrations are not shown", hidden
    )
    ports = tr.count("{n} new port", "{n} new ports", counts.get(port, 0))
    title = ports + ", " + tr.count("{n} new public address", "{n} new public addresses", counts.get(address, 0))
    meaning = tr("a phone that registers from a new port had lost its NAT entry")
    return dressed(chart, tr, title, meaning, note if hidden else "", some)


def _moves(s: Scene, names: list[str]) -> pl.DataFrame:
    """Every registration with an address, against the same phone's one before it."""
    port = pl.col("port").cast(pl.String).fill_null("?")
    frame = s.case.log.events.filter(pl.col("kind") == "registered").drop_nulls(["address", "time"]).sort("time")
    frame = frame.with_columns(now=pl.concat_str("address", port, separator=":"))
    before, old = (pl.col(column).shift().over("peer") for column in ("now", "address"))
    first, new_port, new_address, same = map(pl.lit, names)
    what = (
        pl.when(before.is_null())
        .then(first)
        .when(old != pl.col("address"))
        .then(new_address)
        .when(before != pl.col("now"))
        .then(new_port)
        .otherwise(same)
    )
    moves = s.seen(frame.with_columns(what=what, before=before.fill_null("\u2013")))
    return moves.select("label", "at", "what", "before", "now")


@picture
def rtt(s: Scene) -> Picture:
    """Draw the round-trip times that the log names, against the limit above which an answer counts as late."""
    tr = s.tr
    kinds = {"reachable": tr("in time"), "lagged": tr("late (Lagged)")}
    looks = {kinds["reachable"]: (ACCENT, "circle"), kinds["lagged"]: (COLOURS["nat_expiry"], "triangle-up")}
    frame = s.case.log.events.filter(pl.col("rtt_ms").is_not_null(), pl.col("kind").is_in(list(kinds)))
    what = pl.col("kind").cast(pl.String).replace_strict(kinds, return_dtype=pl.String)
    data = s.seen(frame).select("label", "at", "rtt_ms", "limit_ms", what=what)
    shown, some = s.thinned(data.drop("limit_ms"), _MOST_POINTS)
    tips = s.tips(label=tr("phone"), rtt_ms=tr("round-trip time (ms)"), what=tr("answer"), at=tr("at"))
    highest: Any = data["rtt_ms"].max() or 1  # no mark is cut at the top
    scale = alt.Scale(type="symlog", constant=10, domain=[0, 1.3 * highest], nice=False)
    y = alt.Y("rtt_ms:Q", scale=scale, axis=alt.Axis(title=tr("round-trip time (ms)"), values=_MILLISECONDS))
    limits = data["limit_ms"].drop_nulls().unique().sort().head(3)
    dashed = alt.Chart(table(limits.to_frame("rtt_ms"))).mark_rule(strokeDash=[4, 3]).encode(y=y)
    chart = alt.layer(_points(s, shown, looks, tips).encode(y=y), dashed)
    answers = tr.count("{n} answer timed in the log", "{n} answers timed in the log", data.height)
    lagged = data.filter(pl.col("what") == kinds["lagged"]).height
    told = tr.count("{n} reported as Lagged", "{n} reported as Lagged", lagged)
    note = tr("the log names a round-trip time only when a phone changes its state")
    if len(limits):
        note = tr.joined(note, tr("dashed: the limit of {ms} ms", ms=", ".join(map(tr.number, limits))))
    return dressed(chart.properties(height=260), tr, f"{answers}, {told}", note, some)


def _points(s: Scene, frame: pl.DataFrame, looks: Looks, tips: list[alt.Tooltip]) -> Any:
    """Draw marks along time whose colour and shape follow the field `what`."""
    colours, shapes = ([look[i] for look in looks.values()] for i in (0, 1))
    return (
        alt.Chart(table(frame))
        .mark_point(size=40, opacity=1, clip=True)
        .encode(
            x=s.time(field="at"),
            color=alt.Color("what:N", scale=alt.Scale(domain=list(looks), range=colours)),
            shape=alt.Shape("what:N", scale=alt.Scale(domain=list(looks), range=shapes)),
            tooltip=tips,
        )
    )
