"""Everything the report's template needs, put together from a diagnosis and the answers to the checklist."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

import polars as pl

import starface_nb
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.answers import answers_from_log
from starface_nb.guide.causes import sentences, word
from starface_nb.guide.checklist import Given, Step, checklist, given
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.conclusion import cured_sites, from_answers, headline
from starface_nb.guide.findings import finding_text
from starface_nb.guide.i18n import Translator
from starface_nb.guide.ports import port_checklist
from starface_nb.guide.readings import keepalive_experiment, keepalive_readings, limits
from starface_nb.guide.routers import defaults_in_bracket, find_product, products, router_default, setting
from starface_nb.guide.words import site_name, timeout_text
from starface_nb.report.evidence import evidence
from starface_nb.report.masking import Mask
from starface_nb.report.pictures import proofs, timeline
from starface_nb.report.tables import lost_phones, other_causes, site_rows

Context = dict[str, Any]
_MOST_HINTS, _MOST_FINDINGS = 8, 6
# Findings that stand in the table of sites, among the other causes, or among what the log cannot show.
_SHOWN_ELSEWHERE = {
    "nat_too_short",
    "nat_below_probe",
    "timeout_fixed",
    "not_cured",
    "other_causes",
    "unparsed",
    "note",
}


def context(
    shown: Diagnosis, tr: Translator, found: Mask | None, answers: Mapping[str, Any], router: str | None
) -> Context:
    """Return the values for the template; `shown` is masked already where `found` is given."""
    short = shown.sites.filter(pl.col("verdict") == "too_short").sort("site")
    losses = shown.intervals.filter(~pl.col("trunk"))
    reasons, steps = from_answers(shown, answers, tr)
    said = [f for f in shown.findings if f.id not in _SHOWN_ELSEWHERE]
    urgent = [f for f in said if f.severity != "info"][:_MOST_FINDINGS]
    notes = [finding_text(f, tr) for f in said if f.severity == "info"]
    return {
        "tr": tr,
        "word": word,
        "moment": moment,
        "timeout_text": timeout_text,
        "diagnosis": shown,
        "files": [PurePath(file.name).name for file in shown.log.files],
        "headline": headline(shown, tr),
        "tone": "bad" if short.height else "open" if "undetermined" in shown.sites["verdict"] else "good",
        "phones": shown.phones.filter(~pl.col("trunk")).height,
        "losses": losses.height,
        "nat": losses.filter(pl.col("cause") == "nat_expiry").height,
        "sites": site_rows(shown, tr),
        "cycles": {n: tr.number(int(shown.eras[f"cycles_{n}"].sum())) for n in ("expired", "survived", "excluded")},
        "findings": [(word("severity", f.severity, tr), finding_text(f, tr)) for f in urgent],
        "to_set": [site_name(site, tr) for site in short["site"]],
        "router": _router(router, answers, shown, tr),
        "cured": cured_sites(shown).height > 0,
        "hints": _hints(short, tr),
        "verify": sentences("verify", tr, keepalive=tr.duration(shown.settings.keepalive_s)),
        "others": other_causes(shown, tr),
        "timeline": timeline(shown, tr) if shown.phones.height else None,
        "proofs": proofs(shown, _provable(shown), tr),
        "groups": lost_phones(shown, tr),
        "steps": _steps(shown, answers, found, tr),
        "follows": reasons + steps,
        "ports": port_checklist(tr),
        "ticked": given(answers, "ports").ports,
        "readings": keepalive_readings(shown, tr),
        "limits": limits(tr),
        "guide_experiment": keepalive_experiment(tr),
        "experiment": next_experiment(shown, tr),
        "notes": [*notes, *shown.log.notes],
        "blind_spots": sentences("blind_spots", tr, probe=tr.duration(shown.settings.probe_interval_s)),
        "evidence": evidence(shown, found, tr),
        "versions": {"starface-nb": starface_nb.__version__, "Python": platform.python_version()},
        "masked": found is not None,
    }


def moment(when: datetime, tr: Translator) -> str:
    """Return a moment to the minute, with the month as a word."""
    return tr.time(when, {"de": "d. MMM y, HH:mm"}.get(tr.language, "d MMM y, HH:mm"))


def _router(router: str | None, answers: Mapping[str, Any], shown: Diagnosis, tr: Translator) -> Context | None:
    """How to set the timeout on the customer's router, where it is one that is known."""
    chosen = find_product(router) if router else given(answers, "nat").router
    if chosen not in products():
        return None
    said, commands = setting(chosen, shown.settings.recommended_timeout_s, tr)
    return {"name": chosen, "said": said, "commands": commands, "source": router_default(chosen).source}


def _hints(short: pl.DataFrame, tr: Translator) -> list[str]:
    named: dict[str, None] = {}
    for low, high in short.select("low_s", "high_s").iter_rows():
        for row in defaults_in_bracket(low, high).filter(~pl.col("legacy")).to_dicts():
            named[f"{row['product']} ({tr.duration(row['seconds'])})"] = None
    return list(named)[:_MOST_HINTS]


def _provable(shown: Diagnosis) -> list[str]:
    """Sites whose picture proves something, those with the most dead entries first."""
    ranked = shown.eras.group_by("site").agg(pl.col("cycles_expired").sum()).filter(pl.col("cycles_expired") > 0)
    return ranked.sort("cycles_expired", "site", descending=[True, False])["site"].to_list()


def _steps(shown: Diagnosis, answers: Mapping[str, Any], found: Mask | None, tr: Translator) -> list[Context]:
    from_log = answers_from_log(shown, tr)
    rows = []
    for step in checklist(tr):
        log, kept = from_log.get(step.id), given(answers, step.id)
        chosen = step.answer(log.answer_id) if log else None
        said = [_given(step, kept, tr), found.text(kept.note) if found else kept.note]
        rows.append(
            {
                "step": step,
                "log": log,
                "log_choice": chosen.label if chosen else "",
                "given": ", ".join(filter(None, said)),
                "by": ", ".join(filter(None, ("" if found else kept.who, kept.when[:10]))),
            }
        )
    return rows


def _given(step: Step, kept: Given, tr: Translator) -> str:
    if kept.ports:
        counts = [(a.label, sum(v == a.id for v in kept.ports.values())) for a in step.answers]
        return ", ".join(tr("{name}: {text}", name=label, text=tr.number(n)) for label, n in counts if n)
    chosen = step.answer(kept.answer)
    parts = (
        chosen.label if chosen else "",
        kept.day.isoformat() if kept.day else "",
        kept.router or "",
        tr.duration(kept.seconds) if kept.seconds else "",
    )
    return ", ".join(filter(None, parts))
