"""The customer's report: one self-contained page in three languages, and the same as PDF."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.i18n import translator
from starface_nb.report.masking import mask as masked
from starface_nb.report.page import context
from starface_nb.text import visible

__all__ = ["render", "to_pdf"]
_HERE = Path(__file__).parent


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
    tr = translator(language, diagnosis.log.time_zone)
    shown, found = masked(diagnosis, tr) if mask else (diagnosis, None)
    values = context(shown, tr, found, answers or {}, router)
    return (
        _environment()
        .get_template("template.html")
        .render(values, language=language, customer="" if mask else customer, created=created, style=_style())
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


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )


@cache
def _style() -> Markup:
    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704  our own file
