"""Look at what happened: narrow by site, phone, cause and time; from an interval to its lines in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import ipywidgets as widgets
import polars as pl

from starface_nb import charts
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts.scene import cause_names
from starface_nb.errors import StarfaceError
from starface_nb.guide import translator
from starface_nb.panels.base import Panel, bad, html, labelled, note, picture, rows, safe, table
from starface_nb.text import visible

_STEPS = 240
_MOST_LISTED = 400
_ALL = "*"


class Explorer(Panel):
    """Pictures, table and log lines of a case, narrowed together.

    Parameters
    ----------
    case : Diagnosis, Case or LogChooser
        A LogChooser is followed: another log or keepalive there is shown here at once.
    language : str
        `en`, `de` or `fr`.
    before, after : int
        Lines of the log shown around a chosen interval's line.

    Attributes
    ----------
    case : Diagnosis
    selection : polars.DataFrame
        The intervals that fit the choice, columns of INTERVALS.
    chosen : dict or None
        The interval whose lines are shown.
    """

    name = "explorer"

    def __init__(self, case: Any, language: str = "en", before: int = 4, after: int = 8) -> None:
        super().__init__()
        self._around, self.language = (before, after), language
        self.chosen: dict[str, Any] | None = None
        self.show(diagnosis_of(case), getattr(case, "language", language))
        if hasattr(case, "on_change"):
            case.on_change(lambda found: self.show(found, case.language))

    def show(self, case: Diagnosis, language: str | None = None) -> None:
        """Show another case, or the same in another language."""
        self.case = case
        self.language = language or self.language
        self.selection = case.intervals
        self._tr = translator(self.language, case.log.time_zone)
        self._build()
        self._redraw()

    @property
    def window(self) -> tuple[datetime, datetime]:
        """The chosen time, aware."""
        first, last = self._window.value
        return first, last

    def _build(self) -> None:
        tr, case = self._tr, self.case
        sites = [(tr("all sites"), _ALL), *((visible(s), s) for s in case.sites["site"])]
        self._site = labelled(widgets.Dropdown, tr("Site"), width="300px", options=sites)
        self._peers = labelled(widgets.SelectMultiple, tr("Phones"), width="400px", options=self._phones(), rows=6)
        present = case.intervals["cause"].cast(pl.String).unique().to_list()
        causes = [(tr("all causes"), _ALL), *((name, c) for c, name in cause_names(tr).items() if c in present)]
        self._cause = labelled(widgets.Dropdown, tr("Cause"), width="300px", options=causes)
        self._kind = labelled(widgets.Dropdown, tr("Picture"), width="300px", options=list(self._pictures()))
        times = _times(case)
        options = [(tr.time(t, "short"), t) for t in times]
        self._window = labelled(
            widgets.SelectionRangeSlider,
            tr("Time"),
            width="98%",
            options=options,
            index=(0, len(options) - 1),
            continuous_update=False,
            readout=False,
        )
        self._all_phones = widgets.Button(description=tr("all phones"), tooltip=tr("take back the choice of phones"))
        self._all_phones.on_click(lambda _: setattr(self._peers, "value", ()))
        self._timeline, self._picture, self._table, self._said, self._span = (html() for _ in range(5))
        self._list = labelled(widgets.Select, tr("Intervals"), width="98%", options=[], rows=9)
        self._list.add_class("sfnb-mono")
        self._lines = html()
        self._site.observe(self._new_site, "value")
        for box in (self._peers, self._cause, self._window):
            box.observe(lambda _: self._redraw(), "value")
        self._kind.observe(lambda _: self._draw(all_pictures=False), "value")
        self._list.observe(lambda _: self._choose(), "index")
        left = widgets.VBox([self._site, self._cause, self._kind, self._all_phones])
        self._show(
            rows(left, self._peers),
            self._window,
            self._span,
            self._said,
            self._timeline,
            self._picture,
            self._table,
            self._list,
            self._lines,
        )

    def _pictures(self) -> dict[str, Callable[..., Any]]:
        tr = self._tr
        return {
            tr("folded onto the keepalive"): charts.fold,
            tr("how long"): charts.durations,
            tr("how many at once"): charts.simultaneity,
            tr("hours of the week"): charts.heatmap,
            tr("cycles as brackets"): charts.cycles,
            tr("ports and addresses"): charts.addresses,
            tr("round-trip times"): charts.rtt,
        }

    def _phones(self) -> list[tuple[str, str]]:
        site = self._site.value
        phones = self.case.phones if site == _ALL else self.case.phones.filter(pl.col("site") == site)
        ordered = phones.sort("losses", "peer", descending=[True, False])
        tr = self._tr
        return [
            (f"{visible(peer)} ({tr.count('{n} loss', '{n} losses', n)})", peer)
            for peer, n in ordered.select("peer", "losses").iter_rows()
        ]

    def _new_site(self, _: object) -> None:
        with self._peers.hold_trait_notifications():
            self._peers.options = self._phones()
        self._redraw()

    def _chosen_part(self) -> dict[str, Any]:
        site = None if self._site.value == _ALL else self._site.value
        return {"site": site, "peers": list(self._peers.value) or None, "window": self.window}

    def _redraw(self) -> None:
        first, last = self.window
        shown = {"first": self._tr.time(first), "last": self._tr.time(last)}
        self._span.value = note(self._tr("{first} to {last}", **shown))
        part = self._chosen_part()
        wanted = self.case.intervals
        peers = set(part["peers"] or (value for _, value in self._peers.options))
        wanted = wanted.filter(
            pl.col("peer").is_in(peers), pl.col("start") <= last, pl.col("end").is_null() | (pl.col("end") >= first)
        )
        if self._cause.value != _ALL:
            wanted = wanted.filter(pl.col("cause") == self._cause.value)
        self.selection = wanted.sort("start", "peer")
        self._list.options = self._listed()
        self._list.index = None
        self._table.value = self._by_phone()
        self._lines.value = note(
            self._tr("Choose an interval in the list (arrow keys work) to see its lines in the log.")
        )
        self._draw()

    def _draw(self, *, all_pictures: bool = True) -> None:
        case = self.case if self._cause.value == _ALL else replace(self.case, intervals=self.selection)
        part, kind = self._chosen_part(), self._pictures()[self._kind.value]
        own = {k: v for k, v in part.items() if k != "peers" or kind is not charts.cycles}
        try:
            if all_pictures:
                self._timeline.value = picture(charts.timeline(case, self.language, **part))
            self._picture.value = picture(kind(case, language=self.language, **own))
            self._said.value = ""
        except StarfaceError as error:
            self._said.value = bad(str(error))

    def _listed(self) -> list[tuple[str, int]]:
        tr, names = self._tr, cause_names(self._tr)
        shown = self.selection.head(_MOST_LISTED)
        wide = min(28, max((len(p) for p in shown["peer"]), default=0))
        listed = []
        for row, r in enumerate(shown.select("start", "peer", "seconds", "cause").iter_rows(named=True)):
            lasted = tr("still open") if r["seconds"] is None else tr.duration(r["seconds"])
            peer = visible(r["peer"])[:wide].ljust(wide)
            line = f"{tr.time(r['start'])}  {peer}  {lasted:>12}  {names[r['cause']]}"
            listed.append((line.replace(" ", "\u00a0"), row))
        return listed

    def _by_phone(self) -> str:
        tr, names = self._tr, cause_names(self._tr)
        counted = (
            self.selection.sort("start", "peer")
            .group_by("peer", maintain_order=True)
            .agg(
                pl.col("site").last(),
                n=pl.len(),
                s=pl.col("seconds").sum(),
                cause=pl.col("cause").cast(pl.String).mode().sort().first(),
            )
            .sort("n", "peer", descending=[True, False])
        )
        titles = tr("Phone"), tr("Site"), tr("Losses"), tr("Unreachable for"), tr("Commonest cause")
        body = [
            (peer, site, tr.number(n), tr.duration(seconds), names[cause])
            for peer, site, n, seconds, cause in counted.head(10).iter_rows()
        ]
        more, hidden = counted.height - 10, self.selection.height - _MOST_LISTED
        rest = note(tr.count("and {n} more phone", "and {n} more phones", more)) if more > 0 else ""
        listed = tr("The list below holds the first {n} intervals.", n=tr.number(_MOST_LISTED))
        found = table(titles, body, right=(2, 3)) if body else note(tr("No interval fits this choice."))
        return found + rest + (note(listed) if hidden > 0 else "")

    def _choose(self) -> None:
        if self._list.index is None:
            self.chosen = None
            return
        self.chosen = self.selection.row(self._list.index, named=True)
        self._lines.value = log_lines(self.case, self.chosen, *self._around, self._tr("the phone answered again"))


def diagnosis_of(case: Any) -> Diagnosis:
    """Accept a diagnosis, or something that has one."""
    for name in ("diagnosis", "case"):
        case = getattr(case, name, case)
    found: Diagnosis = case
    return found


def _times(case: Diagnosis) -> list[datetime]:
    """The log's span in at most 240 equal steps of whole minutes."""
    first, last = case.log.first, case.log.last
    if first is None or last is None:
        now = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        return [now, now + timedelta(minutes=1)]
    step = max(1, -(-int((last - first).total_seconds()) // 60 // _STEPS))
    begin = first.replace(second=0, microsecond=0)
    times = [begin + timedelta(minutes=i * step) for i in range(_STEPS + 2)]
    return [t for t in times if t < last] + [last + timedelta(seconds=1)]


def log_lines(case: Diagnosis, interval: dict[str, Any], before: int, after: int, again: str) -> str:
    """Return the lines around an interval's beginning and end as HTML."""
    parts = [_context(case, interval["file"], interval["offset"], before, after)]
    if interval["end_file"] is not None:
        parts += [note(again), _context(case, interval["end_file"], interval["end_offset"], before, 2)]
    return "".join(parts)


def _context(case: Diagnosis, file: str, offset: int, before: int, after: int) -> str:
    try:
        lines = case.log.context({"file": file, "offset": offset}, before, after).lines
    except (StarfaceError, OSError) as error:
        return bad(str(error))
    texts = [f"<b>{safe(line.text)}</b>" if line.is_hit else safe(line.text) for line in lines]
    return f'<div class="sfnb-lines">{chr(10).join(texts)}</div>'
