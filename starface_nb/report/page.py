"""Everything the report's template needs, put together from a diagnosis and a case."""

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
from starface_nb.guide.causes import word
from starface_nb.guide.checklist import Given, Step, checklist, given
from starface_nb.guide.conclusion import conclusion, cured_sites, how_to_verify, keepalive_experiment
from starface_nb.guide.findings import finding_text
from starface_nb.guide.i18n import Translator
from starface_nb.guide.limits import limits
from starface_nb.guide.ports import port_checklist
from starface_nb.guide.readings import keepalive_readings
from starface_nb.guide.routers import defaults_in_bracket, find_product, setting
from starface_nb.guide.words import names, site_name, timeout_text
from starface_nb.report import tables
from starface_nb.report.evidence import evidence
from starface_nb.report.masking import Mask
from starface_nb.report.pictures import proofs, timeline

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
    shown: Diagnosis,
    tr: Translator,
    *,
    found: Mask | None,
    answers: Mapping[str, Any],
    customer: str,
    router: str | None,
    created: datetime | None,
) -> Context:
    """Return the values for the template; `shown` is masked already where `found` is given."""
    short = shown.sites.filter(pl.col("verdict") == "too_short")
    product = router or given(answers, "nat").router
    sites, sites_left_out = tables.site_rows(shown, tr)
    groups, left_out = tables.phone_groups(shown, tr)
    return {
        "tr": tr,
        "customer": customer,
        "created": tables.moment(created, tr) if created else "",
        "files": [PurePath(file.name).name for file in shown.log.files],
        "span": _span(shown, tr),
        "conclusion": conclusion(shown, answers, tr),
        "tone": "bad" if short.height else "open" if "undetermined" in shown.sites["verdict"] else "good",
        "summary": _summary(shown, tr),
        "sites": sites,
        "sites_left_out": sites_left_out,
        "findings": _findings(shown, tr),
        "basis": _basis(shown, tr),
        "to_set": _to_set(short, product, tr),
        "cured": timeout_text(shown.settings.recommended_timeout_s, tr) if cured_sites(shown).height else "",
        "hints": _hints(short, tr),
        "verify": how_to_verify(shown, tr),
        "others": tables.other_causes(shown, tr),
        "timeline": timeline(shown, tr) if shown.phones.height else None,
        "proofs": proofs(shown, _provable(shown), tr),
        "groups": groups,
        "groups_left_out": left_out,
        "steps": _steps(shown, answers, found, tr),
        "ports": [_port(port, given(answers, "ports")) for port in port_checklist(tr)],
        "readings": keepalive_readings(shown, tr),
        "limits": limits(tr),
        "experiment": keepalive_experiment(tr),
        "blind_spots": blind_spots(shown, tr),
        "evidence": evidence(shown, found, tr),
        "settings": tables.settings_rows(shown, _versions(), tr),
        "notes": _notes(shown, tr),
        "masked": found is not None,
    }


def _span(shown: Diagnosis, tr: Translator) -> str:
    if shown.log.first is None or shown.log.last is None:
        return ""
    first, last = tables.moment(shown.log.first, tr), tables.moment(shown.log.last, tr)
    length = tr.duration((shown.log.last - shown.log.first).total_seconds())
    return tr("{first} to {last} ({length}, {zone})", first=first, last=last, length=length, zone=shown.log.time_zone)


def _summary(shown: Diagnosis, tr: Translator) -> str:
    phones = shown.phones.filter(~pl.col("trunk")).height
    losses = shown.intervals.filter(~pl.col("trunk"))
    nat = losses.filter(pl.col("cause") == "nat_expiry").height
    seen = tr.count("{n} phone was observed.", "{n} phones were observed.", phones)
    if not losses.height:
        return seen
    lost = tr.count("There was {n} loss:", "There were {n} losses:", losses.height)
    why = tr(
        "{nat} because the router had dropped the phone's NAT entry, {other} for other reasons or undecided.",
        nat=tr.number(nat),
        other=tr.number(losses.height - nat),
    )
    return f"{seen} {lost} {why}"


def _findings(shown: Diagnosis, tr: Translator) -> list[Context]:
    """What else calls for action or attention, besides what has its own place in the report."""
    return [
        {"severity": word("severity", finding.severity, tr), "text": finding_text(finding, tr)}
        for finding in shown.findings
        if finding.id not in _SHOWN_ELSEWHERE and finding.severity != "info"
    ][:_MOST_FINDINGS]


def _notes(shown: Diagnosis, tr: Translator) -> list[str]:
    """What is worth knowing about this log, for information only."""
    said = [f for f in shown.findings if f.severity == "info" and f.id not in _SHOWN_ELSEWHERE]
    return [*(finding_text(finding, tr) for finding in said), *shown.log.notes]


def _basis(shown: Diagnosis, tr: Translator) -> str:
    used = {name: int(shown.eras[f"cycles_{name}"].sum() or 0) for name in ("expired", "survived", "excluded")}
    return tr(
        "This rests on {expired} renewal cycles that ended with a dead NAT entry and {survived} that the entry "
        "survived; {excluded} that say nothing about the timeout were left out. Each bracket is given at {level} "
        "confidence.",
        **{name: tr.number(n) for name, n in used.items()},
        level=tr.percent(shown.settings.level),
    )


def _to_set(short: pl.DataFrame, product: str | None, tr: Translator) -> Context | None:
    if not short.height:
        return None
    wanted = float(short["recommended_timeout_s"].max())  # type: ignore[arg-type]
    said, commands = setting(product, wanted, tr) if product else ((), ())
    return {
        "value": timeout_text(wanted, tr),
        "sites": names([site_name(site, tr) for site in short.sort("site")["site"]], tr),
        "router": find_product(product) if product else "",
        "said": said,
        "commands": commands,
    }


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
        said, kept = from_log.get(step.id), given(answers, step.id)
        log_choice = step.answer(said.answer_id) if said else None
        note = found.text(kept.note) if found else kept.note
        rows.append(
            {
                "step": step,
                "log": said.text if said else "",
                "log_choice": log_choice.label if log_choice else "",
                "refs": [str(line) for _, line in said.refs] if said else [],
                "given": _given(step, kept, tr),
                "note": note,
                "by": ", ".join(part for part in (kept.who, kept.when[:10]) if part) if not found else kept.when[:10],
                "only_german": step.editions == ("de",),
            }
        )
    return rows


def _given(step: Step, kept: Given, tr: Translator) -> str:
    if step.kind == "ports" and kept.ports:
        labels = {a.id: a.label for a in step.answers}
        counts = [(labels[i], sum(v == i for v in kept.ports.values())) for i in labels]
        return ", ".join(tr("{name}: {text}", name=label, text=tr.number(n)) for label, n in counts if n)
    chosen = step.answer(kept.answer)
    parts = [chosen.label if chosen else "", kept.day.isoformat() if kept.day else "", kept.router or ""]
    parts.append(tr.duration(kept.seconds) if kept.seconds else "")
    return ", ".join(part for part in parts if part)


def _port(port: Any, kept: Given) -> Context:
    return {"port": port, "answer": kept.ports.get(port.id, "")}


def blind_spots(shown: Diagnosis, tr: Translator) -> list[str]:
    """Return what the log cannot show, in sentences."""
    probe = tr.duration(shown.settings.probe_interval_s)
    said = [
        tr("The PBX asks each phone every {probe}: nothing shorter than that can be told apart.", probe=probe),
        tr("A registration that expires leaves no line; a phone that was never registered leaves none either."),
        tr("Phones that are not probed (qualify off) do not occur, however bad their connection is."),
        tr("A timeout that something renews in time stays invisible, however short it is."),
        tr("The log is the view of the PBX: it shows neither the router's settings nor who changed what."),
        tr("Sound, ports other than those for signalling, and the apps are outside of what was checked."),
    ]
    unread = shown.log.unparsed.height
    if unread:
        said.append(
            tr.count(
                "{n} line looked like an event but could not be read.",
                "{n} lines looked like events but could not be read.",
                unread,
            )
        )
    return said


def _versions() -> dict[str, str]:
    return {"starface-nb": starface_nb.__version__, "Python": platform.python_version()}
