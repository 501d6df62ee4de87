"""The verdict as plain text for a ticket, in the customer's language."""

from starface_nb.cases import Case
from starface_nb.guide import headline, word
from starface_nb.guide.conclusion import other_causes
from starface_nb.guide.corrections import CUSTOMER
from starface_nb.guide.words import site_bracket, site_name, timeout_text
from starface_nb.report.tables import site_rows


def ticket(case: Case) -> list[str]:
    """Return the verdict as lines of plain text: headline, one line per site, what to set, what that will not cure."""
    tr, found = case.translator, case.corrected
    lines = [headline(found, tr), ""]
    if CUSTOMER in tr.names:
        lines.insert(0, tr.names[CUSTOMER])
    if case.log.first and case.log.last:
        span = tr.time(case.log.first, "short"), tr.time(case.log.last, "short")
        lines.insert(-1, tr("{first} to {last}", first=span[0], last=span[1]) + f" ({case.log.time_zone})")
    rows = site_rows(found)
    for row in rows:
        said = word("verdict", row["verdict"], tr), site_bracket(row, tr)
        line = tr(
            "{site}: {verdict}; timeout {bracket}.", site=site_name(row["site"], tr), verdict=said[0], bracket=said[1]
        )
        counted = tr.count("{n} loss", "{n} losses", row["losses"])
        lines.append(f"- {line} {counted}, {tr('{n} by NAT', n=tr.number(row['nat']))}.")
    short = [site_name(row["site"], tr) for row in rows if row["verdict"] == "too_short"]
    if short:
        time = timeout_text(case.settings.recommended_timeout_s, tr)
        said_set = tr(
            "{sites}: set the router's timeout for UDP entries to at least {time}.", sites=", ".join(short), time=time
        )
        lines += ["", said_set]
    others = other_causes(found, tr)
    if others:
        told = ", ".join(f"{row['name']} ({tr.number(row['losses'])})" for row in others)
        lines += ["", tr("Losses with other causes: {causes}", causes=told)]
    return lines
