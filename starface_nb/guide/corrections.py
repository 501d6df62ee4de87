"""The analyst's word: names for customer, sites and phones, and causes that were put right; kept beside the answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.incidents import find_incidents

_LOSS, _NAME = "loss:", "name:"
CUSTOMER = "customer"


@dataclass(frozen=True)
class Correction:
    """What an analyst said of one loss: another cause, a note, or both; `cause` is None for a note alone."""

    peer: str
    start: datetime
    cause: str | None
    note: str
    who: str
    when: str


def loss_key(peer: str, start: datetime) -> str:
    """Return the step id under which a word on a loss is kept; `start` is aware."""
    return f"{_LOSS}{start.timestamp():.3f}@{peer}"


def name_key(what: str) -> str:
    """Return the step id under which a name is kept: of a site, of a phone, or of the `customer`."""
    return f"{_NAME}{what}"


def names_given(answers: Mapping[str, Any]) -> dict[str, str]:
    """Return the names that were given, by site, phone or `customer`."""
    kept = ((key, entry["answer"]) for key, entry in answers.items() if key.startswith(_NAME))
    return {key.removeprefix(_NAME): name for key, name in kept if name}


def corrections(diagnosis: Diagnosis, answers: Mapping[str, Any]) -> list[Correction]:
    """Return what was said of losses that are in this log, in the order of their begin."""
    said = {
        key: entry for key, entry in answers.items() if key.startswith(_LOSS) and (entry["answer"] or entry["note"])
    }
    if not said:
        return []
    losses = diagnosis.intervals.sort("start", "peer").select("peer", "start").iter_rows()
    told = ((peer, start, said.get(loss_key(peer, start))) for peer, start in losses)
    return [
        Correction(peer, start, one["answer"], one["note"], one["who"], one["when"]) for peer, start, one in told if one
    ]


def corrected(diagnosis: Diagnosis, answers: Mapping[str, Any]) -> Diagnosis:
    """Return the diagnosis with the causes that the analyst put right; brackets and verdicts stay the log's."""
    mine = [(one.peer, one.start, one.cause) for one in corrections(diagnosis, answers) if one.cause]
    if not mine:
        return diagnosis
    losses = diagnosis.intervals
    schema = {name: losses.schema[name] for name in ("peer", "start")} | {"said": losses.schema["cause"]}
    told = pl.DataFrame(mine, schema=schema, orient="row")
    joined = losses.join(told, on=["peer", "start"], how="left", maintain_order="left")
    intervals = joined.with_columns(
        cause=pl.coalesce("said", "cause"),
        confidence=pl.when(pl.col("said").is_null()).then("confidence").otherwise(1.0),
    ).drop("said")
    incidents, ids = find_incidents(intervals, diagnosis.eras)
    router = diagnosis.router.with_incidents(intervals, ids)
    return replace(diagnosis, intervals=intervals, incidents=incidents, incident_of=ids, router=router)
