"""What goes to the firewall's administrator or the provider: one page and the text of a ticket for each site.

The same facts in every language, times in UTC: what is proven, what is excluded, which packets to look for, what to
set; and where the log shows that the network is not at fault, just that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.seen import models_of
from starface_nb.guide import LANGUAGES, Translator, finding_text, translator
from starface_nb.guide.routers import PBX_ADDRESS, snippets
from starface_nb.guide.words import about_cause, bracket_text, cause_name, site_name, timeout_text, word
from starface_nb.templates import fill

_MOST_TIMES = 6
_THE_NETWORKS = ("nat_expiry", "wan_outage", "router_restart")
_PROOFS = {"nat_too_short", "nat_below_probe", "no_expiry_seen", "any_packet", "stale_state", "sip_inspection",
           "line_switches", "block_proven", "nat_table"}  # fmt: skip


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
            losses = _losses(diagnosis, row)
            if losses.is_empty():
                continue
            sections = tuple(_sections(diagnosis, row, losses, router, tr))
            title = _title(row, losses, tr)
            name = "".join(c if c.isalnum() or c in ".-" else "-" for c in row["site"])
            for ending in ("txt", "html"):
                made[f"{name}-{language}.{ending}"] = fill(
                    f"report/pack.{ending}", title=title, sections=sections, language=language
                )
    return made


def _losses(diagnosis: Diagnosis, row: Mapping[str, Any]) -> pl.DataFrame:
    addresses = pl.Series([row["site"], *row["addresses"]])
    return diagnosis.intervals.filter(~pl.col("trunk") & pl.col("site").is_in(addresses.implode()))


def is_network(row: Mapping[str, Any], losses: pl.DataFrame) -> bool:
    """Say whether most of a site's losses are its router's or its line's."""
    own = losses.filter(pl.col("cause").cast(pl.String).is_in(_THE_NETWORKS)).height
    return row["verdict"] == "too_short" or 2 * own > losses.height


def _untold(losses: pl.DataFrame) -> bool:
    """Say whether the log does not tell the cause of half of a site's losses or more."""
    return 2 * losses.filter(pl.col("cause") == "unknown").height >= losses.height


def _title(row: Mapping[str, Any], losses: pl.DataFrame, tr: Translator) -> str:
    site = site_name(row["site"], tr)
    if is_network(row, losses):
        return tr("Phones of {site} lose the PBX: findings for the firewall's administrator", site=site)
    if _untold(losses):
        return tr("Phones of {site} lose the PBX: the log does not tell why", site=site)
    return tr("Phones of {site} lose the PBX: it is not your network", site=site)


def _sections(
    diagnosis: Diagnosis, row: Mapping[str, Any], losses: pl.DataFrame, router: str | None, tr: Translator
) -> Iterator[Section]:
    yield Section(tr("What is proven"), tuple(_proven(diagnosis, row, losses, tr)))
    if excluded := tuple(_excluded(diagnosis, row, losses, tr)):
        yield Section(tr("What is excluded"), excluded)
    times = tuple(_times(losses, tr))
    yield Section(tr("When it happened (UTC)"), times)
    if is_network(row, losses):
        yield _packets(diagnosis, row, losses, tr)
    yield from _settings(diagnosis, row, losses, router, tr)


def _proven(diagnosis: Diagnosis, row: Mapping[str, Any], losses: pl.DataFrame, tr: Translator) -> Iterator[str]:
    mine = {row["site"], *row["addresses"]}
    for finding in diagnosis.findings:
        if (finding.id in _PROOFS and finding.site in mine) or finding.id == "pbx_trouble":
            yield finding_text(finding, tr)
    counts = losses["cause"].cast(pl.String).value_counts(sort=True)
    named = ", ".join(f"{about_cause(cause, tr)['name']} ({tr.number(n)})" for cause, n in counts.iter_rows())
    yield tr("Losses by cause: {causes}.", causes=named)


def _excluded(diagnosis: Diagnosis, row: Mapping[str, Any], losses: pl.DataFrame, tr: Translator) -> Iterator[str]:
    phones = losses["peer"].n_unique()
    models = set(models_of(losses["peer"].unique()).drop_nulls())
    if phones > 1 and len(models) > 1:
        yield tr("A single phone: {phones} phones of {models} models are concerned.", phones=phones, models=len(models))
    alone = _with_others_reachable(diagnosis, losses)
    if alone:
        values = {"n": tr.number(alone), "all": tr.number(losses.height)}
        yield tr("The PBX or its line: during {n} of {all} losses phones elsewhere were reachable.", **values)
    if not is_network(row, losses) and not _untold(losses):
        bracket = bracket_text(row["low_s"], row["high_s"], tr)
        yield tr("The router's timeout as the main cause: what is known of it is {bracket}.", bracket=bracket)


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


def _times(losses: pl.DataFrame, tr: Translator) -> Iterator[str]:
    for start, end, peer, cause in (
        losses.sort("start").select("start", "end", "peer", "cause").tail(_MOST_TIMES).rows()
    ):
        until = _utc(end) if end else tr("open when the log ends")
        yield f"{_utc(start)} - {until}: {peer}, {about_cause(cause, tr)['name']}"


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _packets(diagnosis: Diagnosis, row: Mapping[str, Any], losses: pl.DataFrame, tr: Translator) -> Section:
    """Return what a capture shows of the causes that were found, and of no other."""
    address = diagnosis.log.bundle.setting("externaddr")
    pbx = address.value if address else PBX_ADDRESS
    every = tr.duration(diagnosis.settings.probe_interval_s)
    found = {*losses["cause"].cast(pl.String), *["nat_expiry"] * (row["verdict"] == "too_short")}
    causes = [cause for cause in _THE_NETWORKS if cause in found]
    points = (
        tr("Capture on the WAN side and on the LAN side at the same time, with this filter:"),
        tr("Normal: the PBX's OPTIONS every {time}, answered by the phone with 200 OK.", time=every),
        *(tr("{name}: {text}", name=cause_name(cause, tr), text=word("capture", cause, tr)) for cause in causes),
    )
    return Section(tr("Which packets to look for"), points, (f"udp and host {pbx}",))


def _settings(
    diagnosis: Diagnosis, row: Mapping[str, Any], losses: pl.DataFrame, router: str | None, tr: Translator
) -> Iterator[Section]:
    if row["verdict"] != "too_short":
        causes = losses["cause"].cast(pl.String).value_counts(sort=True)["cause"].to_list()
        yield Section(tr("What to do"), tuple(about_cause(cause, tr)["advice"] for cause in causes[:3]))
        return
    seconds = diagnosis.settings.recommended_timeout_s
    points = [tr("Timeout for idle UDP entries: at least {time}.", time=timeout_text(seconds, tr))]
    points.append(
        tr("If it can be set for the PBX's address alone, set it there; switch SIP inspection (SIP ALG) off.")
    )
    yield Section(tr("What to set"), tuple(points))
    address = diagnosis.log.bundle.setting("externaddr")
    for snippet in snippets(router, seconds, tr, address.value if address else "") if router else ():
        yield Section(tr("{name}: {text}", name=router, text=snippet.title), (), snippet.lines)
