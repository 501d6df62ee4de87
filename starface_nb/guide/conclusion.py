"""From what the log shows and what was answered to a conclusion: reasons and next steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.experiment import what_next
from starface_nb.guide.answers import answers_from_log, trouble_began
from starface_nb.guide.checklist import Step, checklist, given, port_checklist
from starface_nb.guide.comparison import experiment_text
from starface_nb.guide.i18n import Translator
from starface_nb.guide.routers import products, router_default, setting
from starface_nb.guide.words import about_cause, finding_text, names, reservation, site_name, timeout_text
from starface_nb.model.evidence import BY_PBX

_SAME_TIME = timedelta(days=2)


@dataclass(frozen=True)
class Conclusion:
    """What follows from log and answers, in one language."""

    headline: str
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join((self.headline, *(f"  - {line}" for line in (*self.reasons, *self.next_steps))))

    def _repr_html_(self) -> str:
        reasons, steps = ("".join(f"<li>{escape(t)}</li>" for t in texts) for texts in (self.reasons, self.next_steps))
        return f"<p><b>{escape(self.headline)}</b></p><ul>{reasons}</ul><ol>{steps}</ol>"


def conclusion(diagnosis: Diagnosis, answers: Mapping[str, Any] | None, tr: Translator) -> Conclusion:
    """Draw the conclusion from the diagnosis and the analyst's answers.

    Parameters
    ----------
    diagnosis : Diagnosis
    answers : Mapping or None
        Kept answers by step id, see `starface_nb.guide.given`.
    tr : Translator
    """
    told = [f for f in diagnosis.findings if f.site is not None or f.severity != "info"]
    reasons, steps = from_answers(diagnosis, answers, tr)
    reasons = [*(finding_text(finding, tr) for finding in told), *reasons]
    steps = [*_timeouts(diagnosis, tr), *steps, *about_others(diagnosis, tr)]
    missing = [step.title for step in open_steps(diagnosis, answers, tr)]
    if missing:
        steps.append(tr("Answer the open steps of the checklist: {steps}.", steps=", ".join(missing)))
    return Conclusion(headline(diagnosis, tr), tuple(reasons), tuple(steps))


def open_steps(diagnosis: Diagnosis, answers: Mapping[str, Any] | None, tr: Translator) -> list[Step]:
    """Return the steps that neither the analyst nor the log has answered; a note alone is no answer."""
    logged = answers_from_log(diagnosis, tr)
    told = ((step, given(answers, step.id), logged.get(step.id)) for step in checklist(tr))
    return [step for step, kept, log in told if not (kept.answer or kept.ports or step.of_log(log))]


def headline(diagnosis: Diagnosis, tr: Translator) -> str:
    """Return the verdict of the whole log in one sentence, after one that says where most phones are gone."""
    gone, verdict = gone_sites(diagnosis), _verdict(diagnosis, tr)
    if not gone:
        return verdict
    first = tr.count(
        "When the log ends, most phones of {n} site are unreachable.",
        "When the log ends, most phones of {n} sites are unreachable.",
        gone,
    )
    return f"{first} {verdict}"


def gone_sites(diagnosis: Diagnosis) -> int:
    """Return at how many sites most phones are unreachable when the log ends."""
    return sum(finding.id == "site_gone" and "told_as" not in finding.values for finding in diagnosis.findings)


def _verdict(diagnosis: Diagnosis, tr: Translator) -> str:
    verdicts = diagnosis.behind_nat["verdict"].to_list()
    short, losses = verdicts.count("too_short"), diagnosis.intervals.filter(~pl.col("trunk")).height
    if short and short == len(verdicts):
        return tr("The router's timeout for NAT entries is too short.")
    if short:
        n, total = tr.number(short), tr.number(len(verdicts))
        return tr("At {n} of {total} sites the router's timeout for NAT entries is too short.", n=n, total=total)
    if not losses:
        return reservation(diagnosis, tr) or tr("No phone was lost in this log.")
    cured = cured_sites(diagnosis)
    if cured.height and "undetermined" not in verdicts:
        when = tr.time(max(cured["changed_at"]), "short")
        return tr(
            "The router's timeout for NAT entries was too short until {time}; "
            "since then no entry died, but for such as were renewed before the change.",
            time=when,
        )
    if diagnosis.sites.height and not verdicts:
        return tr("Phones were lost, but there is no NAT between them and the PBX.")
    if verdicts and all(v == "no_expiry_seen" for v in verdicts):
        return tr("Phones were lost, but not by the router's NAT timeout.")
    return tr("Whether the router's NAT timeout is too short cannot be told from this log.")


def undecided(diagnosis: Diagnosis) -> bool:
    """Say whether the log leaves open if a router's timeout is too short."""
    return not diagnosis.observation.lacking.silence_tells or "undetermined" in diagnosis.behind_nat["verdict"]


def cured_sites(diagnosis: Diagnosis) -> pl.DataFrame:
    """Return the sites whose timeout was too short before it changed, and is not any more."""
    before = diagnosis.eras.filter(pl.col("verdict") == "too_short")["site"].implode()
    now = (pl.col("verdict") == "no_expiry_seen") & pl.col("changed_at").is_not_null()
    return diagnosis.sites.filter(pl.col("site").is_in(before) & now)


def nothing_to_set(diagnosis: Diagnosis, tr: Translator) -> str:
    """Return what is said where no timeout is too short: no router, not known, mended, or long enough."""
    if diagnosis.sites.height and not diagnosis.behind_nat.height:
        return tr("Nothing at a router: there is no NAT between these phones and the PBX.")
    if undecided(diagnosis):
        return tr("Nothing yet: the log does not decide whether the timeout is too short.")
    if cured_sites(diagnosis).height:
        time = timeout_text(diagnosis.settings.recommended_timeout_s, tr)
        return tr(
            "Nothing more: no NAT entry renewed since the change died before the next renewal. "
            "Keep the timeout at {time} or more.",
            time=time,
        )
    return tr("Nothing at the router: in this log no NAT entry died before its renewal.")


def _timeouts(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    """What to do about each site's timeout: set it, or find out more."""
    steps = []
    short = diagnosis.sites.filter(pl.col("verdict") == "too_short")["site"].sort()
    if len(short):
        time = timeout_text(diagnosis.settings.recommended_timeout_s, tr)
        sites = names([site_name(site, tr) for site in short], tr)
        steps.append(
            tr("{sites}: set the router's timeout for UDP entries to at least {time}.", sites=sites, time=time)
        )
    for site in diagnosis.behind_nat.filter(pl.col("verdict") == "undetermined")["site"]:
        told = " ".join(experiment_text(what_next(diagnosis, site), tr))
        steps.append(tr("{name}: {text}", name=site_name(site, tr), text=tr.inside(told)))
    return steps


def about_others(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    """Return what to do about the other causes, the most frequent first."""
    told = [row for row in other_causes(diagnosis, tr) if row["advice"]]
    return [tr("{name}: {text}", name=row["name"], text=tr.inside(row["advice"])) for row in told]


def other_causes(diagnosis: Diagnosis, tr: Translator) -> list[dict[str, Any]]:
    """Return what is not the NAT timeout, most losses first: per cause its counts, meaning and advice.

    Undecided losses that accuse no site but the PBX are `pbx_trouble`.
    """
    others = diagnosis.intervals.filter(~pl.col("trunk") & (pl.col("cause") != "nat_expiry"))
    named = pl.when(BY_PBX).then(pl.lit("pbx_trouble")).otherwise(pl.col("cause").cast(pl.String))
    counted = others.group_by(named.alias("cause")).agg(losses=pl.len(), phones=pl.n_unique("peer"))
    rows = []
    for row in counted.sort("losses", "cause", descending=[True, False]).to_dicts():
        vain = row["cause"] == "unknown" and not diagnosis.observation.lacking.more_would_tell
        rows.append(row | about_cause(row["cause"], tr) | ({"advice": ""} if vain else {}))  # which is a longer log
    return rows


def from_answers(
    diagnosis: Diagnosis, answers: Mapping[str, Any] | None, tr: Translator
) -> tuple[list[str], list[str]]:
    """Return what follows from the analyst's answers alone: reasons and next steps."""
    reasons, steps = [], []
    for step in checklist(tr):
        chosen = step.answer(given(answers, step.id).answer)
        if chosen and (not step.from_log or step.id == "status"):  # what the log answers has its finding
            reasons.append(tr("{name}: {text}", name=step.title, text=tr.inside(f"{chosen.label}. {chosen.meaning}")))
    closed = [p for p in port_checklist(tr) if given(answers, "ports").ports.get(p["id"]) == "closed"]
    if closed:
        named = ", ".join(f"{p['port']}/{p['protocol']}" for p in closed)
        steps.append(tr("Open the ports that are closed: {ports}.", ports=named))
    day, began = given(answers, "changes").day, trouble_began(diagnosis)
    if day and began:
        here = began.astimezone(ZoneInfo(diagnosis.log.time_zone)).date()
        if timedelta(0) <= here - day <= _SAME_TIME:
            reasons.append(tr("The trouble began within two days after the change: begin with that change."))
        elif day > here:
            reasons.append(tr("The trouble began before the change: the change is not its origin."))
    return reasons + _router_reason(answers, diagnosis, tr), steps


def _router_reason(answers: Mapping[str, Any] | None, diagnosis: Diagnosis, tr: Translator) -> list[str]:
    router, read = given(answers, "nat").router, given(answers, "nat").seconds
    if router not in products():  # none, or one named in free text: nothing is known of it
        return []
    if read:
        text = tr("{router}: the timeout read from the device is {time}.", router=router, time=tr.duration(read))
    else:
        text = setting(router, diagnosis.settings.recommended_timeout_s, tr)[0]
    seconds = read or router_default(router).seconds  # null compares to nothing
    inside = (pl.col("low_s").fill_null(0.0) < seconds) & (pl.col("high_s") >= seconds)
    told = diagnosis.sites.filter(pl.col("verdict") != "undetermined")
    if told.filter(inside).height:
        text += " " + tr("That lies inside the bracket found in the log.")
    elif read and told.filter(pl.col("high_s") < read).height:
        text += " " + tr(
            "The entries die sooner than that: look for hardware or flow offload, for SIP inspection, or for another "
            "router on the way; a value that is set there changes nothing."
        )
    return [text]
