"""The report as one page: what its template needs, put together from a diagnosis and the answers to the checklist."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import polars as pl
from markupsafe import Markup

from starface_nb import __version__, charts, guide
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide import Given, Step, Translator, given, translator, words
from starface_nb.guide.comparison import next_experiment
from starface_nb.guide.conclusion import cured_sites, from_answers
from starface_nb.report import tables
from starface_nb.report.masking import mask as masked
from starface_nb.templates import fill

_MOST_HINTS, _MOST_FINDINGS, _MOST_PROOFS = 8, 6, 3
# Findings that stand in the table of sites, among the other causes, or among what the log cannot show.
_SHOWN_ELSEWHERE = {"nat_too_short", "nat_below_probe", "timeout_fixed", "not_cured", "other_causes",
                    "unparsed", "note"}  # fmt: skip


def render(
    diagnosis: Diagnosis,
    *,
    language: str = "en",
    customer: str = "",
    answers: Mapping[str, Any] | None = None,
    router: str | None = None,
    mask: bool = False,
    created: datetime | None = None,
) -> str:
    """Return the report as one HTML page that needs no network, no script and no other file.

    Parameters
    ----------
    diagnosis : Diagnosis
    language : str
        `en`, `de` or `fr`: texts, dates, numbers, plurals and the labels in the pictures.
    customer : str
        The customer's name; not shown in a masked report.
    answers : Mapping, optional
        Answers to the checklist by step id.
    router : str, optional
        The customer's router, or a part of its name that is unique; default is the one chosen in the checklist.
    mask : bool
        Call phones "Phone 1", "Phone 2" everywhere, evidence lines and pictures included.
    created : aware datetime, optional
        Shown as the report's date; without it the page depends on the log alone.

    Raises
    ------
    SettingError
        There is no such language or router.
    """
    tr, answers, shown, found = translator(language, diagnosis.log.time_zone), answers or {}, diagnosis, None
    if mask:
        shown, found = masked(diagnosis, tr)
        answers, customer = found.answers(answers), ""
    router = guide.find_product(router) if router else given(answers, "nat").router
    short = shown.sites.filter(pl.col("verdict") == "too_short").sort("site")
    said = [f for f in shown.findings if f.id not in _SHOWN_ELSEWHERE]
    return fill(
        "report/template.html",
        style=Markup(Path(__file__).with_name("style.css").read_text("utf-8")),  # noqa: S704  our own file
        tr=tr,
        language=language,
        customer=customer,
        created=created,
        guide=guide,
        words=words,
        tables=tables,
        diagnosis=shown,
        mask=found,
        answers=answers,
        files=[PurePath(file.name).name for file in shown.log.files],
        tone="bad" if short.height else "open" if "undetermined" in shown.sites["verdict"] else "good",
        phones=shown.phones.filter(~pl.col("trunk")).height,
        losses=shown.intervals.filter(~pl.col("trunk"))["cause"].to_list(),
        cycles={n: tr.number(int(shown.eras[f"cycles_{n}"].sum())) for n in ("expired", "survived", "excluded")},
        findings=[f for f in said if f.severity != "info"][:_MOST_FINDINGS],
        notes=[*(words.finding_text(f, tr) for f in said if f.severity == "info"), *shown.log.notes],
        to_set=[words.site_name(site, tr) for site in short["site"]],
        router=router if router in guide.products() else None,
        cured=cured_sites(shown).height > 0,
        hints=_hints(short, tr),
        eras=shown.eras.sort("era").partition_by("site", as_dict=True),
        timeline=_inline(charts.timeline(shown, language=language), "t-") if shown.phones.height else None,
        proofs=_proofs(shown, tr),
        from_log=guide.answers_from_log(shown, tr),
        chosen=_chosen,
        follows=[line for lines in from_answers(shown, answers, tr) for line in lines],
        experiment=next_experiment(shown, tr),
        versions={"starface-nb": __version__, "Python": platform.python_version()},
    )


def to_pdf(html: str) -> bytes:
    """Return a rendered report as PDF (A4), set in the same look; nothing is fetched from anywhere."""
    import plutoprint  # not needed for the page alone

    class Nothing(plutoprint.ResourceFetcher):
        """Fetches nothing: the page holds everything that it shows."""

        def fetch_url(self, url: str) -> plutoprint.ResourceData:
            raise ValueError(url)

    book = plutoprint.Book(plutoprint.PAGE_SIZE_A4)
    book.custom_resource_fetcher = Nothing()
    book.load_html(html)
    buffer = BytesIO()
    book.write_to_pdf_stream(buffer)
    return buffer.getvalue()


def _hints(short: pl.DataFrame, tr: Translator) -> list[str]:
    """Return the routers whose documented default lies in a bracket, with it."""
    known = [guide.defaults_in_bracket(*bracket) for bracket in short.select("low_s", "high_s").iter_rows()]
    rows = [row for frame in known for row in frame.filter(~pl.col("legacy")).to_dicts()]
    named = (
        tr("SIP inspection of {router}", router=row["product"]) if row["sip_alg"] else row["product"] for row in rows
    )
    said = (f"{name} ({tr.duration(row['seconds'])})" for name, row in zip(named, rows, strict=True))
    return list(dict.fromkeys(said))[:_MOST_HINTS]


def _proofs(shown: Diagnosis, tr: Translator) -> list[tuple[str, Markup]]:
    """Return captions and pictures: folded losses and cycles as brackets, for the sites with most dead entries."""
    dead = shown.eras.group_by("site").agg(pl.col("cycles_expired").sum()).filter(pl.col("cycles_expired") > 0)
    found = []
    for n, site in enumerate(dead.sort(-pl.col("cycles_expired"), "site")["site"].head(_MOST_PROOFS)):
        folded, brackets = (draw(shown, language=tr.language, site=site) for draw in (charts.fold, charts.cycles))
        caption = tr("Every loss at {site} by the time since the phone's last renewal", site=site)
        found.append((caption, _inline(folded, f"f{n}-")))
        caption = tr("What each cycle at {site} says about the timeout", site=site)
        found.append((caption, _inline(brackets, f"c{n}-")))
    return found


def _inline(chart: Any, prefix: str) -> Markup:
    """Return a chart as SVG that can stand in a page with others: its ids begin with `prefix`.

    They are numbered anew: the drawing library counts on from picture to picture, and the same log gives the same page.
    """
    svg = charts.to_svg(chart)
    numbers = {name: str(n) for n, name in enumerate(dict.fromkeys(re.findall(r'<[^>]* id="([^"]*)"', svg)))}
    svg = re.sub(r'( id="|url\(#)([^")]*)', lambda found: found[1] + prefix + numbers.get(found[2], found[2]), svg)
    svg = re.sub(r' width="([\d.]+)" height="[\d.]+"', r' style="max-width:\1px"', svg, count=1)
    return Markup(svg)  # noqa: S704  drawn by us this moment: texts in it are escaped


def _chosen(step: Step, kept: Given, tr: Translator) -> str:
    """Return what was answered to a step, in words."""
    counts = [(a.label, sum(v == a.id for v in kept.ports.values())) for a in step.answers]
    answer = step.answer(kept.answer)
    parts = (
        *(tr("{name}: {text}", name=label, text=tr.number(n)) for label, n in counts if n),
        answer and answer.label,
        kept.day and kept.day.isoformat(),
        kept.router,
        kept.seconds and tr.duration(kept.seconds),
        kept.note,
    )
    return ", ".join(part for part in parts if part)
