"""Walk the guide's checklist: what the log answers is answered, the rest is asked and kept."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import ipywidgets as widgets

from starface_nb.errors import StarfaceError
from starface_nb.guide import (
    Given,
    LogAnswer,
    Step,
    answers_from_log,
    checklist,
    given,
    port_checklist,
    products,
    router_default,
    setting,
    snippets,
    trouble_began,
)
from starface_nb.panels.base import Panel, bad, box, button, html, labelled, listed, note, paragraph, rows, safe

if TYPE_CHECKING:
    from starface_nb.cases import Case

_NONE = ""


class ChecklistPanel(Panel):
    """The guide's steps one by one, with the log's evidence, the analyst's answers, and the conclusion.

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
        tr = self._tr
        self._steps = checklist(tr)
        self._from_log = answers_from_log(case.diagnosis, tr)
        self._progress, self._text, self._explanation, self._saved, self._result = (html() for _ in range(5))
        wide = widgets.Layout(width="330px", max_width="100%", height="auto")
        self._list = widgets.Select(options=self._marked(), rows=len(self._steps), layout=wide)
        self._inputs = widgets.VBox(layout=widgets.Layout(width="100%"))
        kept = {"rows": 2, "continuous_update": False, "placeholder": tr("kept with the answer")}
        self._note = labelled(widgets.Textarea, tr("Note"), width="auto", **kept)
        who = {"continuous_update": False, "placeholder": tr("who answered")}
        self._who = labelled(widgets.Text, tr("Who"), width="320px", **who)
        following = button(tr("Next step"), icon="arrow-right")
        self._list.observe(lambda _: self._open(), "index")
        self._note.observe(lambda _: self._keep(), "value")
        following.on_click(lambda _: setattr(self._list, "index", (self._list.index + 1) % len(self._steps)))
        right = widgets.VBox(
            [self._text, self._inputs, self._explanation, self._note, rows(self._who, following), self._saved],
            layout=widgets.Layout(flex="1 1 420px", min_width="300px", margin="0 0 0 14px"),
        )
        self._busy = False
        self._boxes: dict[str, Any] = {}
        self._show(self._progress, rows(self._list, right), self._result)
        self._open()
        self._tell()

    @property
    def answered(self) -> int:
        """How many steps have an answer, from the analyst or from the log."""
        return sum(map(self._has_answer, self._steps))

    @property
    def _step(self) -> Step:
        return self._steps[self._list.index or 0]

    def _kept(self, step: Step) -> Given:
        return given(self.case.answers.all(), step.id)

    def _has_answer(self, step: Step) -> bool:
        kept = self._kept(step)
        return bool(kept.answer or kept.ports or self._answer_of_log(step))

    def _answer_of_log(self, step: Step) -> Any:
        logged = self._from_log.get(step.id)
        return step.answer(logged.answer_id) if logged and step.from_log else None

    def _marked(self) -> list[tuple[str, int]]:
        marks = ["\u2713" if self._has_answer(step) else "\u25cb" for step in self._steps]
        return [(f"{m}  {s.number}  {s.title}", i) for i, (m, s) in enumerate(zip(marks, self._steps, strict=True))]

    def _open(self) -> None:
        """Show the chosen step with what is kept for it."""
        if self._busy:
            return
        self._busy = True
        step, kept = self._step, self._kept(self._step)
        self._text.value = self._described(step)
        self._boxes, self._inputs.children = {}, ()
        ask = {"ports": self._ask_ports, "router": self._ask_router, "date_text": self._ask_day}
        self._inputs.children = ask.get(step.kind, self._ask_answer)(step, kept)
        for asked in self._boxes.values():
            asked.observe(lambda _: self._keep(), "value")
        self._note.value, self._who.value = kept.note, kept.who or self._who.value
        self._explanation.value = self._explained(step)
        said = self._tr("answered by {who} at {when}", who=kept.who or "?", when=kept.when)
        self._saved.value = note(said) if kept.when else ""
        self._busy = False

    def _described(self, step: Step) -> str:
        tr, logged = self._tr, self._from_log.get(step.id)
        covers = tr("Covered: {covered} Not covered: {not_covered}", covered=step.covered, not_covered=step.not_covered)
        return "".join(
            (
                f"<h4>{safe(step.number)} \u00b7 {safe(step.title)}</h4>",
                paragraph(step.question, "b"),
                paragraph(step.why),
                paragraph(tr("How to find out: {how}", how=step.how)),
                self._logged(step, logged) if logged else "",
                note(covers),
            )
        )

    def _logged(self, step: Step, logged: LogAnswer) -> str:
        tr, chosen = self._tr, self._answer_of_log(step)
        said = paragraph(tr("The log says: {text}", text=logged.text))
        if chosen:
            meant = tr("Answer from the log: {answer}. {meaning}", answer=chosen.label, meaning=chosen.meaning)
            said += paragraph(meant)
        refs = [tr("{file} line {line}", file=file.rsplit("/", 1)[-1], line=line) for file, line in logged.refs]
        return box(said, note(tr("See {places}.", places="; ".join(refs))) if refs else "")

    def _ask_answer(self, step: Step, kept: Given) -> list[Any]:
        found = self._answer_of_log(step)
        none = self._tr("as the log says: {answer}", answer=found.label) if found else self._tr("not answered")
        options = [(none, _NONE), *((answer.label, answer.id) for answer in step.answers)]
        value = kept.answer if step.answer(kept.answer) else _NONE
        kind = widgets.RadioButtons
        self._boxes["answer"] = labelled(kind, self._tr("Answer"), width="auto", options=options, value=value)
        return [self._boxes["answer"]]

    def _ask_day(self, step: Step, kept: Given) -> list[Any]:
        asked = self._ask_answer(step, kept)
        self._boxes["day"] = labelled(widgets.DatePicker, self._tr("Day of change"), width="300px", value=kept.day)
        return [*asked, self._boxes["day"]]

    def _ask_router(self, step: Step, kept: Given) -> list[Any]:
        tr, other = self._tr, self._tr("another, not listed")
        options = {tr("not chosen"): _NONE, other: other, **{name: name for name in products()}}
        value = kept.router if kept.router in options.values() else _NONE
        number = {"min": 0, "max": 10_000_000, "step": 1, "value": kept.seconds or 0}
        router = labelled(widgets.Dropdown, tr("Router"), options=list(options.items()), value=value)
        seconds = labelled(widgets.BoundedFloatText, tr("Read from it (s)"), width="250px", **number)
        asked = self._ask_answer(step, kept)
        self._boxes |= {"router": router, "seconds": seconds}
        return [rows(router, seconds), *asked]

    def _ask_ports(self, step: Step, kept: Given) -> list[Any]:
        options = [(self._tr("open question"), _NONE), *((answer.label, answer.id) for answer in step.answers)]
        lines = []
        for port in port_checklist(self._tr):
            value = kept.ports.get(port.id, _NONE)
            tick = widgets.Dropdown(
                options=options,
                value=value if step.answer(value) else _NONE,
                layout=widgets.Layout(width="150px", flex="0 0 auto"),
                tooltip=f"{port.port}/{port.protocol}",
            )
            name = f"<b>{safe(port.port)}/{safe(port.protocol)}</b> {safe(port.purpose)}"
            text = html(f"{name} <span class='sfnb-note'>({safe(port.scope)}; {safe(port.direction)})</span>", flex="1")
            layout = widgets.Layout(width="100%", align_items="center", flex="0 0 auto")
            lines.append(widgets.HBox([tick, text], layout=layout))
            self._boxes[port.id] = tick
        return [widgets.VBox(lines, layout=widgets.Layout(max_height="360px", overflow="auto", width="100%"))]

    def _value(self) -> object:
        """Return what is chosen on the screen, as it is kept."""
        chosen: dict[str, Any] = {name: asked.value or None for name, asked in self._boxes.items()}
        if chosen.get("day"):
            chosen["day"] = chosen["day"].isoformat()
        if self._step.kind == "ports":
            return {port: value for port, value in chosen.items() if value} or None
        return chosen["answer"] if set(chosen) == {"answer"} else chosen if any(chosen.values()) else None

    def _explained(self, step: Step) -> str:
        """Say what follows from what is chosen on the screen."""
        chosen = {name: asked.value for name, asked in self._boxes.items()}
        found = step.answer(chosen.get("answer"))
        parts = [paragraph(f"\u2192 {found.meaning}") if found else ""]
        if chosen.get("day"):
            parts.append(self._compared(chosen["day"]))
        if chosen.get("router"):
            parts.append(self._about_router(chosen["router"]))
        return "".join(parts)

    def _compared(self, day: date) -> str:
        """Set the day of a change against the day the trouble began."""
        tr, began = self._tr, trouble_began(self.case.diagnosis)
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
        return paragraph(after if apart > 0 else before if apart < 0 else same)

    def _about_router(self, product: str) -> str:
        tr = self._tr
        if product not in products():
            return note(tr("Not known: read the timeout for UDP entries from the device."))
        seconds = self.case.settings.recommended_timeout_s
        said, _ = setting(product, seconds, tr)
        lines = "".join(
            f'{note(s.title)}<div class="sfnb-lines">{safe(chr(10).join(s.lines))}</div>'
            for s in snippets(product, seconds, tr)
        )
        source = router_default(product).source
        where = tr("Source: {source}", source=source) if source else tr("No source states this: check on the device.")
        return listed(said) + lines + note(where)

    def _keep(self) -> None:
        """Save what is asked on the screen at once."""
        if self._busy:
            return
        step, value, answers = self._step, self._value(), self.case.answers
        self._explanation.value = self._explained(step)
        if value is None and not self._note.value and answers.get(step.id) is None:
            return
        try:
            answers.set(step.id, value, self._note.value, self._who.value)
        except StarfaceError as error:
            self._open()
            self._saved.value = bad(str(error))
        else:
            self._saved.value = f'<p class="sfnb-good">{safe(self._tr("Saved."))}</p>'
        self._tell()

    def _tell(self) -> None:
        tr, total = self._tr, len(self._steps)
        found = self.conclusion = self.case.conclusion
        marked, index = self._marked(), self._list.index
        if list(self._list.options) != marked:
            self._busy = True  # new marks, the same step
            with self._list.hold_sync():
                self._list.options, self._list.index = marked, index
            self._busy = False
        said = tr("{n} of {total} answered", n=self.answered, total=total)
        width = 100 * self.answered // total
        bar = f'<span class="sfnb-bar" role="img" aria-label="{safe(said)}"><i style="width:{width}%"></i></span>'
        self._progress.value = f"<p>{bar}{safe(said)}</p>"
        reasons = paragraph(tr("Why:")) + listed(found.reasons) if found.reasons else ""
        steps = paragraph(tr("What to do next:")) + listed(found.next_steps, "ol") if found.next_steps else ""
        body = box(paragraph(found.headline, "b"), reasons, steps)
        self._result.value = f"<h4>{safe(tr('Conclusion'))}</h4>{body}"
