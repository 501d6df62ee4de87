"""What goes to the firewall's administrator or the provider: one page and the text of a ticket for each site.

The same facts in every language, times in UTC: what was found, what is excluded, which packets to look for, what to
set; verdict, findings and advice are those of the report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis, Finding
from starface_nb.analysis.seen import models_of
from starface_nb.guide import LANGUAGES, Translator, finding_text, headline, translator
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.conclusion import about_others, nothing_to_set, undecided
from starface_nb.guide.routers import PBX_ADDRESS, setting, snippets
from starface_nb.guide.words import cause_name, site_name, timeout_text, word
from starface_nb.observations.addresses import PRIVATE, UNKNOWN
from starface_nb.templates import fill

_MOST_TIMES = 4  # of each cause
_THE_NETWORKS = ("nat_expiry", "wan_outage", "router_restart")
_SAID_BY_COUNTS = {"other_causes", "not_cured", "undecided"}
_OF_ALL = {"pbx_trouble", "no_registrations", "missing_parts"}
_EXCLUDE = {"no_expiry_seen", "any_packet"}


@dataclass(frozen=True)
class Section:
    """A heading, sentences under it, and lines to copy."""

    title: str
    points: tuple[str, ...]
    lines: tuple[str, ...] = ()


def pack(diagnosis: Diagnosis, router: str | None = None) -> dict[str, str]:
    """Return the evidence pack of every site with losses: file name to content, a page and a text in each language.

    Parameters
    ----------
    diagnosis : Diagnosis
    router : str, optional
        The product, for the exact setting.
    """
    made = {}
    for language in LANGUAGES:
        tr = translator(language, "UTC")
        for row in diagnosis.sites.iter_rows(named=True):
            here = _of_site(diagnosis, row)
            if here.intervals.is_empty():
                continue
            values = {
                "title": tr("{name}: {text}", name=site_name(row["site"], tr), text=tr("phones lose the PBX")),
                "lead": _lead(here, tr),
                "sections": tuple(_sections(diagnosis, here, row, router, tr)),
            }
            name = "".join(c if c.isalnum() or c in ".-" else "-" for c in row["site"])
            for ending in ("txt", "html"):
                made[f"{name}-{language}.{ending}"] = fill(f"report/pack.{ending}", language=language, **values)
    return made


def _of_site(diagnosis: Diagnosis, row: Mapping[str, Any]) -> Diagnosis:
    """Return what of a diagnosis is about one site: its losses, verdict and findings, and those of the PBX or the log.

    Phones without an address that are judged with a site are its phones here, too.
    """
    mine = {row["site"], *row["addresses"]}
    attached = next((finding.site for finding in diagnosis.findings if finding.id == "attached"), UNKNOWN)
    site = pl.col("site").replace(UNKNOWN, attached).is_in(list(mine))
    phones = set(diagnosis.phones.filter(site)["peer"])

    def about(finding: Finding) -> bool:
        of_log = finding.severity == "action" or finding.id in _OF_ALL
        peers: Any = finding.values.get("peers", ())
        return finding.site in mine or (finding.site is None and of_log and phones.issuperset(peers))

    losses = diagnosis.intervals.with_columns(incident=diagnosis.incident_of).filter(~pl.col("trunk") & site)
    return replace(
        diagnosis,
        intervals=losses,
        sites=diagnosis.sites.filter(site=row["site"]),
        eras=diagnosis.eras.filter(site=row["site"]),
        findings=tuple(filter(about, diagnosis.findings)),
    )


def _lead(here: Diagnosis, tr: Translator) -> str:
    """Return the report's verdict; where every loss is the PBX's and no timeout open, that it is not the network."""
    said = headline(here, tr)
    if set(here.intervals["cause"]) == {"pbx_restart"} and not undecided(here):
        said = tr("It is not your network: the PBX itself was away.")
    return f"{said} {tr('All times are UTC.')}".strip()


def _sections(
    diagnosis: Diagnosis, here: Diagnosis, row: Mapping[str, Any], router: str | None, tr: Translator
) -> Iterator[Section]:
    found = [f for f in here.findings if f.id not in _SAID_BY_COUNTS | _EXCLUDE]
    counts = here.intervals.group_by("cause").len().sort("len", "cause", descending=[True, False])
    named = ", ".join(f"{cause_name(cause, tr)} ({tr.number(n)})" for cause, n in counts.iter_rows())
    proven = (*(finding_text(f, tr) for f in found), tr("Losses by cause: {causes}.", causes=named))
    yield Section(tr("What was found, and how sure it is"), proven)
    if excluded := tuple(_excluded(diagnosis, here, tr)):
        yield Section(tr("What is excluded"), excluded)
    yield Section(tr("When it happened (UTC)"), tuple(_times(here.intervals, counts["cause"], tr)))
    yield from _packets(here, row, tr)
    yield from _settings(here, row, router, tr)


def _excluded(diagnosis: Diagnosis, here: Diagnosis, tr: Translator) -> Iterator[str]:
    losses, ids = here.intervals, {finding.id for finding in here.findings}
    phones = losses["peer"].n_unique()
    models = set(models_of(losses["peer"].unique()).drop_nulls())
    if phones > 1 and len(models) > 1 and not ids & {"one_bad_phone", "no_addresses", "no_registrations"}:
        yield tr("A single phone: {phones} phones of {models} models are concerned.", phones=phones, models=len(models))
    alone = _with_others_reachable(diagnosis, losses)
    if 2 * alone > losses.height and "pbx_trouble" not in ids and "pbx_restart" not in losses["cause"]:
        values = {"n": tr.number(alone), "all": tr.number(losses.height)}
        yield tr("The PBX or its line: during {n} of {all} losses other phones were reachable.", **values)
    yield from (finding_text(finding, tr) for finding in here.findings if finding.id in _EXCLUDE)


def _with_others_reachable(diagnosis: Diagnosis, losses: pl.DataFrame) -> int:
    """Return during how many losses a phone that is not among them was reachable when they began."""
    if not diagnosis.observation.lacking.silence_tells:
        return 0
    others = diagnosis.phones.filter(
        ~pl.col("trunk"), "probed", ~pl.col("peer").is_in(losses["peer"].unique().implode())
    )
    elsewhere = diagnosis.intervals.filter(pl.col("peer").is_in(others["peer"].implode()))
    total, count = others.height, 0
    for start in losses["start"] if total else ():
        lost = elsewhere.filter((pl.col("start") <= start) & (pl.col("end").is_null() | (pl.col("end") > start)))
        count += lost["peer"].n_unique() < total
    return count


def _times(losses: pl.DataFrame, causes: pl.Series, tr: Translator) -> Iterator[str]:
    """Yield the latest losses of each cause, first one of each incident, and how many more there were."""
    latest = losses.sort("start", "peer", descending=True).with_columns(nth=pl.int_range(pl.len()).over("incident"))
    for cause in causes:
        name, rows = cause_name(cause, tr), latest.filter(pl.col("cause") == cause).sort("nth", maintain_order=True)
        for start, end, peer in rows.head(_MOST_TIMES).sort("start").select("start", "end", "peer").iter_rows():
            yield f"{_utc(start)} - {_utc(end) if end else tr('open when the log ends')}: {peer}, {name}"
        if (more := rows.height - _MOST_TIMES) > 0:
            yield tr("{name}: {text}", name=name, text=tr.count("and {n} more", "and {n} more", more))


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _packets(here: Diagnosis, row: Mapping[str, Any], tr: Translator) -> Iterator[Section]:
    """Yield what a capture beside the router shows of the causes that were found, and of no other."""
    found = {*here.intervals["cause"].cast(pl.String), *["nat_expiry"] * (row["verdict"] == "too_short")}
    found -= {"nat_expiry"} if row["verdict"] == "no_expiry_seen" else set()
    causes = [cause for cause in _THE_NETWORKS if cause in found]
    if not causes or row["site"] == PRIVATE:
        return
    every = tr.duration(here.settings.probe_interval_s)
    points = (
        tr("Capture on the WAN side and on the LAN side at the same time, with this filter:"),
        tr("Normal: the PBX's OPTIONS every {time}, answered by the phone with 200 OK.", time=every),
        *(tr("{name}: {text}", name=cause_name(cause, tr), text=word("capture", cause, tr)) for cause in causes),
    )
    yield Section(tr("Which packets to look for"), points, (f"udp and host {_pbx(here) or PBX_ADDRESS}",))


def _pbx(here: Diagnosis) -> str:
    address = here.log.bundle.setting("externaddr")
    return address.value if address else ""


def _settings(here: Diagnosis, row: Mapping[str, Any], router: str | None, tr: Translator) -> Iterator[Section]:
    others, short = tuple(about_others(here, tr)), row["verdict"] == "too_short"
    seconds = here.settings.recommended_timeout_s
    to_set = (
        tr("Timeout for idle UDP entries: at least {time}.", time=timeout_text(seconds, tr)),
        tr("If it can be set for the PBX's address alone, set it there; switch SIP inspection (SIP ALG) off."),
    )
    if row["site"] != PRIVATE:
        said = to_set if short else (nothing_to_set(here, tr), *next_experiment(here, tr))
        yield Section(tr("What to set"), said)
    if router and short:
        yield Section(router, tuple(setting(router, seconds, tr)))
        for snippet in snippets(router, seconds, tr, _pbx(here)):
            yield Section(tr("{name}: {text}", name=router, text=snippet.title), (), snippet.lines)
    if others:
        yield Section(tr("What this setting will not cure") if short else tr("Other causes"), others)
