"""The report as one page: what its template needs, put together from a diagnosis and the answers to the checklist."""

import platform
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import polars as pl
from markupsafe import Markup

from starface_nb import __version__, charts, guide
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.cases import Case
from starface_nb.errors import missing, need
from starface_nb.files import write
from starface_nb.guide import Given, Step, Translator, comparison, translator, words
from starface_nb.guide.conclusion import from_answers, gone_sites, nothing_to_set, other_causes, undecided
from starface_nb.guide.corrections import CUSTOMER, corrections, names_given
from starface_nb.report import tables
from starface_nb.report.export import losses, to_bytes
from starface_nb.report.masking import mask as masked
from starface_nb.report.whose import mark, mark_of, spare_others
from starface_nb.spared import PDF, report_names
from starface_nb.templates import fill

_MOST_HINTS, _MOST_FINDINGS, _MOST_PROOFS, _HALF = 8, 6, 8, 500
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
    listed: bool = False,
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
        Shown as the report's date; without it the page depends on the log alone, and tells no command whose it is.
    listed : bool
        Whether the list of every loss lies beside it.

    Raises
    ------
    SettingError
        There is no such language or router.
    """
    answers, shown, found = answers or {}, diagnosis, None
    tr = replace(translator(language, diagnosis.log.time_zone), names={} if mask else names_given(answers))
    said_by_analyst = corrections(diagnosis, answers)
    if mask:
        shown, found = masked(diagnosis, tr)
        said_by_analyst = [
            replace(one, peer=found.labels[one.peer], note=found.text(one.note), who="") for one in said_by_analyst
        ]
        answers, customer = found.answers(answers), ""
    router = guide.find_product(router) if router else None
    short = shown.sites.filter(pl.col("verdict") == "too_short").sort("site")
    said = [f for f in shown.findings if f.id not in _SHOWN_ELSEWHERE]
    return fill(
        "report/template.html",
        style=Markup(charts.font_faces() + Path(__file__).with_name("style.css").read_text("utf-8")),  # noqa: S704  ours
        tr=tr,
        customer=customer,
        created=created,
        whose=created and mark(diagnosis.log, mask=mask),
        listed=listed,
        guide=guide,
        words=words,
        comparison=comparison,
        tables=tables,
        diagnosis=shown,
        mask=found,
        answers=answers,
        files=[tr("Log {n}", n=n) if mask else PurePath(f.name).name for n, f in enumerate(shown.log.files, 1)],
        tone="bad" if short.height else "open" if undecided(shown) else "good",
        gone=gone_sites(shown),
        phones=shown.phones.filter(~pl.col("trunk")).height,
        losses=shown.intervals.filter(~pl.col("trunk"))["cause"].to_list(),
        cycles={n: tr.number(int(shown.eras[f"cycles_{n}"].sum())) for n in ("expired", "survived", "excluded")},
        findings=[f for f in said if f.severity != "info"][:_MOST_FINDINGS],
        notes=[*(words.finding_text(f, tr) for f in said if f.severity == "info"), *_notes(shown, tr)],
        to_set=[words.site_name(site, tr) for site in short["site"]],
        routers=_routers(short, answers, router, tr),
        nothing_to_set=nothing_to_set(shown, tr),
        others=other_causes(shown, tr),
        hints=_hints(short, tr),
        eras=shown.eras.sort("era").partition_by("site", as_dict=True),
        timeline=_inline(charts.timeline(shown, language=language), "t-") if shown.phones.height else None,
        proofs=_proofs(shown, tr),
        unproved=short.height - _MOST_PROOFS,
        corrected=said_by_analyst,
        chosen=_chosen,
        follows=[line for lines in from_answers(shown, answers, tr) for line in lines],
        versions={"starface-nb": __version__, "Python": platform.python_version()},
    )


def of_case(case: Case, language: str, *, mask: bool = False, created: datetime | None = None) -> str:
    """Return a case's report, with its answers, names and corrections; a preview has no date."""
    answers = case.answers.all()
    return render(
        case.corrected,
        language=language,
        customer=names_given(answers).get(CUSTOMER, case.name),
        answers=answers,
        mask=mask,
        created=created,
        listed=True,
    )


def folder_of(case: Case) -> Path:
    """Return where a case's results are written: its folder, or the working folder where it is not kept."""
    return case.folder or Path()


class Written(NamedTuple):
    """The files of a report, and the names under which earlier ones that somebody had changed are kept."""

    paths: list[Path]
    kept: list[str]


def write_report(case: Case, language: str, *, mask: bool = False, ending: str | None = None) -> Written:
    """Write a case's report into its folder and return the files, whose names end in the language, or as given."""
    tr, page = translator(language, case.log.time_zone), of_case(case, language, mask=mask, created=datetime.now(UTC))
    listed = losses(masked(case.corrected, tr)[0] if mask else case.corrected, tr)
    made = [to_bytes(listed, "csv"), page.encode(), *([] if missing("pdf") else [to_pdf(page)])]
    paths = [folder_of(case) / name for name in report_names(f"-{language}" if ending is None else ending)]
    if case.folder is not None:
        return Written(paths, case.put({path.name: content for path, content in zip(paths, made, strict=True)}))
    spare_others(paths[1:], case.log)  # the list of losses goes with its page
    for path, content in zip(paths, made, strict=True):
        write(path, content)
    return Written(paths, [])


def to_pdf(html: str) -> bytes:
    """Return a rendered report as PDF (A4), set in the same look; nothing is fetched from anywhere."""
    need("pdf")
    import plutoprint

    class Nothing(plutoprint.ResourceFetcher):
        """Fetches nothing but the font that the page holds."""

        def fetch_url(self, url: str) -> plutoprint.ResourceData:
            if url.startswith("data:font/"):
                found: plutoprint.ResourceData = super().fetch_url(url)
                return found
            raise ValueError(url)

    book = plutoprint.Book(plutoprint.PAGE_SIZE_A4)
    book.custom_resource_fetcher = Nothing()
    book.load_html(html)
    buffer = BytesIO()
    book.write_to_pdf_stream(buffer)
    front, last, end = buffer.getvalue().rpartition(b"startxref")
    return front + f"%starface-nb {mark_of(html.encode())}\n".encode() + PDF + last + end


def _hints(short: pl.DataFrame, tr: Translator) -> list[str]:
    """Return the routers whose documented default lies in a bracket, with it."""
    known = [guide.defaults_in_bracket(*bracket) for bracket in short.select("low_s", "high_s").iter_rows()]
    said = []
    for row in (row for frame in known for row in frame.filter(~pl.col("legacy")).iter_rows(named=True)):
        name = tr("SIP inspection of {router}", router=row["product"]) if row["sip_alg"] else row["product"]
        said.append(f"{name} ({tr.duration(row['seconds'])})")
    return list(dict.fromkeys(said))[:_MOST_HINTS]


def _proofs(shown: Diagnosis, tr: Translator) -> list[tuple[str, Markup]]:
    """Return captions and pictures: the folded losses of every site whose timeout is too short."""
    guilty = shown.sites.filter(pl.col("verdict") == "too_short").sort(-pl.col("cycles_expired"), "site")["site"]
    found = []
    for n, site in enumerate(guilty.head(_MOST_PROOFS)):
        caption = tr("Every loss at {site} by the time since the phone's last renewal", site=words.site_name(site, tr))
        found.append((caption, _inline(charts.fold(shown, language=tr.language, site=site), f"f{n}-", _HALF)))
    return found


def _routers(short: pl.DataFrame, answers: Mapping[str, Any], router: str | None, tr: Translator) -> list[str | None]:
    """Return the routers of the guilty sites that are known, each once; None where none is: the way to find it."""
    named = [router] if router else [guide.at_site(answers, row, tr).router for row in short.to_dicts()]
    return [name for name in dict.fromkeys(named) if name in guide.products()]


def _notes(shown: Diagnosis, tr: Translator) -> list[str]:
    """Return the notes of reading, without folders; of those that are said in English alone only how many there are."""
    said = [words.note_text(words.without_folders(note), tr) for note in shown.log.notes]
    notes, rest = [note for note in said if note], said.count(None)
    more = tr.count(
        "{n} note of the program on reading the log stands in the case.",
        "{n} notes of the program on reading the log stand in the case.",
        rest,
    )
    return [*notes, more] if rest else notes


def _inline(chart: Any, prefix: str, width: int = charts.WIDE) -> Markup:
    """Return a chart as SVG that can stand in a page with others: its ids begin with `prefix`.

    They are numbered anew: the drawing library counts on from picture to picture, and the same log gives the same page.
    """
    svg = charts.to_svg(chart, width)
    numbers = {name: str(n) for n, name in enumerate(dict.fromkeys(re.findall(r'<[^>]* id="([^"]*)"', svg)))}
    svg = re.sub(r'( id="|url\(#)([^")]*)', lambda found: found[1] + prefix + numbers.get(found[2], found[2]), svg)
    svg = re.sub(r' width="([\d.]+)" height="[\d.]+"', r' style="max-width:\1px"', svg, count=1)
    return Markup(svg)  # noqa: S704  drawn by us this moment: texts in it are escaped


def _chosen(step: Step, kept: Given, tr: Translator) -> str:
    """Return what was answered to a step, in words."""
    answer = step.answer(kept.answer)
    parts = (
        step.counted(kept, tr),
        answer and answer.label,
        kept.day and kept.day.isoformat(),
        kept.router,
        kept.seconds and tr.duration(kept.seconds),
        " ".join(kept.note.split()),
    )
    return ", ".join(part for part in parts if part)
