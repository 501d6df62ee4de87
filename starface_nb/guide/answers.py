"""What the log itself answers of the checklist, with the lines that show it."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from starface_nb.analysis.beside import listed_peers
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.bundle.facts import STATUSES
from starface_nb.guide.i18n import Translator
from starface_nb.guide.words import names, reservation, site_bracket, site_name, word
from starface_nb.reading.log import Log

_FLEETING = ("packet_loss", "latency")
_NEARLY_ALL, _MOSTLY_ONE, _FEW_LOSSES = 0.8, 0.8, 5
_MOST_REFS = 3
_RESTS_ON = {
    "scope": {"times", "unreachable", "reachable", "notice", "others", "unread"},
    "ever_registered": {"times", "reachable", "registered", "unread"},
}
"""Lines without which the phones that a step counts are not all, or not all of the kind it says."""


@dataclass(frozen=True)
class LogAnswer:
    """The log's answer to a step.

    Attributes
    ----------
    answer_id : str or None
        Id of the answer; None where the log has evidence but does not decide.
    text : str
        The evidence in words.
    refs : tuple of (file, line)
        Lines of the log that show it, from 1.
    """

    answer_id: str | None
    text: str
    refs: tuple[tuple[str, int], ...] = ()


def answers_from_log(diagnosis: Diagnosis, tr: Translator) -> dict[str, LogAnswer]:
    """Return the log's answers by step id, for the steps about which it says anything."""
    phones = diagnosis.phones.filter(~pl.col("trunk"))
    losses, doubt = diagnosis.intervals.filter(~pl.col("trunk")), reservation(diagnosis, tr)
    missing = set(diagnosis.observation.lacking.missing)
    found = {
        "scope": _scope(phones, losses, doubt, tr),
        "status": listed_status(diagnosis.log, tr) or _status(phones, tr),
        "ever_registered": _ever_registered(phones, tr),
        "changes": _changes(diagnosis, losses, doubt, tr),
        "ports": _ports(phones, tr),
        "nat": _nat(diagnosis, losses, tr),
        "log": _log(diagnosis, losses, doubt, tr),
    }
    for step, lines in _RESTS_ON.items():  # what the log holds is told all the same
        if missing & lines:
            found[step] = replace(found[step], answer_id=None)
    if missing & _RESTS_ON["ever_registered"] and not phones["ever_registered"].eq(True).any():
        del found["ports"]
    return found


def trouble_began(diagnosis: Diagnosis) -> datetime | None:
    """Return when the first lasting loss of a phone began (UTC), a fleeting one if there is no other, or None."""
    losses = diagnosis.intervals.filter(~pl.col("trunk"))
    lasting = losses.filter(~pl.col("cause").is_in(_FLEETING))
    first: object = (lasting if lasting.height else losses)["start"].min()
    return first if isinstance(first, datetime) else None


def _refs(frame: pl.DataFrame) -> tuple[tuple[str, int], ...]:
    return tuple(frame.select("file", "line").head(_MOST_REFS).iter_rows())


def _scope(phones: pl.DataFrame, losses: pl.DataFrame, doubt: str, tr: Translator) -> LogAnswer:
    lasting = losses.filter(~pl.col("cause").is_in(_FLEETING))
    counted = lasting if lasting.height else losses
    by_peer = counted.group_by("peer").len().sort("len", "peer", descending=[True, False])
    affected, total = by_peer.height, max(phones.height, by_peer.height)
    if not affected and doubt:
        return LogAnswer(None, doubt)
    if not affected:
        return LogAnswer("none", tr.count("{n} phone, no loss.", "{n} phones, no loss.", total))
    text = tr.count(
        "{n} of {total} phones was unreachable at least once.",
        "{n} of {total} phones were unreachable at least once.",
        affected,
        total=tr.number(total),
    )
    share = by_peer["len"][0] / counted.height
    if affected > 1 and share >= _MOSTLY_ONE and counted.height >= _FEW_LOSSES:
        text += " " + tr("{peer} alone has {share} of the losses.", peer=by_peer["peer"][0], share=tr.percent(share))
        return LogAnswer("one", text, _refs(counted.filter(pl.col("peer") == by_peer["peer"][0])))
    if affected == 1:
        return LogAnswer("one", text + " " + tr("It is {peer}.", peer=by_peer["peer"][0]), _refs(counted))
    return LogAnswer("all" if affected >= _NEARLY_ALL * total else "several", text, _refs(counted))


def _status(phones: pl.DataFrame, tr: Translator) -> LogAnswer:
    counts = Counter(phones["status"].to_list())
    said = [
        tr("{name}: {text}", name=word("status", status, tr), text=tr.number(n)) for status, n in counts.most_common()
    ]
    text = tr("Last state at the end of the log: {states}.", states=", ".join(said) or tr("no phone"))
    down = phones.filter(pl.col("status") == "unreachable").sort("peer")["peer"].to_list()
    if down:
        text += " " + tr("Still unreachable: {names}.", names=names(down, tr))
    return LogAnswer(None, text)


def listed_status(log: Log, tr: Translator) -> LogAnswer | None:
    """Return the state of every phone as the PBX's own list says it (`sip show peers`), where the bundle has one."""
    peers = listed_peers(log).sort("peer")
    if peers.is_empty():
        return None
    counts = Counter(peers["status"].cast(pl.String).to_list())
    named = {status: word("listed", status, tr) for status in STATUSES if counts[status]}
    said = [tr("{name}: {text}", name=name, text=tr.number(counts[status])) for status, name in named.items()]
    text = tr("States when {source} was written: {states}.", source=peers["member"][0], states=", ".join(said))
    for status in ("unreachable", "lagged", "unknown", "unmonitored"):
        if status in named:
            mine = peers.filter(pl.col("status") == status)["peer"].to_list()
            text += " " + tr("{name}: {text}.", name=named[status], text=names(mine, tr))
    up, asked = counts["ok"] + counts["lagged"], peers.height - counts["unmonitored"]
    answer = "registered" if up == asked else "changing" if up else "not_registered"
    return LogAnswer(answer if asked else None, text, _refs(peers.rename({"member": "file"})))


def _ever_registered(phones: pl.DataFrame, tr: Translator) -> LogAnswer:
    affected = phones.filter(pl.col("losses") > 0)
    asked = affected if affected.height else phones
    yes = asked.filter(pl.col("ever_registered").eq(True)).height
    no = asked.filter(pl.col("ever_registered").fill_null(value=False).not_()).sort("peer")["peer"].to_list()
    if not asked.height:
        return LogAnswer(None, tr("The log shows no phone."))
    text = tr.count(
        "{yes} of {n} phone was registered or answered in this log.",
        "{yes} of {n} phones were registered or answered in this log.",
        asked.height,
        yes=tr.number(yes),
    )
    if no:
        text += " " + tr("Never seen registered: {names}.", names=names(no, tr))
    return LogAnswer("all" if not no else "some" if yes else "none", text)


def _changes(diagnosis: Diagnosis, losses: pl.DataFrame, doubt: str, tr: Translator) -> LogAnswer:
    began, first = trouble_began(diagnosis), diagnosis.log.first
    if began is None:
        return LogAnswer(None, doubt or tr("No trouble in this log."))
    if first is not None and began - first <= timedelta(seconds=2 * diagnosis.settings.keepalive_s):
        text = tr("The trouble was there from the log's beginning on ({time}): it began before.", time=tr.time(first))
    else:
        text = tr("The first lasting loss in the log was at {time}.", time=tr.time(began))
    changed = diagnosis.sites.filter(pl.col("changed_at").is_not_null()).sort("changed_at")
    for site, when in changed.select("site", "changed_at").iter_rows():
        text += " " + tr("The timeout of {site} changed at {time}.", site=site_name(site, tr), time=tr.time(when))
    for site, addresses in diagnosis.sites.select("site", "addresses").sort("site").iter_rows():
        if len(addresses) > 1:
            text += " " + tr("The public address changed: {addresses}.", addresses=" → ".join(addresses), site=site)
    return LogAnswer(None, text, _refs(losses.filter(pl.col("start") == began)))


def _ports(phones: pl.DataFrame, tr: Translator) -> LogAnswer:
    yes = phones.filter(pl.col("ever_registered").eq(True)).height
    if not yes:
        return LogAnswer(None, tr("No phone registered in this log: check the ports for signalling first."))
    text = tr.count(
        "Signalling was open at least at times: {n} phone registered.",
        "Signalling was open at least at times: {n} phones registered.",
        yes,
    )
    return LogAnswer(None, text + " " + tr("About the other ports the log says nothing."))


def _nat(diagnosis: Diagnosis, losses: pl.DataFrame, tr: Translator) -> LogAnswer:
    verdicts = set(diagnosis.behind_nat["verdict"])
    said = []
    for row in diagnosis.sites.to_dicts():
        site, verdict = site_name(row["site"], tr), word("verdict", row["verdict"], tr)
        bracket = site_bracket(row, tr)
        said.append(tr("{site}: {verdict}; timeout {bracket}.", site=site, verdict=verdict, bracket=bracket))
    died = losses.filter(pl.col("cause") == "nat_expiry")
    answer: str | None = None
    if "too_short" in verdicts:
        answer = "too_short"
    elif verdicts == {"no_expiry_seen"}:
        outlived = (diagnosis.behind_nat["low_s"].fill_null(0.0) >= diagnosis.settings.keepalive_s).all()
        answer = "long_enough" if outlived else "no_expiry"
    return LogAnswer(answer, " ".join(said) or tr("The log shows no site."), _refs(died))


def _log(diagnosis: Diagnosis, losses: pl.DataFrame, doubt: str, tr: Translator) -> LogAnswer:
    n = int(losses["repeats"].sum()) + losses.height
    if n:
        text = tr.count("{n} message UNREACHABLE about phones.", "{n} messages UNREACHABLE about phones.", n)
        if n > losses.height:
            again, lost = tr.number(n - losses.height), tr.count("{n} loss", "{n} losses", losses.height)
            text += " " + tr(
                "{again} of them only repeat that a phone is still lost: {losses}.", again=again, losses=lost
            )
        return LogAnswer("found", text, _refs(losses))
    if diagnosis.log.events.is_empty():
        text = tr("No reachability messages at all: was qualify on, and is VERBOSE logged?")
        return LogAnswer("not_found", text)
    if doubt:
        return LogAnswer(None, doubt)
    return LogAnswer("not_found", tr("Phones were probed, and none was unreachable."))
