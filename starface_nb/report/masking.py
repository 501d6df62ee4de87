"""The same diagnosis with phones called "Phone 1", "Phone 2": for reports that leave the house."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any

import polars as pl

from starface_nb.analysis.beside import listed_peers
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide import Translator
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.privacy.pseudonyms import Draw, Pseudonyms
from starface_nb.privacy.rewrite import Rewriter
from starface_nb.reading import catalogue, layouts
from starface_nb.reading.log import Log
from starface_nb.reading.messages import decode, read_lines

_SAYS_NOTHING = {"full", "messages", "pbx", "log"}  # names that Asterisk or STARFACE gave a file, not the customer
_HIDDEN = "…"


class _Labels(Pseudonyms):
    """Replaces what identifies somebody by its label, and what has none by an ellipsis."""

    def __init__(self, labels: dict[str, str]) -> None:
        super().__init__(b"")
        self._labels = labels

    def name(self, text: str) -> str:
        """Return the label of a whole name."""
        return self._labels.get(text, _HIDDEN)

    def _assign(self, sort: str, text: str, draw: Draw) -> str:  # noqa: ARG002
        return self._labels.get(text, _HIDDEN)


@dataclass(frozen=True)
class Mask:
    """Which label stands for which name; `labels` maps every peer of a log to its label."""

    labels: dict[str, str]

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        names = sorted((name for name in self.labels if name), key=lambda name: (-len(name), name))
        inner = "|".join(re.escape(name) for name in names)
        return re.compile(rf"(?<![0-9A-Za-z])(?:{inner})(?![0-9A-Za-z])") if names else None

    def text(self, text: str) -> str:
        """Return `text` with every name replaced by its label."""
        return self._pattern.sub(lambda found: self.labels[found[0]], text) if self._pattern else text

    def line(self, text: str) -> str:
        """Return the time and the message of a log line as anonymising understands it, names replaced by labels."""
        raw = text.encode()
        row = read_lines(decode([raw]), layouts.usual_prefix([raw]), words=True).row(0, named=True)
        entry, shown = row["entry"], None
        if entry is not None:
            shown = Rewriter(_Labels(self.labels)).message(row["bare"], catalogue.entries()[entry].pattern, row["peer"])
        return (f"[{row['stamp']}] " if row["stamp"] else "") + (shown or _HIDDEN)

    def value(self, value: Any) -> Any:
        """Return a value of a finding with every name replaced, at any depth."""
        if isinstance(value, str):
            return self.labels.get(value) or self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value

    def answers(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return kept answers with every name in their notes replaced, and without who gave them."""
        return {
            step: {**entry, "note": self.text(entry.get("note") or ""), "who": ""} for step, entry in answers.items()
        }


def mask(diagnosis: Diagnosis, tr: Translator) -> tuple[Diagnosis, Mask]:
    """Return the diagnosis without any name of a phone, and the mask that was used.

    Phones are numbered by site and name, the same in every table, picture and line of one log.
    """
    found = Mask(_files(diagnosis.log, tr) | _addresses(diagnosis, tr) | _labels(diagnosis, tr))
    events = _renamed(diagnosis.log.events, found).with_columns(
        contact=pl.lit(None, dtype=pl.String), detail=pl.lit(None, dtype=pl.String)
    )
    router, values = diagnosis.router, vars(diagnosis).items()
    frames: dict[str, Any] = {n: _renamed(value, found) for n, value in values if isinstance(value, pl.DataFrame)}
    logs = {file.name: tr("Log {n}", n=n) for n, file in enumerate(diagnosis.log.files, 1)}
    frames["intervals"] = frames["intervals"].with_columns(
        pl.col("file").cast(pl.String).replace(logs),
        evidence=pl.lit("{}"),  # which names other phones
    )
    return replace(
        diagnosis,
        **frames,
        log=_masked_log(diagnosis.log, events, found),
        router=replace(router, logs=(), events=_renamed(router.events, found)),
        findings=tuple(replace(one, values=found.value(one.values)) for one in diagnosis.findings),
    ), found


def _masked_log(log: Log, events: pl.DataFrame, found: Mask) -> Log:
    listed = listed_peers(log).with_columns(cut=pl.lit(value=False)).drop("in_log")
    bundle = replace(log.bundle, peers=_renamed(listed, found), facts=_renamed(log.bundle.facts, found))
    notes = tuple(map(found.text, log.notes))
    return replace(
        log, notes=notes, events=events, unparsed=log.unparsed.clear(), calls=log.calls.clear(), bundle=bundle
    )


def _files(log: Log, tr: Translator) -> dict[str, str]:
    """Return a label for every name that somebody gave a log or its archive, such as the customer's own."""
    names = {
        PurePath(part).name: tr("Log {n}", n=n)
        for n, file in enumerate(log.files, 1)
        for part in (file.name, file.name.split("!")[0])
    }
    return {name: label for name, label in names.items() if name.split(".")[0].lower() not in _SAYS_NOTHING}


def _labels(diagnosis: Diagnosis, tr: Translator) -> dict[str, str]:
    labels: dict[str, str] = {}
    counts = {True: 0, False: 0}
    for peer, trunk in diagnosis.phones.sort("site", "peer").select("peer", "trunk").iter_rows():
        counts[trunk] += 1
        labels[peer] = tr("Trunk {n}", n=counts[trunk]) if trunk else tr("Phone {n}", n=counts[trunk])
    log = diagnosis.log
    named = (log.events["peer"], listed_peers(log)["peer"], log.bundle.facts["peer"])
    others = {peer for column in named for peer in column.drop_nulls().unique()} - labels.keys()
    return labels | {peer: tr("Identity {n}", n=n) for n, peer in enumerate(sorted(others), 1)}


def _addresses(diagnosis: Diagnosis, tr: Translator) -> dict[str, str]:
    """Return a label for every address: of a site's those of the site, of any other one of its own."""
    labels: dict[str, str] = {}
    sites = diagnosis.sites.sort("site").select("site", "addresses").iter_rows()
    for n, (site, addresses) in enumerate((row for row in sites if row[0] != UNKNOWN), 1):
        labels |= dict.fromkeys([site, *addresses], tr("Site {n}", n=n))
    named = pl.concat([diagnosis.log.events["address"], diagnosis.router.events["address"]])
    others = sorted(set(named.drop_nulls()) - labels.keys())
    return labels | {address: tr("Address {n}", n=n) for n, address in enumerate(others, 1)}


def _renamed(frame: pl.DataFrame, found: Mask) -> pl.DataFrame:
    texts = [name for name in ("peer", "site", "address") if name in frame.columns]
    lists = [name for name in ("addresses",) if name in frame.columns]
    return frame.with_columns(
        pl.col(texts).replace(found.labels),
        pl.col(lists).list.eval(pl.element().replace(found.labels)).list.unique(maintain_order=True),
    )
