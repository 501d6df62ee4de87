"""What a picture shows: the chosen part of a case in the log's wall-clock time, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import altair as alt
import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.schemas import CAUSES
from starface_nb.charts.theme import COLOURS, SHAPES, Picture, cause_names
from starface_nb.errors import SettingError
from starface_nb.guide.i18n import Translator, translator
from starface_nb.text import visible

Window = tuple[datetime, datetime]
_DAY = {"en": "%-d %b", "de": "%-d.%-m.", "fr": "%d/%m"}
_MOMENT = {"en": "%Y-%m-%d %H:%M:%S", "de": "%d.%m.%Y %H:%M:%S", "fr": "%d/%m/%Y %H:%M:%S"}


def plain(column: str) -> pl.Expr:
    """Return a text column with control and direction characters made visible."""
    return pl.col(column).map_elements(visible, return_dtype=pl.String)


@dataclass(frozen=True)
class Scene:
    """The chosen part of a case.

    Attributes
    ----------
    case : Diagnosis
    tr : Translator
    phones : polars.DataFrame
        Columns of PHONES plus `label` (unique, harmless text); by site, then first loss, then name.
    intervals : polars.DataFrame
        Columns of INTERVALS that overlap the window, plus `row` (row in `case.intervals`), `label`, `begin` and
        `until` (naive wall-clock time in the log's zone; an open interval ends with the log), `minutes` and
        `why` (the cause's name).
    begin, until : datetime
        The window, naive wall-clock time in the log's zone.
    window : tuple of datetime
        The window, aware.
    site : str or None
        The site that was asked for.
    """

    case: Diagnosis
    tr: Translator
    phones: pl.DataFrame
    intervals: pl.DataFrame
    begin: datetime
    until: datetime
    window: Window
    site: str | None

    def wall(self, column: str) -> pl.Expr:
        """Return a UTC column as naive wall-clock time of the log's zone: what any browser shows unchanged."""
        return pl.col(column).dt.convert_time_zone(self.tr.time_zone).dt.replace_time_zone(None)

    def seen(self, frame: pl.DataFrame, column: str = "time") -> pl.DataFrame:
        """Return the rows about the scene's phones within the window, with `label` and `at` (wall clock)."""
        inside = frame.filter(
            pl.col(column).is_between(*self.window), pl.col("peer").is_in(self.phones["peer"].implode())
        )
        labelled = inside.join(self.phones.select("peer", "label"), on="peer", how="left", maintain_order="left")
        return labelled.with_columns(self.wall(column).alias("at"))

    @property
    def causes(self) -> list[str]:
        """Causes that occur, in the vocabulary's order."""
        present = set(self.intervals["cause"].unique())
        return [cause for cause in CAUSES if cause in present]

    def headline(self) -> str:
        """Say what is seen: phones, place, losses and their commonest cause."""
        tr = self.tr
        places = self.phones["site"].n_unique()
        place = self.phones["site"][0] if places == 1 else tr.count("{n} site", "{n} sites", places)
        phones = tr.count("{n} phone", "{n} phones", self.phones.height)
        if self.intervals.is_empty():
            return tr("{phones} at {place}: never unreachable", phones=phones, place=place)
        losses = tr.count("unreachable {n} time", "unreachable {n} times", self.intervals.height)
        top = self.intervals["cause"].value_counts().sort("count", "cause", descending=[True, False])
        most = tr("mostly: {cause} ({n})", n=tr.number(top["count"][0]), cause=cause_names(tr)[top["cause"][0]])
        return tr("{phones} at {place}: {losses}; {most}", phones=phones, place=place, losses=losses, most=most)

    def span(self) -> str:
        """Say which time is shown."""
        first, last = (self.tr.time(t, "short") for t in self.window)
        return self.tr("{first} to {last}", first=first, last=last)

    def time_axis(self) -> alt.Axis:
        """Return the time axis: the date at midnight, the hour between, the zone in the title."""
        day = _DAY[self.tr.language]
        expr = f"timeFormat(datum.value, hours(datum.value) || minutes(datum.value) ? '%H:%M' : '{day}')"
        title = self.tr("local time of the log ({zone})", zone=self.tr.time_zone)
        return alt.Axis(title=title, labelExpr=expr, tickCount=10)

    def x_time(self, field: str = "begin") -> alt.X:
        """Return the x channel over the window."""
        scale = alt.Scale(domain=[_stamp(self.begin), _stamp(self.until)], nice=False)
        return alt.X(f"{field}:T", scale=scale, axis=self.time_axis())

    def y_time(self, field: str) -> alt.Y:
        """Return the y channel over the window, time running down."""
        scale = alt.Scale(domain=[self.begin.isoformat(), self.until.isoformat()], reverse=True, nice=False)
        return alt.Y(f"{field}:T", scale=scale, axis=self.time_axis())

    def thinned(self, frame: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
        """Return every n-th row so that at most `most` are left, and a note that says so where rows are left out."""
        every = -(-frame.height // most)
        if every <= 1:
            return frame, ""
        return frame.gather_every(every), self.tr("one mark in {n} is drawn", n=self.tr.number(every))

    @property
    def moment(self) -> str:
        """The language's format for a moment in a tooltip."""
        return _MOMENT[self.tr.language]

    def colour(self, columns: int = 5) -> alt.Color:
        """Return the colour channel of the field `why`: one fixed colour per cause, legend above the picture."""
        legend = alt.Legend(title=None, orient="top", columns=columns, symbolStrokeWidth=0, symbolOpacity=1)
        return alt.Color("why:N", scale=self.cause_scale(), legend=legend)

    def cause_scale(self) -> alt.Scale:
        """Return the colours of the causes that occur."""
        names = cause_names(self.tr)
        return alt.Scale(domain=[names[c] for c in self.causes], range=[COLOURS[c] for c in self.causes])

    def shape(self) -> alt.Shape:
        """Return the shape channel of the field `why`, in the same legend as the colour."""
        names = cause_names(self.tr)
        scale = alt.Scale(domain=[names[c] for c in self.causes], range=[SHAPES[c] for c in self.causes])
        return alt.Shape("why:N", scale=scale, legend=alt.Legend(title=None, orient="top", columns=5))


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
        `en`, `de` or `fr`.
    site : str, optional
        Only the phones of this site.
    peers : iterable of str, optional
        Only these phones.
    window : tuple of aware datetime, optional
        Only what overlaps this time; default is the whole log.

    Raises
    ------
    SettingError
        The window is empty or without a time zone, or nothing of that name is in the log.
    """
    tr = translator(language, case.log.time_zone)
    phones = case.phones
    if site is not None:
        phones = phones.filter(pl.col("site") == site)
    if peers is not None:
        phones = phones.filter(pl.col("peer").is_in(list(peers)))
    if phones.is_empty() and (site is not None or peers is not None):
        raise SettingError("No phone of that name or site is in the log.", place="picture")
    span = _window(case, window)
    intervals = _intervals(case, phones, span, tr)
    first = intervals.group_by("peer").agg(pl.col("start").min().alias("_first"))
    label = plain("peer") + pl.when(pl.col("trunk")).then(pl.lit(" (" + tr("trunk") + ")")).otherwise(pl.lit(""))
    nth = pl.int_range(pl.len()).over("label")
    phones = (
        phones.join(first, on="peer", how="left")
        .with_columns(label=label)
        .sort(_numbered("site"), "_first", "peer", nulls_last=True)
        .with_columns(label=pl.when(nth > 0).then(pl.format("{} ({})", "label", nth + 1)).otherwise("label"))
        .drop("_first")
    )
    intervals = intervals.join(phones.select("peer", "label"), on="peer", how="left", maintain_order="left")
    zone = ZoneInfo(tr.time_zone)
    begin, until = (t.astimezone(zone).replace(tzinfo=None) for t in span)
    return Scene(case, tr, phones, intervals, begin, max(until, begin + timedelta(seconds=1)), span, site)


_PARAMETERS = """

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


def picture(draw: Callable[[Scene], Picture]) -> Callable[..., Picture]:
    """Make a picture of a scene one of a case: `draw` gets the part of the case that the caller chooses."""

    def of_case(
        case: Diagnosis,
        language: str = "en",
        site: str | None = None,
        peers: Iterable[str] | None = None,
        window: Window | None = None,
    ) -> Picture:
        return draw(scene(case, language, site, peers, window))

    of_case.__name__, of_case.__qualname__, of_case.__module__ = draw.__name__, draw.__qualname__, draw.__module__
    of_case.__doc__ = (draw.__doc__ or "").rstrip() + _PARAMETERS
    return of_case


def _numbered(column: str) -> pl.Expr:
    """Order addresses by their numbers: .9 before .10."""
    return pl.col(column).str.replace_all(r"\d+", "00$0").str.replace_all(r"0*(\d{3})", "$1")


def _window(case: Diagnosis, window: Window | None) -> Window:
    if window is None:
        now = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
        first = case.log.first or (case.intervals["start"].min() if case.intervals.height else now)
        last = case.log.last or (case.intervals["start"].max() if case.intervals.height else now)
        return first, last  # type: ignore[return-value]
    if any(t.tzinfo is None for t in window) or not window[0] < window[1]:
        raise SettingError(
            "The window needs two times with a time zone, the first before the second.",
            place="picture",
            next_step="Use for example datetime(2026, 3, 4, 8, tzinfo=ZoneInfo('Europe/Berlin')).",
        )
    return window


def _intervals(case: Diagnosis, phones: pl.DataFrame, window: Window, tr: Translator) -> pl.DataFrame:
    names = cause_names(tr)
    wall = [
        pl.col(c).dt.convert_time_zone(tr.time_zone).dt.replace_time_zone(None).alias(n)
        for c, n in (("start", "begin"), ("_end", "until"))
    ]
    end = case.log.last or window[1]
    everyone = phones.height == case.phones.height
    return (
        case.intervals.with_row_index("row")
        .filter(pl.lit(True) if everyone else pl.col("peer").is_in(phones["peer"].implode()))
        .with_columns(_end=pl.max_horizontal(pl.col("end").fill_null(end), "start"))
        .filter(pl.col("start") <= window[1], pl.col("_end") >= window[0])
        .with_columns(*wall, minutes=(pl.col("_end") - pl.col("start")).dt.total_milliseconds() / 60_000.0)
        # the hour that the clock is set back must not turn a bar round
        .with_columns(
            until=pl.max_horizontal("until", "begin"),
            why=pl.col("cause").cast(pl.String).replace_strict(names, return_dtype=pl.String),
        )
        .drop("_end")
        .sort("start", "peer")
    )


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S")


def table(frame: pl.DataFrame) -> alt.Data:
    """Return a frame as inline CSV: a tenth of the size of JSON records once a notebook is saved."""
    parse: dict[str, str] = {}
    for name, dtype in frame.schema.items():
        if dtype.is_temporal():
            parse[name] = "date"
        elif dtype.is_numeric():
            parse[name] = "number"
        elif dtype == pl.Boolean:
            parse[name] = "boolean"
    text = frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S", float_precision=3, quote_style="necessary")
    return alt.InlineData(values=text, format={"type": "csv", "parse": parse or None})
