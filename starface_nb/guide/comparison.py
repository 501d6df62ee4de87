"""Before-and-after results and experiments in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from starface_nb.analysis.experiment import Experiment, what_next
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import bracket_text, finding_text, names, site_name, word
from starface_nb.observations.addresses import PRIVATE

if TYPE_CHECKING:
    from starface_nb.analysis.comparison import Basis, Comparison, Side, SiteComparison
    from starface_nb.analysis.diagnosis import Diagnosis


def comparison_text(comparison: Comparison, tr: Translator) -> list[str]:
    """Return the comparison as lines of plain text, untrusted names unescaped."""
    lines = [_verdict(comparison, comparison.sites, tr)]
    if comparison.halves:
        lines.append(tr("No change was named, and none was found: the first half of the log against its second."))
    if comparison.other_addresses:
        old, new = (names(addresses, tr) for addresses in comparison.other_addresses)
        lines.append(word("compared", "other_addresses", tr, old=old, new=new))
    for which, lacks in comparison.incomplete.items():
        missing = tr.joined(*(word("missing", name, tr) for name in lacks))
        lines += [word("compared", f"incomplete_{which}", tr, missing=missing)] if lacks else []
    for site in comparison.sites:
        told = tr.inside(_verdict(site, (site,), tr))
        lines += ["", tr("Site {site}: {verdict}", site=site_name(site.site, tr), verdict=told)]
        lines += [f"  {line}" for line in _site(site, tr, changed=not comparison.halves)]
    return lines


def _verdict(found: Comparison | SiteComparison, sites: tuple[SiteComparison, ...], tr: Translator) -> str:
    """Return the verdict as one short sentence with its probability."""
    share = tr.percent(found.probability)
    if found.verdict != "cannot_tell":
        return word("compared", found.verdict, tr) + " " + tr("Probability {share}.", share=share)
    untold = [site for site in sites if site.verdict == "cannot_tell"]
    seen = any(site.after is not None and site.after.periods > 0 for site in untold)
    seen &= all(site.reason in ("too_little_exposure", "too_short_log", "too_short_after") for site in untold)
    return word("compared", found.verdict, tr) + (
        " " + tr("So far the probability of a cure is {share}.", share=share) if seen else ""
    )


def _site(site: SiteComparison, tr: Translator, *, changed: bool) -> list[str]:
    lines = [word("compared_because", site.reason, tr)]
    for finding in site.findings if changed else ():
        lines += [finding_text(finding, tr), word("advice", "without_effect", tr)]
    if site.changed_at is not None and site.verdict != "unchanged":
        lines.append(tr("Changed about {time}.", time=tr.time(site.changed_at)))
    if site.before is None or site.after is None:
        return lines
    lines += _phones(site.basis, tr) if site.basis and site.basis.phones_before else []
    lines.append(tr("Before: {side}", side=_side(site.before, tr)))
    lines.append(tr("After: {side}", side=_side(site.after, tr)))
    if site.verdict != "cannot_tell" and (site.after.low_s or site.after.high_s is not None):
        lines.append(
            tr("The timeout is now: {bracket}.", bracket=bracket_text(site.after.low_s, site.after.high_s, tr))
        )
    if site.hours_needed is not None:
        more = tr.duration(site.hours_needed * 3600)
        lines.append(tr("Another {duration} of log without a loss would prove it.", duration=more))
    elif site.reason in ("too_little_exposure", "too_short_log"):
        lines.append(tr("Even two more weeks of quiet log might not prove it."))
    return lines


def _phones(basis: Basis, tr: Translator) -> list[str]:
    """Return on how many phones of the time before a comparison rests, and which of them are gone."""
    missing, dead, all_of_them = basis.not_seen_after, basis.unreachable_to_the_end, basis.phones_before
    n, number = tr.number(all_of_them - len(missing)), tr.number(all_of_them)
    told = [tr("Phones from before whose state is seen after: {n} of {number}.", n=n, number=number)]
    told += [tr("Not seen after: {names}.", names=names(missing, tr))] if missing else []
    told += [tr("Unreachable to the end: {names}.", names=names(dead, tr))] if dead else []
    return [" ".join(told)]


def _side(side: Side, tr: Translator) -> str:
    """Return losses, periods and hours of one side in words."""
    losses = tr.count("{n} loss by the NAT timeout", "{n} losses by the NAT timeout", side.losses)
    periods = tr.count("{n} period that could show one", "{n} periods that could show one", side.periods)
    hours = tr.duration(side.hours * 3600)
    text = tr("{losses}, {periods}, {duration} of log", losses=losses, periods=periods, duration=hours)
    return text + (tr("; calls lost: {n}", n=tr.number(side.calls_lost)) if side.calls_lost else "")


def experiment_text(experiment: Experiment, tr: Translator) -> list[str]:
    """Return an experiment as lines of plain text: what to do and for how long, then what each outcome would mean."""
    settings = [tr.duration(s) for s in experiment.settings_s]
    phones = ", ".join(experiment.phones)
    if experiment.id == "reregister_ladder":
        pairs = zip(experiment.phones, settings, strict=False)
        phones = ", ".join(tr("{phone} every {duration}", phone=phone, duration=value) for phone, value in pairs)
    shorter, longer = (settings[0], settings[-1]) if settings else ("", "")
    task = word("experiment", experiment.id, tr, phones=phones, shorter=shorter, longer=longer)
    if experiment.watch_hours:
        task += " " + tr("Then watch for {duration}.", duration=tr.duration(experiment.watch_hours * 3600))
    lines = [task, tr("What may be seen then, and what it would tell:")] if experiment.outcomes else [task]
    for outcome in experiment.outcomes:
        at = tr.duration(outcome.at_s) if outcome.at_s is not None else ""
        lines.append(word("tried", outcome.id, tr, bracket=bracket_text(outcome.low_s, outcome.high_s, tr), at=at))
    return lines


def experiment_there(experiment: Experiment, tr: Translator) -> list[str]:
    """Return an experiment as lines of plain text, the first with the site at which to try it."""
    task, *outcomes = experiment_text(experiment, tr)
    return [tr("{name}: {text}", name=site_name(experiment.site, tr), text=tr.inside(task)), *outcomes]


def next_experiment(diagnosis: Diagnosis, tr: Translator) -> list[str]:
    """Return what to try at the site of which more is to be known; nothing where no timeout is too short or untold."""
    if not diagnosis.sites.filter(pl.col("verdict") != "no_expiry_seen").height:
        return []
    tried = what_next(diagnosis)
    return [] if tried.site == PRIVATE else experiment_there(tried, tr)
