"""What a picture shows: the chosen part of a case in the log's wall-clock time, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, wraps
from inspect import signature
from typing import Any
from zoneinfo import ZoneInfo

import altair as alt
import polars as pl
from polars import selectors

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts.theme import COLOURS, Picture
from starface_nb.errors import SettingError
from starface_nb.guide import Translator, cause_name, translator
from starface_nb.guide.words import site_name
from starface_nb.model.schemas import CAUSES
from starface_nb.text import visible

Window = tuple[datetime, datetime]
_DAY = {"en": "%-d %b", "de": "%-d.%-m.", "fr": "%d/%m"}
_TIMES = ("begin", "until", "at")
_STAMP = "%Y-%m-%dT%H:%M:%S"


def said(values: pl.Expr, speak: Callable[[Any], str]) -> pl.Expr:
    """Return values in words."""
    return values.map_elements(speak, return_dtype=pl.String)


LONGEST_NAME = 60
"""Characters of a name in a picture: Vega takes the longer to measure them the more there are."""


def plain(column: str) -> pl.Expr:
    """Return a column of names: no longer than a picture can show, control and direction characters made visible."""
    return said(pl.col(column), lambda text: visible(text, LONGEST_NAME))


def cause_names(tr: Translator) -> dict[str, str]:
    """Return the causes' names in the translator's language, in the vocabulary's order."""
    return {cause: cause_name(cause, tr) for cause in CAUSES}


@dataclass(frozen=True)
class Scene:
    """The chosen part of a case.

    Attributes
    ----------
    case : Diagnosis
    tr : Translator
    phones : polars.DataFrame
        Columns of PHONES plus `label` (unique, harmless text); by site, the worst first, then first loss, then name.
    intervals : polars.DataFrame
        Columns of INTERVALS that overlap the window, plus `row` (row in `case.intervals`), `label`, `begin` and
        `until` (naive wall-clock time in the log's zone; an open interval ends with the log), `minutes` and
        `why` (the cause's name).
    window : tuple of datetime
        What is shown, aware.
    site : str or None
        The site that was asked for.
    """

    case: Diagnosis
    tr: Translator
    phones: pl.DataFrame
    intervals: pl.DataFrame
    window: Window
    site: str | None

    @cached_property
    def begin(self) -> datetime:
        """The window's begin, naive wall-clock time in the log's zone."""
        return self.window[0].astimezone(ZoneInfo(self.tr.time_zone)).replace(tzinfo=None)

    @cached_property
    def until(self) -> datetime:
        """The window's end, naive wall-clock time in the log's zone."""
        end = self.window[1].astimezone(ZoneInfo(self.tr.time_zone)).replace(tzinfo=None)
        return max(end, self.begin + timedelta(seconds=1))

    @property
    def keepalive(self) -> float:
        """The keepalive, minutes."""
        return self.case.settings.keepalive_s / 60

    def wall(self, column: str) -> pl.Expr:
        """Return a UTC column as naive wall-clock time of the log's zone: what any browser shows unchanged."""
        return pl.col(column).dt.convert_time_zone(self.tr.time_zone).dt.replace_time_zone(None)

    def mine(self) -> pl.Expr:
        """Say whether a row is about a phone of the scene."""
        return pl.col("peer").is_in(self.phones["peer"].implode())

    def seen(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows about the scene's phones within the window, with `label` and `at` (wall clock), sorted."""
        inside = frame.filter(pl.col("time").is_between(*self.window), self.mine())
        labelled = inside.join(self.phones.select("peer", "label"), on="peer", how="left", maintain_order="left")
        return labelled.with_columns(self.wall("time").alias("at")).sort("at", "label", maintain_order=True)

    def lasted(self) -> pl.Expr:
        """Return how long an interval lasted, in words; an open one says that it is still open."""
        text = said((pl.col("minutes") * 60).round(0), self.tr.duration)
        still = pl.lit(", " + self.tr("still unreachable at the log's end"))
        return pl.when(pl.col("end").is_null()).then(text + still).otherwise(text)

    def headline(self) -> str:
        """Say what is seen: phones, place, losses and their commonest cause."""
        tr = self.tr
        mine, lost = (frame.filter(~pl.col("trunk")) for frame in (self.phones, self.intervals))
        places = mine["site"].n_unique()
        place = site_name(mine["site"][0], tr) if places == 1 else tr.count("{n} site", "{n} sites", places)
        phones = tr.count("{n} phone", "{n} phones", mine.height)
        if lost.is_empty() and not self._is_shown(mine["peer"]):
            return tr("{phones} at {place}: no loss in the log, which cannot show all", phones=phones, place=place)
        if lost.is_empty():
            return tr("{phones} at {place}: never unreachable", phones=phones, place=place)
        losses = tr.count("unreachable {n} time", "unreachable {n} times", lost.height)
        cause, n = lost["why"].value_counts().sort("count", "why", descending=[True, False]).row(0)
        most = tr("mostly: {cause} ({n})", n=tr.number(n), cause=tr.inside(cause))
        return tr("{phones} at {place}: {losses}; {most}", phones=phones, place=place, losses=losses, most=most)

    def _is_shown(self, peers: pl.Series) -> bool:
        """Say whether the log would show it if one of these phones had been lost in the window."""
        begin, until = self.window
        seen = self.case.observation.stretches.filter(pl.col("peer").is_in(peers.implode()))
        seen = seen.filter(pl.col("start") < until, pl.col("end") > begin)
        good = seen.select((pl.col("probed") & pl.col("both") & pl.col("whole")).fill_null(value=False).all()).item()
        return good and self.case.observation.lacking.silence_tells and seen["peer"].n_unique() == peers.n_unique()

    def thinned(self, frame: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
        """Return at most `most` rows, chosen evenly, and a note that says so where rows are left out."""
        if frame.height <= most:
            return frame, ""
        n = self.tr.number(frame.height / most, 1)
        return frame.sample(most, seed=1), self.tr("one mark in {n} is drawn", n=n)

    def time(self, channel: type[alt.X] | type[alt.Y] = alt.X, field: str = "begin", **scaled: Any) -> Any:
        """Return a channel over the window, running right or down: the date at midnight, the hour between."""
        midnight = "hours(datum.value) || minutes(datum.value)"
        label = f"timeFormat(datum.value, {midnight} ? '%H:%M' : '{_DAY[self.tr.language]}')"
        title = self.tr("local time of the log ({zone})", zone=self.tr.time_zone)
        if self.begin.date() == self.until.date():  # no midnight that would name the day
            title += self.begin.strftime(f", {self.tr.day}")
        # not as dates: they would be read in two ways where marks reach from one field to another
        ends = ", ".join(map(_in_javascript, (self.begin, self.until)))
        scale = alt.Scale(domain=alt.ExprRef(f"[{ends}]"), nice=False, reverse=channel is alt.Y, **scaled)
        return channel(f"{field}:T", scale=scale, axis=alt.Axis(labelExpr=label, tickCount=8), title=title)

    def tips(self, **titles: str) -> list[alt.Tooltip]:
        """Return a tooltip of these fields with their titles; times are written in the language's way."""
        return [
            alt.Tooltip(f"{field}:T", title=title, format=f"{self.tr.day} %H:%M:%S")
            if field in _TIMES
            else alt.Tooltip(f"{field}:N", title=title)
            for field, title in titles.items()
        ]

    def about(self, **more: str) -> list[alt.Tooltip]:
        """Return the tooltip of one interval, with more fields and their titles at its end."""
        tr = self.tr
        what = self.tips(label=tr("phone"), why=tr("cause"), lasted=tr("unreachable for"))
        return [*what, *self.tips(begin=tr("from"), until=tr("until"), **more)]

    def cause(self, channel: Any = alt.Color, looks: dict[str, str] = COLOURS) -> Any:
        """Return a channel of the field `why`: one fixed look for each cause that occurs."""
        names, present = cause_names(self.tr), set(self.intervals["cause"].unique())
        causes = [cause for cause in CAUSES if cause in present]
        scale = alt.Scale(domain=[names[c] for c in causes], range=[looks[c] for c in causes])
        shown = alt.Legend(columns=3 if self.tr.language == "en" else 2, symbolStrokeWidth=0, symbolOpacity=1)
        return channel("why:N", scale=scale, legend=shown)


def scene(
    case: Diagnosis,
    language: str = "en",
    site: str | None = None,
    peers: Iterable[str] | None = None,
    window: Window | None = None,
) -> Scene:
    """Choose what to draw.

    Parameters
    ----------
    case : Diagnosis
    language : str
        `en`, `de` or `fr`: texts, dates and numbers; times are the log's local time.
    site : str, optional
        Only the phones of this site.
    peers : iterable of str, optional
        Only these phones.
    window : tuple of aware datetime, optional
        Only what overlaps this time; default is the whole log.

    Raises
    ------
    SettingError
        The window is empty or without a time zone, there is no such language, or nothing of that name is in the log.
    """
    tr = translator(language, case.log.time_zone)
    phones, span = _some(case.phones, site, peers), _window(case, window)
    empty = Scene(case, tr, phones, case.intervals, span, site)
    intervals = _intervals(empty)
    phones = _labelled(phones, intervals, case.sites, tr)
    intervals = intervals.join(phones.select("peer", "label"), on="peer", how="left", maintain_order="left")
    return Scene(case, tr, phones, intervals, span, site)


def narrowed(
    s: Scene, site: str | None = None, peers: Iterable[str] | None = None, window: Window | None = None
) -> Scene:
    """Return a part of a scene, chosen as `scene` does it; its columns, labels and order stay."""
    part = replace(s, phones=_some(s.phones, site, peers), window=_window(s.case, window), site=site)
    return replace(part, intervals=s.intervals.filter(*_overlapping(part)))


def _some(phones: pl.DataFrame, site: str | None, peers: Iterable[str] | None) -> pl.DataFrame:
    if site is not None:
        phones = phones.filter(pl.col("site") == site)
    if peers is not None:
        phones = phones.filter(pl.col("peer").is_in(list(peers)))
    if phones.is_empty() and (site is not None or peers is not None):
        raise SettingError("No phone of that name or site is in the log.", place="picture")
    return phones


def _ended(s: Scene) -> pl.Expr:
    return pl.max_horizontal(pl.col("end").fill_null(s.case.log.last or s.window[1]), "start")


def _overlapping(s: Scene) -> tuple[pl.Expr, ...]:
    return pl.col("start") <= s.window[1], _ended(s) >= s.window[0], s.mine()


def picture(draw: Callable[[Scene], Picture]) -> Callable[..., Picture]:
    """Make a picture of a scene one of a case: it takes what `scene` takes."""

    @wraps(draw)
    def of_case(*case: Any, **chosen: Any) -> Picture:
        return draw(scene(*case, **chosen))

    of_case.__signature__ = signature(scene).replace(return_annotation="Picture")  # type: ignore[attr-defined]  # for help
    of_case.__name__ = draw.__name__.removeprefix("draw_")
    of_case.__doc__ = (draw.__doc__ or "").rstrip() + "\n\n" + (scene.__doc__ or "").partition("\n\n")[2]
    return of_case


def _labelled(phones: pl.DataFrame, intervals: pl.DataFrame, sites: pl.DataFrame, tr: Translator) -> pl.DataFrame:
    """Sort phones by site, the worst first, first loss and name, and give each a label of its own."""
    first = intervals.group_by("peer").agg(pl.col("start").min().alias("_first"))
    trunk = pl.when(pl.col("trunk")).then(pl.lit(f" ({tr('trunk')})")).otherwise(pl.lit(""))
    # addresses by their numbers: .9 before .10
    by_number = pl.col("site").str.replace_all(r"\d+", "00$0").str.replace_all(r"0*(\d{3})", "$1")
    nth = pl.int_range(pl.len()).over("label")
    return (
        phones.join(first, on="peer", how="left")
        .join(sites.select("site", _verdict=pl.col("verdict").to_physical()), on="site", how="left")
        .with_columns(label=plain("peer") + trunk)
        .sort("_verdict", by_number, "_first", "peer", nulls_last=True)
        .with_columns(label=pl.when(nth > 0).then(pl.format("{} ({})", "label", nth + 1)).otherwise("label"))
        .drop("_first", "_verdict")
    )


def _window(case: Diagnosis, window: Window | None) -> Window:
    if window is None:
        now = datetime(1970, 1, 1, tzinfo=UTC)
        return case.log.first or now, case.log.last or now
    if any(t.tzinfo is None for t in window) or not window[0] < window[1]:
        raise SettingError(
            "The window needs two times with a time zone, the first before the second.",
            place="picture",
            next_step="Use for example datetime(2026, 3, 4, 8, tzinfo=ZoneInfo('Europe/Berlin')).",
        )
    return window


def _intervals(s: Scene) -> pl.DataFrame:
    why = pl.col("cause").cast(pl.String).replace_strict(cause_names(s.tr), return_dtype=pl.String)
    return (
        s.intervals.with_row_index("row")
        .with_columns(_end=_ended(s))
        .filter(*_overlapping(s))
        .with_columns(s.wall("start").alias("begin"), s.wall("_end").alias("until"), why=why)
        .with_columns(
            minutes=(pl.col("_end") - pl.col("start")).dt.total_milliseconds() / 60_000.0,
            until=pl.max_horizontal("until", "begin"),  # the hour that the clock is set back must not turn a bar round
        )
        .drop("_end")
        .sort("start", "peer")
    )


def _in_javascript(when: datetime) -> str:
    year, month, *rest = when.timetuple()[:6]
    return f"datetime{(year, month - 1, *rest)}"


def table(frame: pl.DataFrame) -> alt.Data:
    """Return a frame as inline CSV: a tenth of the size of JSON records once a notebook is saved."""
    kinds = dict.fromkeys(frame.select(selectors.numeric()).columns, "number")
    kinds |= dict.fromkeys(frame.select(selectors.temporal()).columns, "date")
    text = frame.write_csv(datetime_format=_STAMP, float_precision=3, quote_style="necessary")
    return alt.InlineData(values=text, format={"type": "csv", "parse": kinds or None})
