"""What happened: timeline, fold, table and drawer of one case, narrowed together."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from markupsafe import Markup

from starface_nb import charts
from starface_nb.cases import Case
from starface_nb.charts.losses import measured
from starface_nb.charts.scene import Scene, cause_names, narrowed, said, scene
from starface_nb.charts.theme import COLOURS
from starface_nb.errors import SettingError, StarfaceError
from starface_nb.guide import cause_name
from starface_nb.guide.corrections import Correction, corrections, loss_key, name_key, names_given
from starface_nb.guide.words import about_cause, incident_text, site_name
from starface_nb.panels.base import CasePanel
from starface_nb.panels.loss import by_router, cycle, lines_of, why
from starface_nb.panels.query import Query
from starface_nb.report.export import losses, to_bytes
from starface_nb.text import moment, visible

_PAGE, _MOST_MARKS, _MOST_PHONES, _MOST_PICTURES = 15, 3000, 40, 8
_STAMPS = {"en": "d MMM HH:mm:ss", "de": "d.M. HH:mm:ss", "fr": "dd/MM HH:mm:ss"}


class Canvas(CasePanel):
    """Timeline, fold and table of a case, narrowed together; from a mark or a row to the reason and the log's lines.

    Parameters
    ----------
    case : Case

    Attributes
    ----------
    query : Query
        What is chosen.
    selection : polars.DataFrame
        The intervals that fit the choice, columns of INTERVALS.
    """

    name = "what happened"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.query = Query()
        self._undo: list[tuple[str, dict[str, Any]]] = []
        self._take()
        if self._found.phones.height > _MOST_PHONES and self._found.sites.height > 1:
            self._draw()  # of all phones, and kept: taking the choice back is then as quick as any other
            worst = self._losses["site"].value_counts().sort("count", "site", descending=[True, False])
            self.query = Query(site=worst["site"][0])
        self._draw()
        self._tell()

    def _take(self) -> None:
        """Take the case's losses as they are now, with what the analyst said of them."""
        found = self._found = self.case.corrected
        self.tr = self.case.translator
        whole = scene(found, self.case.language)
        by_row = found.incident_of.to_frame("id").with_row_index("row")
        number = pl.col("label").rank("dense").cast(pl.Int64)
        seconds = 60 * pl.col("minutes")  # an open loss lasts to the end
        losses = measured(whole).with_columns(seconds=seconds, phone=number)
        known = found.sites.select("site", "addresses").iter_rows()
        self._home = pl.col("site").replace({address: site for site, had in known for address in had})
        losses = losses.with_columns(address="site", site=self._home)  # a site may have had others before
        self._losses = losses.join(by_row, on="row", maintain_order="left")
        self._scene = replace(whole, intervals=self._losses)
        self._pictured = lru_cache(_MOST_PICTURES)(self._pictures)
        said = corrections(found, self.case.answers.all())
        self._said: dict[tuple[str, datetime], Correction] = {(one.peer, one.start): one for one in said}

    @property
    def selection(self) -> pl.DataFrame:
        """The intervals that fit the choice."""
        return self._found.intervals[self._chosen["row"].sort().to_list()]

    @cached_property
    def _chosen(self) -> pl.DataFrame:
        return self._losses.filter(self.query.fits())

    def _change(self, *, draw: bool = False, **values: Any) -> None:
        self.query = replace(self.query, **values)
        vars(self).pop("_chosen", None)
        self._tell()  # table and counts at once, pictures when they are drawn
        if draw:
            self._draw()

    # ---- what is shown ----

    def _draw(self) -> None:
        """Draw the pictures anew, for another site, phone or zoom."""
        q, zone, window = self.query, ZoneInfo(self.tr.time_zone), None
        if q.zoomed and q.time:
            window = tuple(end.replace(tzinfo=zone).astimezone(UTC) for end in q.time)
        try:
            self._drawn, pictures = self._pictured(q.site, q.find.lower(), window)
        except SettingError:
            self.show(pictures="")
        else:
            self.show(head=self._head(), pictures=pictures)
            self._mark()

    def _pictures(self, site: str | None, find: str, window: Any) -> tuple[Scene, str]:
        """Return what is drawn of a site, the phones whose name holds a text, and a time; and the pictures of it."""
        label = pl.col("label").str.to_lowercase()
        peers = self._scene.phones.filter(label.str.contains(find, literal=True))["peer"] if find else None
        drawn = narrowed(self._scene, site, peers, window)
        above, beside = map(Markup, charts.linked(drawn))  # texts in them are escaped
        return drawn, self.fill("pictures", above=above, beside=beside)

    def _head(self) -> str:
        q, tr = self.query, self.tr
        rows = self._found.sites["site"].to_list()
        counts = dict(self._losses.filter(replace(q, causes=frozenset()).fits())["cause"].value_counts().iter_rows())
        ends = [self.tr.typed(end) for end in q.time or (self._drawn.begin, self._drawn.until)]
        sites = [("", tr("all sites")), *((site, site_name(visible(site), tr)) for site in rows)]
        causes = [(c, name, COLOURS[c], counts[c]) for c, name in cause_names(tr).items() if c in counts]
        return self.fill("canvas", q=q, sites=sites, causes=causes, ends=ends, zoomable=q.time is not None)

    def _tell(self) -> None:
        """Show head, table, drawer and marks as they follow from the choice."""
        self.show(head=self._head(), table=self._table())
        self._mark()

    def _mark(self) -> None:
        q, frame = self.query, self._chosen
        narrowed = frame.height < self._losses.height and frame.height <= _MOST_MARKS
        chosen = [q.row] if q.row is not None else self._unfolded()["row"].to_list() if q.open is not None else []
        self.widget.marks = {
            "rows": frame["row"].to_list() if narrowed else None,
            "chosen": chosen[:_MOST_MARKS],
            "brush": {"time": self._share(q.time), "age": q.ages and [end / self._scene.keepalive for end in q.ages]},
        }

    def _share(self, time: tuple[datetime, datetime] | None) -> list[float] | None:
        if time is None or self.query.zoomed:
            return None
        begin, span = self._drawn.begin, self._drawn.until - self._drawn.begin
        return [min(1.0, max(0.0, (end - begin) / span)) for end in time]

    def _loss(self) -> dict[str, Any]:
        return self._losses.row(by_predicate=pl.col("row") == self.query.row, named=True)

    @property
    def _group(self) -> str:
        return "phone" if self.query.kind == "phones" else "id"

    def _unfolded(self) -> pl.DataFrame:
        """Return the chosen losses of the incident or phone that is unfolded, by time."""
        return self._chosen.filter(pl.col(self._group) == pl.lit(self.query.open))

    def _table(self) -> str:
        q, tr = self.query, self.tr
        frame = self._chosen if q.kind == "losses" else self._grouped()
        key = "start" if q.sort not in frame.columns else q.sort
        frame = frame.sort(key, "start", descending=[q.down, False], nulls_last=True)
        inside = self._unfolded() if q.kind != "losses" else frame.clear()
        pages = math.ceil((frame.height + inside.height) / _PAGE)
        page = min(q.page, max(0, pages - 1))
        rows = list(self._on_page(frame, inside, page * _PAGE))
        counted = tr.count("{n} loss", "{n} losses", self._chosen.height)
        if q.kind == "incidents":
            counted = tr.count("{n} incident", "{n} incidents", frame.height) + ", " + counted
        elif q.kind == "phones":
            counted = tr.count("{n} phone", "{n} phones", frame.height) + ", " + counted
        drawer = self._drawer()
        kinds = [("incidents", tr("Incidents")), ("phones", tr("Phones")), ("losses", tr("Single losses"))]
        return self.fill(
            "table",
            q=replace(q, page=page),
            rows=rows,
            told=counted,
            kinds=kinds,
            pages=pages,
            drawer=drawer,
            stamp=_STAMPS[tr.language],
        )

    def _on_page(self, frame: pl.DataFrame, inside: pl.DataFrame, skip: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of a page: those of `frame`, with those of the unfolded one behind it."""
        at, left = frame.height, _PAGE
        if inside.height:
            at = 1 + int(frame[self._group].index_of(self.query.open) or 0)
        for part, nested in ((frame[:at], False), (inside, True), (frame[at:], False)):
            shown = part[skip : skip + left]
            skip, left = max(0, skip - part.height), left - shown.height
            yield from (self._row(row) | {"inside": nested} for row in shown.to_dicts())

    def _grouped(self) -> pl.DataFrame:
        """Return the incidents, or the phones, of the chosen losses."""
        mine = self._chosen.group_by(self._group).agg(
            pl.col("label").n_unique().alias("phones"),
            pl.col("label").first().alias("first"),
            pl.col("peer", "site").first(),
            pl.col("cause").mode(maintain_order=True).first(),
            address=pl.col("site").first(),
            losses=pl.len(),
            start=pl.col("start").min(),
            seconds=pl.col("seconds").sum(),
            confidence=pl.col("confidence").mean(),
        )
        phones = said(pl.col("phones"), lambda n: self.tr.count("{n} phone", "{n} phones", n).replace(" ", "\u00a0"))
        if self._group == "id":
            known = self._found.incidents.select("id", "cause", site=self._home, address="site")
            mine = mine.drop("site", "address", "cause").join(known, on="id")
        why = pl.col("cause").cast(pl.String).replace_strict(cause_names(self.tr), return_dtype=pl.String)
        return mine.with_columns(why=why, label=pl.when(pl.col("phones") == 1).then("first").otherwise(phones))

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        q, single = self.query, "row" in row
        shown = {k: row[k] for k in ("start", "seconds", "confidence", "why", "label")}
        shown |= {"row": row["row"]} if single else {"id": row[self._group], "losses": row["losses"]}
        one = single or row["phones"] == 1
        name = names_given(self.case.answers.all()).get(row["peer"]) if one else None
        return shown | {
            "label": f"{visible(name)} ({row['label']})" if name else row["label"],
            "place": self._place(row),
            "colour": COLOURS[row["cause"]],
            "picked": row["row"] == q.row if single else row[self._group] == q.open,
            "open": single and row["end"] is None,
            "said": single and (row["peer"], row["start"]) in self._said,
        }

    def _place(self, row: dict[str, Any]) -> str:
        """Return the site of a loss or incident, with the address that it had then where that is another one now."""
        site, address = (site_name(visible(row[name]), self.tr) for name in ("site", "address"))
        return site if site == address else self.tr("{site} (at that time {address})", site=site, address=address)

    # ---- the drawer ----

    def _drawer(self) -> Markup:
        q = self.query
        if q.row is not None:
            html = self._about_loss(self._loss())
        elif q.kind == "incidents" and (mine := self._unfolded()).height:
            html = self._about_incident(mine)
        else:
            return Markup("")
        return Markup(html)  # noqa: S704  a template's

    def _about_incident(self, mine: pl.DataFrame) -> str:
        tr, first = self.tr, mine.row(0, named=True)
        whole = self._found.incidents.row(by_predicate=pl.col("id") == self.query.open, named=True)
        about = about_cause(first["cause"], tr)
        phones, counted = mine["peer"].n_unique(), tr.count("{n} loss", "{n} losses", mine.height)
        title = (
            tr.count("{n} phone", "{n} phones", phones) + ", " + counted + ", " + site_name(visible(first["site"]), tr)
        )
        return self.fill(
            "drawer", q=self.query, title=title, name=about["name"], colour=COLOURS[first["cause"]], said=None,
            why=[incident_text(whole, tr), *by_router(self.case, mine["row"]), about["meaning"]],
            cycle=None, lines=None, advice=about["advice"],
        )  # fmt: skip

    def _about_loss(self, loss: dict[str, Any]) -> str:
        tr, said = self.tr, self._said.get((loss["peer"], loss["start"]))
        trouble, lines, meaning = "", [], about_cause(loss["cause"], tr)["meaning"]
        try:
            lines = lines_of(self.case.log, loss, everyone=self.query.lines == "all")
        except (StarfaceError, OSError) as error:
            trouble = str(error)
        own = tr(
            "as the log says: {answer}", answer=cause_name(self.case.diagnosis.intervals["cause"][loss["row"]], tr)
        )
        return self.fill(
            "drawer",
            q=self.query,
            title=tr("{phone}, lost at {time}", phone=loss["label"], time=tr.time(loss["start"])),
            name=loss["why"],
            colour=COLOURS[loss["cause"]],
            said=said,
            why=[why(self.case.log, loss, tr), *by_router(self.case, [loss["row"]]), meaning],
            cycle=cycle(self.case.log, loss, self._scene.keepalive, tr),
            lines=lines,
            trouble=trouble,
            causes=[("", own), *cause_names(tr).items()],
            who=said.who if said else "",
            phone_name=names_given(self.case.answers.all()).get(loss["peer"], ""),
            undo=bool(self._undo),
        )

    # ---- what is asked for ----

    def do_site(self, _arg: object, site: str) -> None:
        """Choose a site; empty: all."""
        self._change(site=site or None, page=0, open=None, draw=True)

    def do_find(self, _arg: object, text: str) -> None:
        """Choose the phones whose name holds a text."""
        self._change(find=text.strip(), page=0, draw=True)

    def do_cause(self, cause: str, on: bool) -> None:
        """Show or leave out a cause."""
        every = frozenset(self._losses["cause"].cast(pl.String).unique())
        chosen = (self.query.causes or every) | {cause} if on else (self.query.causes or every) - {cause}
        self._change(causes=frozenset() if chosen == every else chosen, page=0)

    def do_time(self, end: str, text: str) -> None:
        """Choose the time from or until a moment, as typed."""
        zone = self.tr.time_zone
        ends = list(self.query.time or (self._drawn.begin, self._drawn.until))
        ends[int(end)] = moment(text, zone, slashed=True).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        self._change(time=(min(ends), max(ends)), page=0, draw=self.query.zoomed)

    def do_brush(self, over: str, ends: list[float] | None) -> None:
        """Choose a time or an age by dragging over a picture; None takes it back."""
        if over == "age":
            keepalive = self._scene.keepalive
            self._change(ages=(ends[0] * keepalive, ends[1] * keepalive) if ends else None, page=0)
            return
        begin, span = self._drawn.begin, self._drawn.until - self._drawn.begin
        time = (begin + ends[0] * span, begin + ends[1] * span) if ends else None
        self._change(time=time, page=0, draw=self.query.zoomed)

    def do_zoom(self, _arg: object, _value: object) -> None:
        """Draw only the chosen time, or the whole log again."""
        self._change(zoomed=not self.query.zoomed, draw=True)

    def do_reset(self, _arg: object, _value: object) -> None:
        """Take every choice back."""
        self.query = Query(kind=self.query.kind)
        self._change(draw=True)

    def do_kind(self, kind: str, _value: object) -> None:
        """Show incidents or single losses."""
        self._change(kind=kind, page=0, open=None)

    def do_sort(self, key: str, _value: object) -> None:
        """Sort by a column; again: the other way round."""
        down = not self.query.down if key == self.query.sort else key in ("losses", "seconds", "confidence")
        self._change(sort=key, down=down, page=0)

    def do_page(self, page: str, _value: object) -> None:
        """Turn to a page of the table."""
        self._change(page=max(0, int(page)))

    def do_open(self, number: str, _value: object) -> None:
        """Unfold an incident or a phone, or fold it; of a phone its first loss is shown at once."""
        self._change(open=None if int(number) == self.query.open else int(number), row=None)
        if self.query.kind == "phones" and (mine := self._unfolded()).height:
            self.do_row(mine["row"][0], None)

    def do_row(self, row: str | int, _value: object) -> None:
        """Show why this loss happened, and its lines."""
        self._change(row=int(row))
        self.widget.send({"show": "drawer"})

    def do_lines(self, kind: str, _value: object) -> None:
        """Show this phone's lines, or all."""
        self._change(lines=kind)

    def do_export(self, kind: str, _value: object) -> None:
        """Hand the chosen losses to the browser as CSV or Excel."""
        found = replace(self._found, intervals=self.selection)
        self.download(f"losses.{kind}", to_bytes(losses(found, self.tr), kind))

    def do_right(self, field: str, value: str) -> None:
        """Keep the right cause, the note, or who said it."""
        loss = self._loss()
        self._keep(loss_key(loss["peer"], loss["start"]), {"answer" if field == "cause" else field: value})

    def do_phone(self, _arg: object, name: str) -> None:
        """Keep a name for the phone in the drawer."""
        self._keep(name_key(self._loss()["peer"]), {"answer": name.strip()})

    def do_undo(self, _arg: object, _value: object) -> None:
        """Take the last word back."""
        self.case.answers.reload()
        self._set(*self._undo.pop())

    def _keep(self, key: str, said: dict[str, Any]) -> None:
        kept = {"answer": None, "note": "", "who": ""} | (self.case.answers.reload().get(key) or {})
        self._undo.append((key, kept))
        self._set(key, kept | said)

    def _set(self, key: str, said: dict[str, Any]) -> None:
        self.case.answers.set(key, said["answer"] or None, said["note"], said["who"])
        self._take()
        self._change(draw=True)
        self.renew_others()
