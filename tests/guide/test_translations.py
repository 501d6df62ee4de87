"""Every text that people see exists in every language, with the same values in it."""

from __future__ import annotations

import re
import string
from datetime import date, datetime

import pytest
from babel.messages.catalog import Catalog
from translation_keys import Key, notes_of_reading, reasons_of_refusal, used_keys

from starface_nb.errors import SettingError
from starface_nb.guide import words
from starface_nb.guide.i18n import LANGUAGES, Translator, catalogues, translator
from starface_nb.text import read_typed

TRANSLATED = sorted(LANGUAGES.keys() - {"en"})
Form = str | tuple[str, ...]


def entries(language: str) -> dict[str, dict[str, Form]]:
    """Return translations by file and key."""
    return {path.name: dict(_pairs(catalogue)) for path, catalogue in catalogues(language)}


def _pairs(catalogue: Catalog) -> list[tuple[str, Form]]:
    return [
        (message.id if isinstance(message.id, str) else message.id[0], message.string)
        for message in catalogue
        if message.id and message.string
    ]


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    return used_keys()


def test_the_search_finds_keys_in_code_templates_and_data(keys: list[Key]) -> None:
    places = {key.place.split(":")[0] for key in keys}
    assert {"checklist.toml", "routers.csv", "ports.csv", "report/template.html", "guide/answers.py"} <= places
    assert any(key.plural for key in keys)


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_is_missing(keys: list[Key], language: str) -> None:
    known: dict[str, Form] = {}
    for found in entries(language).values():
        known |= found
    missing = sorted({(key.text, key.place) for key in keys if key.text not in known})
    assert not missing, f"no translation into {language}:\n" + "\n".join(
        f"  {place}: {text}" for text, place in missing
    )


@pytest.mark.parametrize("language", TRANSLATED)
def test_counted_texts_have_both_forms_and_others_one(keys: list[Key], language: str) -> None:
    known: dict[str, Form] = {}
    for found in entries(language).values():
        known |= found
    wrong = sorted(
        f"{key.place}: {key.text}"
        for key in keys
        if key.text in known and isinstance(known[key.text], str) == bool(key.plural)
    )
    assert not wrong, wrong
    single = [form for form in known.values() if isinstance(form, tuple) and (len(form) != 2 or not all(form))]
    assert not single


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_hold_the_same_values(language: str) -> None:
    wrong = []
    for path, catalogue in catalogues(language):
        for message in catalogue:
            if not message.id or not message.string:
                continue
            asked = (message.id,) if isinstance(message.id, str) else message.id
            given = (message.string,) if isinstance(message.string, str) else message.string
            for original, translated in zip(asked, given, strict=True):
                if values(original) - {"n"} != values(translated) - {"n"} or (
                    len(given) == 1 and values(original) != values(translated)
                ):
                    wrong.append(f"{path.name}: {original!r} -> {translated!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", TRANSLATED)
def test_files_do_not_contradict_each_other(language: str) -> None:
    first: dict[str, tuple[str, Form]] = {}
    for name, found in entries(language).items():
        for key, form in found.items():
            other, meant = first.setdefault(key, (name, form))
            assert meant == form, f"{key!r} is {meant!r} in {other} and {form!r} in {name}"


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_translated_that_nobody_says(keys: list[Key], language: str) -> None:
    used = {key.text for key in keys}
    stale = [f"{name}: {key}" for name, found in entries(language).items() for key in found if key not in used]
    assert not stale, "\n".join(stale)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_note_on_reading_is_said_in_every_language(language: str) -> None:
    notes = notes_of_reading()
    assert len(notes) >= 12
    unsaid = [note for note in notes if words.note_text(note, translator(language)) in (None, note)]
    assert not unsaid, unsaid


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_reason_why_a_file_is_not_read_is_said_in_every_language(language: str) -> None:
    reasons = reasons_of_refusal()
    assert len(reasons) > 90
    tr = translator(language)
    unsaid = [why for why in reasons for place in ("{}", "skipped: a: b.zip!c.log: {}") if not said(place, why, tr)]
    assert not unsaid, "\n".join(unsaid)


def said(place: str, why: str, tr: Translator) -> bool:
    told = words.note_text(place.format(why), tr)
    return told is not None and not any(part in told for part in re.split("[.;:] ", why) if " " in part)


def test_a_note_in_another_language_has_its_numbers_in_that_language() -> None:
    said = words.note_text("a: b.log: line 1234: the clock goes back by 3,600 s.", translator("de"))
    assert said == "a: b.log: Zeile 1234: Die Uhr springt um 3.600 s zurück."
    skipped = "skipped: x.log: the file is empty. Download or export the log again."
    assert "vide" in (words.note_text(skipped, translator("fr")) or "")
    assert words.note_text("skipped: x.log: something that nobody translated.", translator("fr")) is None


def test_keys_are_used_in_one_way(keys: list[Key]) -> None:
    counted = {key.text for key in keys if key.plural}
    plain = {key.text for key in keys if not key.plural}
    assert not counted & plain


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals(language: str) -> None:
    tr = translator(language)
    one, none, many = (tr.count("{n} loss", "{n} losses", n) for n in (1, 0, 7))
    assert "1" in one
    assert "7" in many
    assert (one.split()[1] == none.split()[1]) == (language == "fr")  # French counts none as one
    assert one.split()[1] != many.split()[1]


# Typewriters' apostrophes and quotation marks; in French, what stands without its space, or with one that breaks.
_ILL_SET = {"de": r"\w'\w|\"", "fr": r"\w'\w|\"|[\w)}»][;!?»]|[^\W\d_]:(?!/)|\}:(?!/)| [:;!?»]|« "}


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_are_set_as_the_language_sets_them(language: str) -> None:
    wrong = [
        f"{name}: {text}"
        for name, found in entries(language).items()
        for forms in found.values()
        for text in ([forms] if isinstance(forms, str) else forms)
        if re.search(_ILL_SET[language], text.replace("FRITZ!Box", ""))
        and not text.startswith("; ")  # what another text is continued with
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("when", [date(2026, 3, 4), datetime(2026, 12, 31, 23, 59, 58)])
def test_a_moment_is_read_as_it_is_written(language: str, when: date) -> None:
    read = read_typed(translator(language).typed(when))
    assert (read if isinstance(when, datetime) else read.date()) == when


def test_moments_are_read_in_the_forms_that_people_type() -> None:
    for text in ("2026-03-04", "4.3.2026", "04/03/2026", " 4-3-2026 "):
        assert read_typed(text) == datetime(2026, 3, 4)
    for text in ("2026-03-04T08:05", "4.3.2026, 8:05", "4/3/2026 8h05", "2026-03-04 08.05", "4.3.2026 08:05:00,0"):
        assert read_typed(text) == datetime(2026, 3, 4, 8, 5)
    wrong = "2026-03-04T11,45 2026-03-04T11.75 2026-03-04T11:45.30 2026-03-04T11 20260304 2026-W11-5 3/13/2026 4.3.26"
    for text in ("", "yesterday", "31.2.2026", "4.3.2026 25:00", "4.3.2026 8:05 pm", "2026", *wrong.split()):
        with pytest.raises(SettingError, match="is no time"):
            read_typed(text)
