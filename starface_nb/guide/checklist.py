"""The vendor guide's checklist and port table as data, in one language, and how answers are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from starface_nb.guide.answers import LogAnswer
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import HERE, worded
from starface_nb.tables import table


@dataclass(frozen=True)
class Answer:
    """One possible answer: its id, what it says, and what it means."""

    id: str
    label: str
    meaning: str


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
    sites : Mapping
        For `router`: `router` and `seconds` by site, where they differ from site to site.
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
    sites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step of the guide, worded in one language.

    Attributes
    ----------
    id, number : str
        `number` is the guide's own: `1` to `7`, or `L` for the log step.
    title, question, why, how : str
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
    covered: str
    not_covered: str
    kind: str
    answers: tuple[Answer, ...]
    from_log: bool
    editions: tuple[str, ...]

    def answer(self, answer_id: str | None) -> Answer | None:
        """Return the answer with this id, or None."""
        return next((a for a in self.answers if a.id == answer_id), None)

    def of_log(self, logged: LogAnswer | None) -> Answer | None:
        """Return the answer that the log alone gives, where it may."""
        return self.answer(logged.answer_id) if logged and self.from_log else None

    def counted(self, kept: Given, tr: Translator) -> str:
        """Return how many of its ports were given which answer; empty where none was."""
        counts = ((answer.label, list(kept.ports.values()).count(answer.id)) for answer in self.answers)
        return ", ".join(tr("{name}: {text}", name=label, text=tr.number(n)) for label, n in counts if n)


def checklist(tr: Translator) -> tuple[Step, ...]:
    """Return the guide's steps in their order, worded in the translator's language."""
    return tuple(
        Step(
            **worded(raw, tr)
            | {
                "answers": tuple(Answer(**worded(answer, tr)) for answer in raw["answers"]),
                "editions": tuple(raw["editions"]),
            }
        )
        for raw in table("guide/checklist")["steps"]
    )


def given(answers: Mapping[str, Any] | None, step_id: str) -> Given:
    """Read one kept answer.

    Parameters
    ----------
    answers : Mapping or None
        Entries by step id with `answer`, `note`, `who`, `when`; `answer` is the id of an answer, or a mapping:
        `{"answer", "day"}` for a date, `{"answer", "router", "seconds", "sites"}` for the router, and answer ids by
        port id for the ports.
    step_id : str
    """
    entry = dict((answers or {}).get(step_id) or {})
    value = entry.pop("answer", None)
    about: dict[str, Any] = {name: entry.get(name) or "" for name in ("note", "who", "when")}
    if step_id == "ports":
        return Given(ports=value or {}, **about)
    chosen = value if isinstance(value, Mapping) else {"answer": value}
    known = {name: chosen[name] for name in ("answer", "router", "seconds", "sites") if chosen.get(name)}
    return Given(day=_day(chosen.get("day")), **known, **about)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def ports() -> pl.DataFrame:
    """Return the ports that phones and apps need, one row each; every column is text.

    Returns
    -------
    polars.DataFrame
        `id`, `port` (or range), `protocol`, `direction` (which side opens the connection, where the source says so),
        `purpose`, `scope` (who needs it) and `source`.
    """
    return pl.read_csv(HERE / "ports.csv", infer_schema=False)


def port_checklist(tr: Translator) -> list[dict[str, Any]]:
    """Return the rows of `ports` to tick one by one, in the translator's language, those that phones need first.

    `for_phones` marks those that desk phones need; `stated` says whether the source states the direction.
    """
    rows = ports().with_columns(
        for_phones=pl.col("scope").str.contains("phones"), stated=pl.col("direction") != "not stated"
    )
    worded = pl.col("direction", "purpose", "scope").map_elements(tr, return_dtype=pl.String)
    return rows.with_columns(worded).sort("for_phones", descending=True, maintain_order=True).to_dicts()
