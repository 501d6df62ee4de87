"""Look at what happened: narrow by site, phone, cause and time; from an interval to its lines in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import ipywidgets as widgets
import polars as pl

from starface_nb import charts
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts.scene import cause_names
from starface_nb.errors import StarfaceError
from starface_nb.guide.words import site_name
from starface_nb.panels.base import Panel, bad, button, html, labelled, note, rows, safe, table
from starface_nb.panels.chooser import LogChooser
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.cases import Case

_STEPS, _MOST_LISTED, _MOST_PHONES = 240, 400, 10
_BEFORE, _AFTER = 4, 8
_WIDTH = 660  # between what a narrow and a wide window show of a picture: its words stay readable in both
_ALL = "*"


class Explorer(Panel):
    """Pictures, table and log lines of a case, narrowed together.

    Parameters
    ----------
    case : Case or LogChooser
        A LogChooser is followed: another log or keepalive there is shown here at once.

    Attributes
    ----------
    selection : polars.DataFrame
        The intervals that fit the choice, columns of INTERVALS.
    chosen : dict or None
        The interval whose lines are shown.
    """

    name = "explorer"

    def __init__(self, case: Case | LogChooser) -> None:
        super().__init__(case.case if isinstance(case, LogChooser) else case)
        self._present()
        if isinstance(case, LogChooser):
            case.on_change(self.show)

    def show(self, case: Case) -> None:
        """Show another case, or the same with other settings."""
        self._take(case)
        self._present()

    @property
    def window(self) -> tuple[datetime, datetime]:
        """The chosen time, aware."""
        first, last = self._window.value
        return first, last

    def _present(self) -> None:
        tr, found = self._tr, self.case.diagnosis
        self.selection = found.intervals
        self.chosen: dict[str, Any] | None = None
        sites = [(tr("all sites"), _ALL), *((site_name(visible(site), tr), site) for site in found.sites["site"])]
        self._site = labelled(widgets.Dropdown, tr("Site"), width="300px", options=sites)
        self._peers = labelled(widgets.SelectMultiple, tr("Phones"), options=self._phones(), rows=6)
        present = set(found.intervals["cause"].unique())
        causes = [(tr("all causes"), _ALL), *((name, c) for c, name in cause_names(tr).items() if c in present)]
        self._cause = labelled(widgets.Dropdown, tr("Cause"), width="300px", options=causes)
        self._kind = labelled(widgets.Dropdown, tr("Picture"), width="300px", options=list(self._pictures()))
        times = [(tr.time(moment, "short"), moment) for moment in _times(found)]
        span = {"index": (0, len(times) - 1), "continuous_update": False, "readout": False}
        self._window = labelled(widgets.SelectionRangeSlider, tr("Time"), width="auto", options=times, **span)
        everyone = button(tr("all phones"), tooltip=tr("take back the choice of phones"))
        everyone.on_click(lambda _: setattr(self._peers, "value", ()))
        self._timeline, self._picture, self._table, self._said, self._span, self._lines = (html() for _ in range(6))
        self._list = labelled(widgets.Select, tr("Intervals"), width="auto", options=[], rows=9)
        self._list.add_class("sfnb-mono")
        back, on = button(tr("Previous interval"), icon="arrow-left"), button(tr("Next interval"), icon="arrow-right")
        back.on_click(lambda _: self._step(-1))
        on.on_click(lambda _: self._step(1))
        self._site.observe(lambda _: self._peers.set_trait("options", self._phones()), "value")
        for chooser in (self._site, self._peers, self._cause, self._window):
            chooser.observe(lambda _: self._narrow(), "value")
        self._kind.observe(lambda _: self._draw(timeline=False), "value")
        self._list.observe(lambda _: self._choose(), "index")
        left = widgets.VBox([self._site, self._cause, everyone])
        pictures = (self._span, self._said, self._timeline, self._kind, self._picture)
        self._show(
            rows(left, self._peers), self._window, *pictures, self._table, self._list, rows(back, on), self._lines
        )
        self._narrow()

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
        here = pl.lit(value=True) if self._site.value == _ALL else pl.col("site") == self._site.value
        phones = self.case.diagnosis.phones.filter(here).sort("losses", "peer", descending=[True, False])
        count = self._tr.count
        return [
            (f"{visible(peer)} ({count('{n} loss', '{n} losses', n)})", peer)
            for peer, n in phones.select("peer", "losses").iter_rows()
        ]

    def _narrow(self) -> None:
        """Find the intervals that fit the choice, and show them everywhere."""
        tr, (first, last) = self._tr, self.window
        self._span.value = note(tr("{first} to {last}", first=tr.time(first), last=tr.time(last)))
        peers = self._peers.value or [peer for _, peer in self._peers.options]
        fits = [
            pl.col("peer").is_in(list(peers)),
            pl.col("start") <= last,
            pl.col("end").is_null() | (pl.col("end") >= first),
        ]
        if self._cause.value != _ALL:
            fits.append(pl.col("cause") == self._cause.value)
        self.selection = self.case.diagnosis.intervals.filter(fits).sort("start", "peer")
        self._list.options = self._listed()
        self._list.index = None
        self._table.value = self._by_phone()
        self._lines.value = note(
            tr("Choose an interval in the list (mouse or arrow keys) or with the buttons to see its lines in the log.")
        )
        self._draw()

    def _draw(self, *, timeline: bool = True) -> None:
        found = self.case.diagnosis
        if self._cause.value != _ALL:
            found = replace(found, intervals=self.selection)
        part = {
            "language": self.case.language,
            "site": None if self._site.value == _ALL else self._site.value,
            "peers": list(self._peers.value) or None,
            "window": self.window,
        }
        try:
            if timeline:
                self._timeline.value = charts.to_inline_svg(charts.timeline(found, **part), _WIDTH)
            self._picture.value = charts.to_inline_svg(self._pictures()[self._kind.value](found, **part), _WIDTH)
            self._said.value = ""
        except StarfaceError as error:
            self._said.value = bad(str(error))

    def _listed(self) -> list[tuple[str, int]]:
        tr, names, zone = self._tr, cause_names(self._tr), ZoneInfo(self._tr.time_zone)
        shown = self.selection.head(_MOST_LISTED).select("start", "peer", "seconds", "cause")
        wide = min(28, max((len(peer) for peer in shown["peer"]), default=0))
        listed = []
        for row, (start, peer, seconds, cause) in enumerate(shown.iter_rows()):
            lasted = tr("still open") if seconds is None else tr.duration(seconds)
            began = f"{start.astimezone(zone):%Y-%m-%d %H:%M:%S}"
            line = f"{began}  {visible(peer)[:wide]:<{wide}}  {lasted:>11}  {names[cause]}"
            listed.append((line.replace(" ", "\u00a0"), row))
        return listed

    def _by_phone(self) -> str:
        tr, names = self._tr, cause_names(self._tr)
        counted = (
            self.selection.group_by("peer", maintain_order=True)
            .agg(
                n=pl.len(),
                s=pl.col("seconds").sum(),
                cause=pl.col("cause").cast(pl.String).mode().sort().first(),
            )
            .sort("n", "peer", descending=[True, False])
        )
        if counted.is_empty():
            return note(tr("No interval fits this choice."))
        titles = tr("Phone"), tr("Losses"), tr("Unreachable for"), tr("Commonest cause")
        body = [
            (peer, tr.number(n), tr.duration(seconds), names[cause])
            for peer, n, seconds, cause in counted.head(_MOST_PHONES).iter_rows()
        ]
        more = counted.height - _MOST_PHONES
        rest = note(tr.count("and {n} more phone", "and {n} more phones", more)) if more > 0 else ""
        if self.selection.height > _MOST_LISTED:
            rest += note(tr("The list below holds the first {n} intervals.", n=tr.number(_MOST_LISTED)))
        return table(titles, body, right=(1, 2)) + rest

    def _step(self, by: int) -> None:
        """Choose the next or the previous interval."""
        last = len(self._list.options) - 1
        now = -1 if self._list.index is None else self._list.index
        self._list.index = min(max(now + by, 0), last) if last >= 0 else None

    def _choose(self) -> None:
        """Show the log's lines around the chosen interval's begin and end."""
        if self._list.index is None:
            self.chosen = None
            return
        self.chosen = self.selection.row(self._list.index, named=True)
        shown = self._context(self.chosen["file"], self.chosen["offset"], _AFTER)
        if self.chosen["end_file"] is not None:
            again = note(self._tr("the phone answered again"))
            shown += again + self._context(self.chosen["end_file"], self.chosen["end_offset"], 2)
        self._lines.value = shown

    def _context(self, file: str, offset: int, after: int) -> str:
        try:
            lines = self.case.log.context({"file": file, "offset": offset}, _BEFORE, after).lines
        except (StarfaceError, OSError) as error:
            return bad(str(error))
        texts = [f"<b>{safe(line.text)}</b>" if line.is_hit else safe(line.text) for line in lines]
        return f'<div class="sfnb-lines">{chr(10).join(texts)}</div>'


def _times(found: Diagnosis) -> list[datetime]:
    """The log's span in at most 240 equal steps of whole minutes."""
    first, last = found.log.first, found.log.last
    if first is None or last is None:
        first = last = datetime(1970, 1, 1, tzinfo=UTC)
    step = max(1, -(-int((last - first).total_seconds()) // 60 // _STEPS))
    begin = first.replace(second=0, microsecond=0)
    times = [begin + timedelta(minutes=i * step) for i in range(_STEPS + 2)]
    return [moment for moment in times if moment < last] + [last + timedelta(seconds=1)]
