"""The verdict: one row per site, what to set there, and what is handed out."""

from typing import Any

import polars as pl

from starface_nb.cases import Case
from starface_nb.errors import SettingError
from starface_nb.guide import LANGUAGES, at_site, finding_text, headline, word
from starface_nb.guide.conclusion import gone_sites
from starface_nb.guide.corrections import CUSTOMER, name_key, names_given
from starface_nb.guide.words import note_text, regular, site_bracket, site_name, timeout_text, without_folders
from starface_nb.panels.base import CasePanel, good
from starface_nb.panels.handing_out import changed, write_report
from starface_nb.reading import DEFAULT_ZONE
from starface_nb.report.export import losses, to_bytes
from starface_nb.report.tables import how_sure, site_rows
from starface_nb.report.ticket import ticket
from starface_nb.settings import KEEPALIVES_S

_MOST_SITES, _MOST_NOTES = 12, 5
_IN_THE_TABLE = {"nat_too_short", "nat_below_probe", "no_expiry_seen", "timeout_fixed", "not_cured", "other_causes",
                 "note", "unparsed", "still_unreachable", "undecided"}  # fmt: skip
_FIRST = {"site_gone", "keepalive_contradicted", "incomplete_log", "no_times", "reversed_log", "stale_state"}


class Verdict(CasePanel):
    """What is the matter at which site, and what to set there; report, ticket and export.

    Parameters
    ----------
    case : Case
    """

    name = "verdict"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._next = case  # as it will be when all is run again
        self._tell()

    def _tell(self) -> None:
        self.tr = self.case.translator
        tr, found = self.tr, self.case.corrected
        rows = [row | self._about(row) for row in site_rows(found)]
        worst = max((row["verdict"] for row in rows), key=_urgency, default="undetermined")
        said = [f for f in found.findings if f.id not in _IN_THE_TABLE]
        self.show(
            main=self.fill(
                "verdict",
                tone="too_short" if gone_sites(found) else worst,
                headline=headline(found, tr),
                about=_about_log(self.case),
                wrong=[finding_text(f, tr) for f in said if f.id in _FIRST],
                notes=[
                    *(finding_text(f, tr) for f in said if f.id not in _FIRST and f.severity != "info"),
                    *regular(found, tr),
                ],
                small=[
                    note_text(text, tr) or text
                    for text in (*self.case.notes, *map(without_folders, self.case.log.notes[:_MOST_NOTES]))
                ],
                sites=rows[:_MOST_SITES],
                more=len(rows) - _MOST_SITES,
                languages=LANGUAGES.items(),
                ticket=ticket(self.case),
                names=names_given(self.case.answers.all()),
                zone=self.case.log.time_zone,
                keepalive=self.case.settings.keepalive_s / 60,
            ),
        )

    def renew(self) -> None:
        """Show the router, the value read from it, and the counts as they are kept now."""
        self._tell()

    def _about(self, row: dict[str, Any]) -> dict[str, Any]:
        tr, settings = self.tr, self.case.diagnosis.settings
        short = row["verdict"] == "too_short"
        return {
            "name": site_name(row["site"], tr),
            "bracket": site_bracket(row, tr),
            "set": tr("at least {time}", time=timeout_text(settings.recommended_timeout_s, tr)) if short else "-",
            "router": at_site(self.case.answers.all(), row, tr),
            "said": word("verdict", row["verdict"], tr),
            "sure": how_sure(row, settings.keepalive_s, tr),
        }

    def do_report(self, language: str, _value: object) -> None:
        """Write the report in a language, as a page and as PDF, and hand the PDF to the browser."""
        write_report(self, language)

    def do_export(self, kind: str, _value: object) -> None:
        """Write every loss as CSV or Excel, and hand it to the browser."""
        name, content = f"losses.{kind}", to_bytes(losses(self.case.corrected, self.tr), kind)
        kept = self.case.put({name: content}) if self.case.folder else []
        self.download(name, content)
        self.show(said=good(self.tr("Exported: {name}", name=name)) + changed(kept, self.tr))

    def do_name(self, what: str, name: str) -> None:
        """Keep the name of the customer or of a site."""
        self.case.answers.reload().set(name_key(what or CUSTOMER), name.strip() or None)
        self._tell()

    def do_time_zone(self, _arg: object, name: str) -> None:
        """Keep the zone of the log's local times; everything is shown in it when it is run again."""
        self._keep(time_zone=name.strip() or DEFAULT_ZONE)

    def do_keepalive(self, _arg: object, text: str) -> None:
        """Keep the phones' keepalive, minutes; everything is shown with it when it is run again."""
        try:
            minutes = float(text.replace(",", "."))
        except ValueError:
            raise SettingError(self.tr("{text} is no number of minutes.", text=text)) from None
        if not KEEPALIVES_S[0] <= 60 * minutes <= KEEPALIVES_S[1]:
            raise SettingError(self.tr("A keepalive lies between 1 second and 7 days, not at {text}.", text=text))
        self._keep(keepalive_s=60 * minutes)

    def _keep(self, **settings: Any) -> None:
        self._next = self._next.change(**settings)
        self.show(said=good(self.tr("Kept. Choose Run > Run All Cells, and everything is shown with it.")))


def _urgency(verdict: str) -> int:
    return ("no_expiry_seen", "undetermined", "too_short").index(verdict)


def _about_log(case: Case) -> str:
    tr, log = case.translator, case.log
    phones = case.diagnosis.phones.filter(~pl.col("trunk"))
    lost = phones.filter(pl.col("losses") > 0).height
    said = tr.count(
        "{lost} of {n} phone was unreachable at least once,",
        "{lost} of {n} phones were unreachable at least once,",
        phones.height,
        lost=tr.number(lost),
    )
    losses = int(phones["losses"].sum())
    said += " " + tr.count("{n} time in all.", "{n} times in all.", losses)
    if trunks := case.diagnosis.intervals.height - losses:
        said += " " + tr.count("Trunks: {n} time.", "Trunks: {n} times.", trunks)
    if log.first is None or log.last is None:
        return said
    span = tr("{first} to {last}", first=tr.time(log.first, "short"), last=tr.time(log.last, "short"))
    return f"{said} {span} ({log.time_zone})."
