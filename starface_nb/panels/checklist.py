"""Walk the guide's checklist: what the log answers is answered, the rest is asked and kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import ipywidgets as widgets

from starface_nb.errors import StarfaceError
from starface_nb.guide import (
    LogAnswer,
    Step,
    answers_from_log,
    checklist,
    conclusion,
    given,
    port_checklist,
    products,
    setting,
    translator,
    trouble_began,
)
from starface_nb.panels.base import Panel, bad, box, html, labelled, listed, note, paragraph, rows, safe
from starface_nb.panels.explorer import diagnosis_of

_NONE = ""


class ChecklistPanel(Panel):
    """The guide's steps one by one, with the log's evidence, the analyst's answers, and the conclusion.

    Parameters
    ----------
    case : Diagnosis, Case or LogChooser
    answers : AnswerStore, optional
        Keeps the answers; default is the case's own.
    language : str
        `en`, `de` or `fr`.

    Attributes
    ----------
    conclusion : Conclusion
        What follows from log and answers.
    """

    name = "checklist"

    def __init__(self, case: Any, answers: Any = None, language: str = "en") -> None:
        super().__init__()
        self.case = diagnosis_of(case)
        self.answers = case.answers if answers is None else answers
        self._tr = translator(getattr(case, "language", language), self.case.log.time_zone)
        self._steps = checklist(self._tr)
        self._from_log = answers_from_log(self.case, self._tr)
        self._build()

    @property
    def answered(self) -> int:
        """How many steps have an answer, from the analyst or from the log."""
        return sum(self._answer(step) is not None for step in self._steps)

    def _build(self) -> None:
        tr = self._tr
        self._progress, self._text, self._saved, self._result = html(), html(), html(), html()
        self._list = widgets.Select(
            options=self._marked(),
            rows=len(self._steps),
            layout=widgets.Layout(width="330px", max_width="100%", height="auto"),
        )
        self._list.observe(lambda _: self._open(), "index")
        self._inputs = widgets.VBox(layout=widgets.Layout(width="100%"))
        self._note = labelled(
            widgets.Textarea,
            tr("Note"),
            width="98%",
            rows=2,
            continuous_update=False,
            placeholder=tr("kept with the answer"),
        )
        self._who = labelled(
            widgets.Text, tr("Who"), width="320px", continuous_update=False, placeholder=tr("who answered")
        )
        self._note.observe(lambda _: self._keep(), "value")
        again = widgets.Button(description=tr("Next step"), icon="arrow-right")
        again.on_click(lambda _: self._next())
        right = widgets.VBox(
            [self._text, self._inputs, self._note, rows(self._who, again), self._saved],
            layout=widgets.Layout(flex="1 1 420px", min_width="300px", margin="0 0 0 14px"),
        )
        self._opening = False
        self._value: Callable[[], object] = lambda: None
        self._show(self._progress, rows(self._list, right), self._result)
        self._open()
        self._tell()

    @property
    def _step(self) -> Step:
        return self._steps[self._list.index or 0]

    def _answer(self, step: Step) -> object:
        kept = given(self.answers.all(), step.id)
        mine: object = kept.answer or (kept.ports or None)
        logged = self._from_log.get(step.id)
        return mine or (logged.answer_id if step.from_log and logged else None)

    def _marked(self) -> list[tuple[str, int]]:
        marks = ["\u2713" if self._answer(s) is not None else "\u25cb" for s in self._steps]
        return [(f"{m}  {s.number}  {s.title}", i) for i, (m, s) in enumerate(zip(marks, self._steps, strict=True))]

    def _next(self) -> None:
        self._list.index = ((self._list.index or 0) + 1) % len(self._steps)

    def _open(self) -> None:
        """Show the chosen step with what is kept for it."""
        if self._opening:
            return
        self._opening = True
        step, kept = self._step, given(self.answers.all(), self._step.id)
        self._text.value = self._described(step)
        self._inputs.children = tuple(self._asked(step))
        self._note.value, self._who.value = kept.note, kept.who or self._who.value
        self._saved.value = (
            note(self._tr("answered by {who} at {when}", who=kept.who or "?", when=kept.when)) if kept.when else ""
        )
        self._opening = False

    def _described(self, step: Step) -> str:
        tr, logged = self._tr, self._from_log.get(step.id)
        parts = [f"<h4>{safe(step.number)} \u00b7 {safe(step.title)}</h4>", paragraph(step.question, strong=True)]
        parts += [paragraph(step.why), paragraph(tr("How to find out: {how}", how=step.how))]
        if logged:
            parts.append(self._logged(step, logged))
        covers = tr("Covered: {covered} Not covered: {not_covered}", covered=step.covered, not_covered=step.not_covered)
        return "".join([*parts, note(covers)])

    def _logged(self, step: Step, logged: LogAnswer) -> str:
        tr, chosen = self._tr, step.answer(logged.answer_id) if step.from_log else None
        parts = [paragraph(tr("The log says: {text}", text=logged.text))]
        if chosen:
            parts.append(
                paragraph(tr("Answer from the log: {answer}. {meaning}", answer=chosen.label, meaning=chosen.meaning))
            )
        places = "; ".join(
            tr("{file} line {line}", file=file.rsplit("/", 1)[-1], line=line) for file, line in logged.refs
        )
        return box(*parts, note(tr("See {places}.", places=places)) if places else "")

    def _asked(self, step: Step) -> list[Any]:
        """Return the inputs of a step; `self._value` reads them."""
        kind = {"ports": self._ask_ports, "router": self._ask_router, "date_text": self._ask_day}
        return kind.get(step.kind, self._ask_choice)(step)

    def _choice(self, step: Step) -> Any:
        logged = self._from_log.get(step.id)
        found = step.answer(logged.answer_id) if step.from_log and logged else None
        none = self._tr("as the log says: {answer}", answer=found.label) if found else self._tr("not answered")
        options = [(none, _NONE), *((a.label, a.id) for a in step.answers)]
        kept = given(self.answers.all(), step.id).answer
        value = kept if step.answer(kept) else _NONE
        return labelled(widgets.RadioButtons, self._tr("Answer"), width="98%", options=options, value=value)

    def _ask_choice(self, step: Step) -> list[Any]:
        choice, meaning = self._choice(step), html()
        self._value = lambda: choice.value or None

        def chosen(_: object = None) -> None:
            found = step.answer(choice.value)
            meaning.value = f"<p>\u2192 {safe(found.meaning)}</p>" if found else ""

        chosen()
        choice.observe(chosen, "value")
        choice.observe(lambda _: self._keep(), "value")
        return [choice, meaning]

    def _ask_day(self, step: Step) -> list[Any]:
        inputs = self._ask_choice(step)
        choice, kept = inputs[0], given(self.answers.all(), step.id)
        day = labelled(widgets.DatePicker, self._tr("Day of change"), width="300px", value=kept.day)
        against = html()
        self._value = lambda: (
            {"answer": choice.value or None, "day": day.value.isoformat() if day.value else None}
            if choice.value or day.value
            else None
        )

        def compared(_: object = None) -> None:
            against.value = self._compared(day.value)

        compared()
        day.observe(compared, "value")
        day.observe(lambda _: self._keep(), "value")
        return [*inputs, day, against]

    def _compared(self, day: date | None) -> str:
        began = trouble_began(self.case)
        if day is None or began is None:
            return ""
        tr, here = self._tr, began.astimezone(ZoneInfo(self._tr.time_zone)).date()
        apart = (here - day).days
        if apart == 0:
            said = tr("The first lasting loss in the log is of the same day.")
        elif apart > 0:
            said = tr.count(
                "The first lasting loss in the log came {n} day after the change.",
                "The first lasting loss in the log came {n} days after the change.",
                apart,
            )
        else:
            said = tr.count(
                "The first lasting loss in the log came {n} day before the change.",
                "The first lasting loss in the log came {n} days before the change.",
                -apart,
            )
        return paragraph(said)

    def _ask_router(self, step: Step) -> list[Any]:
        tr, kept = self._tr, given(self.answers.all(), step.id)
        inputs = self._ask_choice(step)
        choice = inputs[0]
        options = [
            (tr("not chosen"), _NONE),
            (tr("another, not listed"), tr("another, not listed")),
            *((p, p) for p in products()),
        ]
        value = kept.router if kept.router in {v for _, v in options} else _NONE
        router = labelled(widgets.Dropdown, tr("Router"), options=options, value=value)
        seconds = labelled(
            widgets.BoundedFloatText,
            tr("Read from it (s)"),
            width="250px",
            min=0,
            max=10_000_000,
            step=1,
            value=kept.seconds or 0,
        )
        told = html()

        def value_of() -> dict[str, Any] | None:
            found = {"answer": choice.value or None, "router": router.value or None, "seconds": seconds.value or None}
            return found if any(found.values()) else None

        def tell(_: object = None) -> None:
            told.value = self._router(router.value)

        tell()
        router.observe(tell, "value")
        for given_box in (router, seconds):
            given_box.observe(lambda _: self._keep(), "value")
        self._value = value_of
        return [rows(router, seconds), told, *inputs]

    def _router(self, product: str) -> str:
        if product not in products():
            return note(self._tr("Not known: read the timeout for UDP entries from the device.")) if product else ""
        from starface_nb.guide import router_default

        said, command = setting(product, self.case.settings.recommended_timeout_s, self._tr)
        source = router_default(product).source
        shown = listed(said) + (f'<div class="sfnb-lines">{safe(chr(10).join(command))}</div>' if command else "")
        return shown + note(
            self._tr("Source: {source}", source=source)
            if source
            else self._tr("No source states this: check on the device.")
        )

    def _ask_ports(self, step: Step) -> list[Any]:
        kept = dict(given(self.answers.all(), step.id).ports)
        boxes: dict[str, Any] = {}
        lines = []
        options = [(self._tr("open question"), _NONE), *((a.label, a.id) for a in step.answers)]
        for port in port_checklist(self._tr):
            value = kept.get(port.id, _NONE)
            tick = widgets.Dropdown(
                options=options,
                value=value if step.answer(value) else _NONE,
                layout=widgets.Layout(width="150px", flex="0 0 auto"),
                description="",
                tooltip=f"{port.port}/{port.protocol}",
            )
            tick.observe(lambda _: self._keep(), "value")
            boxes[port.id] = tick
            name = f"<b>{safe(port.port)}/{safe(port.protocol)}</b> {safe(port.purpose)}"
            text = f"{name} <span class='sfnb-note'>({safe(port.scope)}; {safe(port.direction)})</span>"
            lines.append(
                widgets.HBox(
                    [tick, html(text)], layout=widgets.Layout(width="100%", align_items="center", flex="0 0 auto")
                )
            )
        self._value = lambda: {port: tick.value for port, tick in boxes.items() if tick.value} or None
        return [widgets.VBox(lines, layout=widgets.Layout(max_height="360px", overflow="auto", width="100%"))]

    def _keep(self) -> None:
        """Save what is asked on the screen at once."""
        if self._opening:
            return
        step, value = self._step, self._value()
        if value is None and not self._note.value and self.answers.get(step.id) is None:
            return
        try:
            self.answers.set(step.id, value, self._note.value, self._who.value)
        except StarfaceError as error:
            self._open()
            self._saved.value = bad(str(error))
        else:
            self._saved.value = f'<p class="sfnb-good">{safe(self._tr("Saved."))}</p>'
        self._tell()

    def _tell(self) -> None:
        tr, total = self._tr, len(self._steps)
        self.conclusion = conclusion(self.case, self.answers.all(), tr)
        marked, index = self._marked(), self._list.index
        if [label for label, _ in self._list.options] != [label for label, _ in marked]:
            self._opening = True  # new marks, the same step
            with self._list.hold_sync():
                self._list.options = marked
                self._list.index = index
            self._opening = False
        share = 100 * self.answered // total
        said = tr("{n} of {total} answered", n=self.answered, total=total)
        bar = f'<span class="sfnb-bar" role="img" aria-label="{safe(said)}"><i style="width:{share}%"></i></span>'
        self._progress.value = f"<p>{bar}{safe(said)}</p>"
        found = self.conclusion
        reasons = paragraph(tr("Why:")) + listed(found.reasons) if found.reasons else ""
        steps = paragraph(tr("What to do next:")) + listed(found.next_steps, "ol") if found.next_steps else ""
        body = box(paragraph(found.headline, strong=True), reasons, steps)
        self._result.value = f"<h4>{safe(tr('Conclusion'))}</h4>{body}"
