"""The vendor guide's checklist as data, in one language, and how its answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from starface_nb.guide import data
from starface_nb.guide.i18n import Translator


@dataclass(frozen=True)
class Answer:
    """One possible answer: its id, what it says, and what it means."""

    id: str
    label: str
    meaning: str


@dataclass(frozen=True)
class Step:
    """One step of the guide, worded in one language.

    Attributes
    ----------
    id, number : str
        `number` is the guide's own: `1` to `7`, or `L` for the log step.
    title, question, why, how : str
    evidence : str
        Which evidence the log gives.
    covered, not_covered : str
        What the check of the log covers, and what it does not.
    kind : str
        `choice`, `date_text`, `ports` (each port gets an answer) or `router` (a model and an answer).
    answers : tuple of Answer
    from_log : bool
        True where the log alone may answer it.
    editions : tuple of str
        Editions of the guide that have the step: `fr`, `de`.
    """

    id: str
    number: str
    title: str
    question: str
    why: str
    how: str
    evidence: str
    covered: str
    not_covered: str
    kind: str
    answers: tuple[Answer, ...]
    from_log: bool
    editions: tuple[str, ...]

    def answer(self, answer_id: str | None) -> Answer | None:
        """Return the answer with this id, or None."""
        return next((a for a in self.answers if a.id == answer_id), None)


@dataclass(frozen=True)
class Given:
    """What was answered to a step.

    Attributes
    ----------
    answer : str or None
        Id of the answer; None where nothing was chosen.
    note, who, when : str
        `when` is ISO 8601.
    day : date or None
        For `date_text`: when the change was made.
    router : str or None
        For `router`: the product.
    seconds : float or None
        For `router`: the timeout read from the device, s.
    ports : Mapping
        For `ports`: answer id by port id.
    """

    answer: str | None = None
    note: str = ""
    who: str = ""
    when: str = ""
    day: date | None = None
    router: str | None = None
    seconds: float | None = None
    ports: Mapping[str, str] = field(default_factory=dict)


def checklist(tr: Translator) -> tuple[Step, ...]:
    """Return the guide's steps in their order, worded in the translator's language."""
    return tuple(_step(raw, tr) for raw in data.toml("checklist.toml")["steps"])


def _step(raw: dict[str, Any], tr: Translator) -> Step:
    answers = tuple(Answer(**data.worded(answer, tr)) for answer in raw["answers"])
    return Step(**data.worded(raw, tr) | {"answers": answers, "editions": tuple(raw["editions"])})


def given(answers: Mapping[str, Any] | None, step_id: str) -> Given:
    """Read one kept answer.

    Parameters
    ----------
    answers : Mapping or None
        Entries by step id with `answer`, `note`, `who`, `when`; `answer` is the id of an answer, or a mapping:
        `{"answer", "day"}` for a date, `{"answer", "router", "seconds"}` for the router, and answer ids by port id
        for the ports.
    step_id : str
    """
    entry = (answers or {}).get(step_id)
    if entry is None:
        return Given()
    if not isinstance(entry, Mapping) or "answer" not in entry:
        entry = {"answer": entry}
    value = entry["answer"]
    rest: dict[str, Any] = {k: str(entry.get(k) or "") for k in ("note", "who", "when")}
    if not isinstance(value, Mapping):
        return Given(answer=None if value is None else str(value), **rest)
    if step_id == "ports":
        return Given(ports={str(k): str(v) for k, v in value.items()}, **rest)
    answer, router, seconds = value.get("answer"), value.get("router"), value.get("seconds")
    return Given(
        answer=None if answer is None else str(answer),
        day=_day(value.get("day")),
        router=str(router) if router else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        **rest,
    )


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
