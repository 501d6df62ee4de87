"""Walk the guide's checklist: what the log answers is answered, the rest is asked and kept."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starface_nb.cases import Case
from starface_nb.errors import SettingError
from starface_nb.guide import (
    Conclusion,
    Given,
    Step,
    answers_from_log,
    at_site,
    checklist,
    given,
    port_checklist,
    products,
    setting,
    snippets,
    trouble_began,
)
from starface_nb.guide.words import site_bracket, site_name
from starface_nb.panels.base import CasePanel, safe
from starface_nb.text import read_typed

_MOST_SITES = 20
_LONGEST_S = 10_000_000


class ChecklistPanel(CasePanel):
    """The guide's steps as cards: what is open stands on top, what the log or the analyst answered is folded.

    Parameters
    ----------
    case : Case

    Attributes
    ----------
    conclusion : Conclusion
        What follows from log and answers.
    """

    name = "checklist"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        tr, self._who = self.tr, ""
        self._steps = {step.id: step for step in checklist(tr)}
        self._from_log = answers_from_log(case.diagnosis, tr)
        waiting = [step for step in self._steps.values() if not self._has_answer(step)]
        self._first = waiting[0].id if waiting else ""
        self.show(head=self._head())
        for step in sorted(self._steps.values(), key=self._has_answer):
            self.show(**{step.id: self._card(step)})
        self._tell()

    @property
    def answered(self) -> int:
        """How many steps have an answer, from the analyst or from the log."""
        return sum(map(self._has_answer, self._steps.values()))

    def _kept(self, step: Step) -> Given:
        return given(self.case.answers.all(), step.id)

    def _has_answer(self, step: Step) -> bool:
        kept = self._kept(step)
        return bool(kept.answer or kept.ports or step.of_log(self._from_log.get(step.id)))

    def _head(self) -> str:
        said = self.tr("{n} of {total} answered", n=self.answered, total=len(self._steps))
        return f"<h2>{safe(self.tr('The checklist of the guide'))}</h2><p>{safe(said)}</p>"

    def _card(self, step: Step) -> str:
        tr, kept, logged = self.tr, self._kept(step), self._from_log.get(step.id)
        found, chosen = step.of_log(logged), step.answer(kept.answer)
        none = tr("as the log says: {answer}", answer=found.label) if found else tr("not answered")
        told = chosen or found
        short = told.label if told else step.counted(kept, tr) or tr("open question")
        lines = logged.refs if logged else ()
        refs = (tr("{file} line {line}", file=file.rsplit("/", 1)[-1], line=n) for file, n in lines)
        return self.fill(
            "step",
            step=step,
            kept=kept,
            logged=logged,
            from_log=found,
            refs=tr.joined(*refs),
            answered=self._has_answer(step),
            opened=step.id == self._first,
            short=short,
            chosen=chosen,
            options=[("", none), *((answer.id, answer.label) for answer in step.answers)],
            compared=self._compared(kept.day) if kept.day else "",
            ports=port_checklist(tr) if step.kind == "ports" else (),
            sites=self._sites() if step.kind == "router" else (),
            products=[("", tr("not chosen")), *((name, name) for name in products())],
            who=self._who,
            saved=self._saved(kept) if kept.when else "",
        )

    def _saved(self, kept: Given) -> str:
        when = self.tr.time(datetime.fromisoformat(kept.when), "short")
        who = self.tr("by {name}", name=kept.who) + ", " if kept.who else ""
        return self.tr("Saved: {who}{time}", who=who, time=when)

    def _sites(self) -> list[dict[str, Any]]:
        """Return each site with its bracket, its router, and how that is set."""
        tr, answers, found = self.tr, self.case.answers.all(), self.case.diagnosis
        rows = found.sites.sort("verdict", "site").head(_MOST_SITES).to_dicts()
        for row in rows:
            router, seconds = at_site(answers, row, tr), found.settings.recommended_timeout_s
            row |= {"name": site_name(row["site"], tr), "bracket": site_bracket(row, tr)}
            row |= {"router": router, "how": (), "snippets": ()}
            if router.router in products():
                row |= {"how": setting(router.router, seconds, tr), "snippets": snippets(router.router, seconds, tr)}
        return rows

    def _compared(self, day: date) -> str:
        """Set the day of a change against the day the trouble began."""
        tr, began = self.tr, trouble_began(self.case.diagnosis)
        if began is None:
            return ""
        apart = (began.astimezone(ZoneInfo(tr.time_zone)).date() - day).days
        after = tr.count(
            "The first lasting loss in the log came {n} day after the change.",
            "The first lasting loss in the log came {n} days after the change.",
            apart,
        )
        before = tr.count(
            "The first lasting loss in the log came {n} day before the change.",
            "The first lasting loss in the log came {n} days before the change.",
            -apart,
        )
        same = tr("The first lasting loss in the log is of the same day.")
        return after if apart > 0 else before if apart < 0 else same

    def _tell(self) -> None:
        self.conclusion: Conclusion = self.case.conclusion
        self.show(head=self._head(), conclusion=self.fill("conclusion", found=self.conclusion))

    # ---- what is asked for ----

    def do_answer(self, step: str, answer: str) -> None:
        """Keep an answer; empty takes it back."""
        self._keep(step, answer=answer or None)

    def do_note(self, step: str, note: str) -> None:
        """Keep a note."""
        self._keep(step, note)

    def do_who(self, step: str, who: str) -> None:
        """Keep who answers; the next answers are theirs, too."""
        self._who = who.strip()
        if self.case.answers.get(step):
            self._keep(step)

    def do_day(self, _arg: object, text: str) -> None:
        """Keep the day of a change."""
        try:
            day = read_typed(text).date() if text.strip() else None
        except SettingError:
            raise SettingError(self.tr("This is no day: {text}", text=text)) from None
        if day and day > datetime.now(UTC).date():
            raise SettingError(self.tr("This day lies ahead: {text}", text=text))
        self._keep("changes", day=day and day.isoformat())

    def do_port(self, port: str, answer: str) -> None:
        """Keep the answer to one port."""
        self._keep("ports", **{port: answer or None})

    def do_all_open(self, _arg: object, _value: object) -> None:
        """Answer that every port is open."""
        self._keep("ports", **{port["id"]: "open" for port in port_checklist(self.tr)})

    def do_router(self, site: str, product: str) -> None:
        """Keep a site's router."""
        self._keep_router(site, router=product or None)

    def do_seconds(self, site: str, text: str) -> None:
        """Keep the timeout that was read from a site's router, seconds."""
        try:
            seconds = float(text) if text.strip() else None
        except ValueError:
            seconds = -1.0
        if seconds is not None and not 1 <= seconds <= _LONGEST_S:
            raise SettingError(self.tr("{site}: {text} is no number of seconds.", site=site, text=text))
        self._keep_router(site, seconds=seconds)

    def _keep_router(self, site: str, **known: Any) -> None:
        kept = given(self.case.answers.all(), "nat")
        shared = {"router": kept.router, "seconds": kept.seconds}
        sites: Mapping[str, Any] = {name: shared for name in self.case.diagnosis.sites["site"] if any(shared.values())}
        mine = {**sites, **kept.sites}
        mine[site] = {**mine.get(site, {}), **known}
        self._keep(
            "nat", sites={name: about for name, about in mine.items() if any(about.values())}, router=None, seconds=None
        )
        self.renew_others()

    def _keep(self, step_id: str, note: str | None = None, **values: Any) -> None:
        """Save what changed of a step at once, and show what follows."""
        step, entry = self._steps[step_id], self.case.answers.get(step_id) or {}
        old = entry.get("answer")
        value: Any = old if isinstance(old, Mapping) else {"answer": old} if step.kind != "ports" else {}
        value = {name: one for name, one in {**value, **values}.items() if one}
        if step.kind in ("choice", "date_text", "router") and set(value) <= {"answer"}:
            value = value.get("answer")
        who = self._who or entry.get("who", "")
        try:
            self.case.answers.set(step_id, value or None, entry.get("note", "") if note is None else note, who)
        finally:
            self.show(**{step_id: self._card(step)})
            self._tell()
