"""Before-and-after results and experiments in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import bracket_text

if TYPE_CHECKING:
    from starface_nb.analysis.comparison import Comparison, Side, SiteComparison
    from starface_nb.analysis.experiment import Experiment, Outcome

VERDICTS = {
    "fixed": "Fixed.",
    "improved": "Better, but not fixed.",
    "unchanged": "Unchanged.",
    "worse": "Worse than before.",
    "cannot_tell": "It cannot be told yet.",
}
REASONS = {
    "no_losses": "The phones lived through periods in which the old timeout would have cut them off.",
    "stray_losses": "A few losses remain that look like the timeout's but do not repeat.",
    "too_little_exposure": "Too few periods have passed in which the old timeout would have shown.",
    "too_short_log": "The log after the change ends before the old timeout could have shown.",
    "longer_timeout": "The timeout is longer than before, but still shorter than the keepalive.",
    "shorter_timeout": "The timeout is even shorter than before.",
    "fewer_losses": "There are fewer losses than before, but they have not stopped.",
    "more_losses": "There are more losses than before.",
    "same_losses": "The phones are lost as often and as late after their registration as before.",
    "new_losses": "There was no loss by the NAT timeout before the change, and there is now.",
    "never_lost": "There was no loss by the NAT timeout before the change, nor is there now.",
    "nothing_to_compare": "There was no loss by the NAT timeout before the change, and little is known since.",
}
TASKS = {
    "two_keepalives": "Set the keepalive of one half of the phones to {shorter} and of the other half to {longer}.",
    "keepalive_ladder": "Set the keepalive of one phone each, or its re-REGISTER period where it has no keepalive: "
    "{phones}. Leave the other phones as they are.",
    "longer_reregister": "Let one phone ({phones}) register only every {longer}, without any other keepalive.",
    "slower_probes": "Let the PBX probe one phone ({phones}) only every {longer}, without any other keepalive.",
    "more_log": "Nothing needs to be changed: take a longer log.",
    "none": "The timeout is known closely enough; no experiment is needed.",
}
OUTCOMES = {
    "none_quiet": "No phone stays reachable: either the timeout is {bracket}, or keepalive packets do not renew.",
    "shorter_quiet": "Only the phones with {at} stay reachable: the timeout is {bracket}.",
    "all_quiet": "All phones stay reachable: the timeout is {bracket}.",
    "quiet_up_to": "Phones with a keepalive up to {at} stay reachable, the others are lost: the timeout is {bracket}.",
    "quiet_up_to_0": "All these phones are lost: the timeout is {bracket}.",
    "lost": "The phone is lost: the timeout is {bracket}.",
    "quiet": "The phone stays reachable: the timeout is {bracket}, or something else renews the entry.",
}
WAITING = {
    "lost": "Losses repeat at the same time after a registration: the timeout is {bracket}.",
    "quiet": "No loss: the timeout is {bracket}, or something renews the entry in time.",
}


def verdict_text(comparison: Comparison | SiteComparison, tr: Translator) -> str:
    """Return the verdict as one short sentence with its probability where it is one."""
    text = tr(VERDICTS[comparison.verdict])
    if comparison.verdict == "cannot_tell":
        return text
    return text + " " + tr("Probability {share}.", share=tr.percent(comparison.probability))


def comparison_text(comparison: Comparison, tr: Translator) -> list[str]:
    """Return the comparison as lines of plain text, untrusted names unescaped."""
    found = [verdict_text(comparison, tr)]
    for site in comparison.sites:
        found += ["", *site_text(site, tr)]
    return found


def site_text(site: SiteComparison, tr: Translator) -> list[str]:
    """Return what the change did at one site, as lines of plain text."""
    found = [
        tr("Site {site}: {verdict}", site=site.site, verdict=verdict_text(site, tr)),
        "  " + tr(REASONS[site.reason]),
    ]
    if site.changed_at is not None:
        found.append("  " + tr("Changed about {time}.", time=tr.time(site.changed_at)))
    found.append("  " + tr("Before: {side}", side=side_text(site.before, tr)))
    found.append("  " + tr("After: {side}", side=side_text(site.after, tr)))
    if site.low_s or site.high_s is not None:
        found.append("  " + tr("The timeout is now: {bracket}.", bracket=bracket_text(site.low_s, site.high_s, tr)))
    if site.hours_needed is not None:
        found.append(
            "  "
            + tr(
                "Another {duration} of log without a loss would prove it.",
                duration=tr.duration(site.hours_needed * 3600),
            )
        )
    elif site.verdict == "cannot_tell" and site.reason in ("too_little_exposure", "too_short_log"):
        found.append("  " + tr("Even two more weeks of quiet log might not prove it."))
    return found


def side_text(side: Side, tr: Translator) -> str:
    """Return losses, periods and hours of one side in words."""
    losses = tr.count("{n} loss by the NAT timeout", "{n} losses by the NAT timeout", side.losses)
    periods = tr.count("{n} period that could show one", "{n} periods that could show one", side.periods)
    return tr("{losses}, {periods}, {duration} of log", losses=losses, periods=periods,
              duration=tr.duration(side.hours * 3600))  # fmt: skip


def experiment_text(experiment: Experiment, tr: Translator) -> list[str]:
    """Return an experiment as lines of plain text: what to do, how long, and what each outcome would mean."""
    settings = [tr.duration(s) for s in experiment.settings_s]
    phones = ", ".join(experiment.phones)
    if experiment.id == "keepalive_ladder":
        pairs = zip(experiment.phones or [""] * len(settings), settings, strict=False)
        phones = ", ".join(tr("{phone} to {duration}", phone=phone, duration=value) for phone, value in pairs)
    shorter, longer = (settings[0], settings[-1]) if settings else ("", "")
    found = [tr(TASKS[experiment.id]).format(phones=phones, shorter=shorter, longer=longer)]
    if experiment.watch_hours:
        found.append(tr("Then watch for {duration}.", duration=tr.duration(experiment.watch_hours * 3600)))
    if experiment.id != "none":
        found += [outcome_text(experiment, outcome, tr) for outcome in experiment.outcomes]
    return found


def outcome_text(experiment: Experiment, outcome: Outcome, tr: Translator) -> str:
    """Return what an outcome would mean, as one sentence."""
    name = outcome.id
    if name.startswith("quiet_up_to_") and name != "quiet_up_to_0":
        name = "quiet_up_to"
    text = tr(WAITING[name]) if experiment.id == "more_log" else tr(OUTCOMES[name])
    at = tr.duration(outcome.at_s) if outcome.at_s is not None else ""
    return text.format(bracket=bracket_text(outcome.low_s, outcome.high_s, tr), at=at)
