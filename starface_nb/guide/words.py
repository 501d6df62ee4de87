"""What the guide's data files say in one language: vocabularies, causes, findings, brackets and durations.

Every text in them is English and the key of its translations.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis, Finding
from starface_nb.analysis.incidents import OF_A_SITE
from starface_nb.guide.i18n import Translator
from starface_nb.observations.completeness import FORBID_ALL_CLEAR
from starface_nb.sources import foreign
from starface_nb.tables import table

HERE = Path(__file__).parent
# Which values of a TOML file are shown to people and therefore translated; in texts.toml all are.
TEXTS = frozenset({"title", "question", "why", "how", "covered", "not_covered",
                   "label", "meaning", "name", "advice", "text"})  # fmt: skip
_SENTENCES = {"why", "how", "span", "what", "rest"}  # of notes: values that are such texts themselves, and numbers
_COUNTS = {"n", "before"}
_NUMBERS = {*_COUNTS, "line", "byte", "first", "last"}
_SENTENCE_END = re.compile(r"(?<=[.?]) (?=[A-Z]|skipped: )")
MOST_TERMS = 2
"""Terms of a cause that are told in one sentence."""


def worded(entry: Mapping[str, Any], tr: Translator) -> dict[str, Any]:
    """Return an entry of a TOML file with its texts in the translator's language."""
    return {key: tr(value) if key in TEXTS else value for key, value in entry.items()}


def word(vocabulary: str, value: str, tr: Translator, **values: object) -> str:
    """Return a word or sentence of a vocabulary in `texts.toml`, such as `verdict` or `severity`, its values put in."""
    return tr(table("guide/texts")[vocabulary][value], **values)


def sentences(name: str, tr: Translator, **values: object) -> list[str]:
    """Return a list of sentences in `texts.toml`: `verify` or `blind_spots`."""
    return [tr(text, **values) for text in table("guide/texts")[name]]


def about_cause(cause: str, tr: Translator) -> dict[str, str]:
    """Return `name`, `meaning` (a sentence) and `advice` (what to do) of a cause."""
    return worded(table("guide/causes")["cause"][cause], tr)


def cause_name(cause: str, tr: Translator) -> str:
    """Return the short name of a cause."""
    return about_cause(cause, tr)["name"]


def timeout_text(seconds: float, tr: Translator) -> str:
    """Return a timeout as it is entered in a router: in minutes where it is whole minutes, and in seconds."""
    whole = round(seconds)
    said = tr.count("{n} second", "{n} seconds", whole)
    if whole < 120 or whole % 60:
        return said
    return f"{tr.count('{n} minute', '{n} minutes', whole // 60)} ({said})"


def bracket_text(low_s: float | None, high_s: float | None, tr: Translator) -> str:
    """Return a bracket in words."""
    low, high = (tr.duration(seconds or 0.0) for seconds in (low_s, high_s))
    if high_s is not None:
        return tr("more than {low}, at most {high}", low=low, high=high) if low_s else tr("at most {high}", high=high)
    return tr("more than {low}", low=low) if low_s else tr("not known")


def site_bracket(row: Mapping[str, Any], tr: Translator, told: Callable[..., str] = bracket_text) -> str:
    """Return the bracket of a site or era in words; none beside a verdict that is not told."""
    ends = (None, None) if row["verdict"] == "undetermined" else (row["low_s"], row["high_s"])
    return told(*ends, tr)


def short_bracket(low_s: float | None, high_s: float | None, tr: Translator) -> str:
    """Return a bracket in few words."""
    if not low_s or high_s is None:
        return bracket_text(low_s, high_s, tr)
    return tr("{low} to {high}", low=tr.duration(low_s), high=tr.duration(high_s))


def site_name(site: str, tr: Translator) -> str:
    """Return a site as it is shown: its address, that it is not known or without NAT, after the name it was given."""
    named = {"all": tr("all sites"), "unknown": tr("address not known")}
    named |= {"private addresses": tr("private addresses, no NAT in between")}
    shown, name = named.get(site, site), tr.names.get(site)
    return f"{name} ({shown})" if name else shown


def names(peers: list[str], tr: Translator, most: int = 6) -> str:
    """Return a list of names as text, cut after `most`."""
    more = len(peers) - most
    return ", ".join(peers[:most]) + (" " + tr.count("and {n} more", "and {n} more", more) if more > 0 else "")


def incident_text(incident: Mapping[str, Any], tr: Translator) -> str:
    """Return one sentence about an incident, a row of the frame of schema `INCIDENTS`."""
    who = incident["peer"] or tr.count("{n} phone", "{n} phones", incident["phones"])
    text = tr(
        "{name}: {who}, {losses}",
        name=cause_name(incident["cause"], tr),
        who=who,
        losses=tr.count("{n} loss", "{n} losses", incident["losses"]),
    )
    if incident["every_s"]:
        every, times = tr.duration(incident["every_s"]), tr.number(incident["repeats"])
        first = tr.time(incident["start"], "HH:mm")
        text += tr(", every {every} from {first} on, {times} times", every=every, first=first, times=times)
    if incident["lasts_s"]:
        text += tr(", usually for {time}", time=tr.duration(incident["lasts_s"]))
    return text + "."


def regular(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    """Return what strikes whole sites, or the PBX, at regular times: a sentence each, with what to do about it."""
    again = diagnosis.incidents.filter(
        pl.col("every_s").is_not_null(), pl.col("cause").cast(pl.String).is_in(["pbx_restart", *OF_A_SITE])
    )
    return [
        f"{tr('{name}: {text}', name=site_name(row['site'], tr), text=tr.inside(incident_text(row, tr)))} "
        + about_cause(row["cause"], tr)["advice"]
        for row in again.to_dicts()
    ]


def router_event_text(event: Mapping[str, Any], tr: Translator) -> str:
    """Return what a router's own log says at one time, a row of the frame of schema `ROUTER_EVENTS`."""
    what = word("router_event", event["kind"], tr)
    return f"{what} ({event['address']})" if event["address"] else what


def router_text(evidence: Mapping[str, Any], tr: Translator) -> str:
    """Return what the router's own log says of a loss, with what the log of the PBX alone said; empty where nothing."""
    said = evidence.get("router")
    if not said:
        return ""
    begin, end = (tr.time(datetime.fromisoformat(said[name])) for name in ("from", "to"))
    values = {"cause": tr.inside(cause_name(said["says"], tr)), "begin": begin, "end": end}
    if said["says"] == said["by_the_log"]:
        return tr("By the router's own log, too: {cause}, {begin} to {end}.", **values)
    other = tr.inside(cause_name(said["by_the_log"], tr))
    if said["says"] == "unknown":
        return tr(
            "By the router's own NAT table this phone's entry still lived. By this log alone: {other}.", other=other
        )
    return tr("By the router's own log: {cause}, {begin} to {end}. By this log alone: {other}.", other=other, **values)


def why(cause: str, evidence: Mapping[str, Any], tr: Translator) -> str:
    """Return the reason of a cause from the largest terms of its evidence.

    Parameters
    ----------
    cause : str
        One of the closed vocabulary.
    evidence : Mapping
        As it stands in the intervals: numbers and `terms`.
    """
    values = {
        "low": tr.duration(evidence.get("idle_low_s") or 0.0),
        "high": tr.duration(evidence.get("idle_high_s") or 0.0),
        "together": evidence.get("lost_together", 1),
        "at_risk": evidence.get("at_risk", 1),
        "places": evidence.get("places_struck", 0),
    }
    known = table("guide/texts")["why"]
    names = [term["term"] for term in evidence.get("terms") or [] if term["cause"] == cause]  # not of one taken back
    keys = [next((key for key in (f"{name}_{cause}", name) if key in known), None) for name in names]
    said = [word("why", key, tr, **values) for key in keys[:MOST_TERMS] if key is not None]
    return tr.joined(*said) + "." if said else word("why", "nothing", tr)


@cache
def _notes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (text, re.compile(re.sub(r"\\{(\w+)\\}", _any, re.escape(text))))
        for text in (*foreign.texts(), *table("guide/texts")["note"])
    )


def _any(name: re.Match[str]) -> str:
    return rf"(?P<{name[1]}>{r'[0-9,]+' if name[1] in _NUMBERS else '.+?'})"


def without_folders(note: str) -> str:
    """Return a note with files' names alone: whom it is shown to, the folders on this machine tell nothing."""
    return re.sub(r"(?<![\w<])(?:[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\])+([^\s/\\]+)", r"\1", note)


@lru_cache(4096)
def note_text(note: str, tr: Translator) -> str | None:
    """Return a note on a log, or why one is not read, in the translator's language; None where English alone has it."""
    if tr.language == "en":
        return note
    for text, pattern in _notes():
        if found := pattern.fullmatch(note):
            values = {name: _of_note(name, value, tr) for name, value in found.groupdict().items()}
            if None not in values.values():
                return tr(text, **values)
    for end in _SENTENCE_END.finditer(note):
        told = [note_text(part, tr) for part in (note[: end.start()], note[end.end() :])]
        if None not in told:
            return " ".join(map(str, told))
    return None


def _of_note(name: str, value: str, tr: Translator) -> str | None:
    if name in _COUNTS and re.fullmatch(r"[\d,]+", value):
        return tr.number(int(value.replace(",", "")))
    return note_text(value, tr) if name in _SENTENCES and not value.isdecimal() else value


def reservation(diagnosis: Diagnosis, tr: Translator) -> str:
    """Return why it proves little that a log shows no loss, in one sentence; nothing where it proves that none was."""
    lacking = diagnosis.observation.lacking
    why = tr.joined(*(word("missing", name, tr) for name in lacking.missing if name in FORBID_ALL_CLEAR))
    if why:
        return tr("Whether phones lose the connection cannot be told from this log: {missing}.", missing=why)
    if lacking.gaps.height or "rest" in lacking.missing:
        return tr("No phone was lost in what is there of this log; parts of it are missing.")
    return ""


def finding_text(finding: Finding, tr: Translator) -> str:
    """Return what a finding says.

    Values are put in by their kind: names ending in `_s` are durations, times are shown in the log's zone, shares as
    percentages; `told_as` names another sentence than that of the finding's id; `low_s` and `high_s` together are also
    `{bracket}`, and `set_s` is the timeout to enter. Names from the log are not escaped here: whoever shows the text
    does that.
    """
    entry = table("guide/findings")["finding"].get(finding.values.get("told_as", finding.id))
    if entry is None:
        return finding.id
    given: Mapping[str, Any] = finding.values
    values = {name: _said(name, value, tr) for name, value in given.items()}
    if "low_s" in given:
        values["bracket"] = bracket_text(given["low_s"], given.get("high_s"), tr)
    if finding.id == "incomplete_log":
        lacking: list[str] = list(given["missing"])
        if "others" in lacking:  # with them the PBX's restarts, without which lines of this phone seem to be missing
            lacking = [name for name in lacking if name not in ("unreachable", "reachable")]
        values["missing"] = tr.joined(*(word("missing", name, tr) for name in lacking))
        # A search leaves one direction; where both are missing, they were never written.
        ways = (
            ["discarded"]
            if "discarded" in lacking
            else [
                "notice" if {"unreachable", "reachable"} <= set(lacking) and "able" in name else name
                for name in lacking
            ]
        )
        values["how"] = " ".join(dict.fromkeys(word("missing_how", name, tr) for name in ways))
    return tr(entry["text"], **values)


def _said(name: str, value: Any, tr: Translator) -> str:
    """Return one value in words."""
    match value:
        case None:
            return ""
        case str() if name == "note":
            return note_text(value, tr) or value
        case datetime():
            return tr.time(value, "short")
        case {"low_s": low, "high_s": high}:
            return bracket_text(low, high, tr)
        case dict():
            return ", ".join(f"{tr.inside(cause_name(cause, tr))} ({tr.number(n)})" for cause, n in value.items())
        case list() | tuple():
            return names([str(one) for one in value], tr)
        case int() | float() if name == "set_s":
            return timeout_text(value, tr)
        case int() | float() if name.endswith("_s"):
            return tr.duration(value)
        case int() | float():
            return tr.percent(value) if name.startswith("probability") else tr.number(value, 1)
    return site_name(str(value), tr) if name == "site" else str(value)
