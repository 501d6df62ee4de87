"""Texts, numbers, dates and plurals in English, German and French.

English text is the key. Translations are gettext catalogues, several small ones per language
(`locale/<language>/<room>.po`), read together; a missing translation is an error in the tests, never in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from starface_nb.errors import SettingError

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français"}
_MARKS = {  # as CLDR has them
    "en": {},
    "de": str.maketrans({",": ".", ".": ",", "%": "\u00a0%"}),
    "fr": str.maketrans({",": "\u202f", ".": ",", "%": "\u00a0%"}),
}
_ENGLISH = {  # needs no locale's data, which take a while to load
    "medium": "{0.day} {0:%b %Y, %H:%M:%S}",
    "short": "{0.day} {0:%b %Y, %H:%M}",
    "day": "{0.day} {0:%B %Y}",
    "HH:mm": "{0:%H:%M}",
}
_LOCALE_DIR = Path(__file__).parent / "locale"


def catalogues(language: str) -> Iterator[tuple[Path, Catalog]]:
    """Yield every translation file of a language with its content."""
    from babel.messages.pofile import read_po

    for path in sorted((_LOCALE_DIR / language).glob("*.po")):
        with path.open("rb") as file:
            yield path, read_po(file, locale=language, abort_invalid=True)


@cache
def _messages(language: str) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {}
    for _, catalogue in catalogues(language) if language != "en" else ():
        for message in catalogue:
            if message.id and message.string:
                key = message.id if isinstance(message.id, str) else message.id[0]
                found[key] = message.string if isinstance(message.string, str) else tuple(message.string)
    return found


@dataclass(frozen=True)
class Translator:
    """Speaks one language; times are shown in `time_zone`, and sites by the `names` that they were given."""

    language: str
    time_zone: str = "Europe/Berlin"
    names: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def _format(self) -> str:
        # as Europe writes English: the logs are read there, and a 24-hour clock is easier to compare
        return "en_GB" if self.language == "en" else self.language

    def __call__(self, text: str, /, **values: object) -> str:
        """Translate `text` and put `values` into its `{names}`."""
        translated = _messages(self.language).get(text, text)
        return str(translated).format(**values) if values else str(translated)

    def count(self, singular: str, plural: str, n: int, /, **values: object) -> str:
        """Translate with the plural form for `n`, which is available as `{n}`."""
        forms = _messages(self.language).get(singular)
        if isinstance(forms, tuple) and len(forms) > 1:
            text = forms[0 if n == 1 or (self.language == "fr" and n == 0) else 1]
        else:
            text = singular if n == 1 else plural
        return text.format(n=self.number(n), **values)

    def joined(self, *parts: str) -> str:
        """Set parts of a sentence beside each other, empty ones left out; French sets a space before each semicolon."""
        return ("\u00a0; " if self.language == "fr" else "; ").join(part for part in parts if part)

    def inside(self, name: str) -> str:
        """Return a name as it stands within a sentence: French writes it small there, unless it is an abbreviation."""
        return name[:1].lower() + name[1:] if self.language == "fr" and not name[1:2].isupper() else name

    def number(self, value: float, digits: int = 0) -> str:
        """Format a number with the language's separators and at most `digits` decimals."""
        written = f"{Decimal(str(value)):,.{digits}f}"
        return (written.rstrip("0").rstrip(".") if digits else written).translate(_MARKS[self.language])

    def percent(self, share: float, digits: int = 0) -> str:
        """Format a share between 0 and 1 as a percentage; shares next to 0 and 1 are not rounded to them."""
        step = 10 ** -(digits + 2)
        if 0 < share < step:
            return "< " + self.percent(step, digits)
        if 1 - step < share < 1:
            return "> " + self.percent(1 - step, digits)
        return f"{Decimal(str(share)):,.{digits}%}".translate(_MARKS[self.language])

    def time(self, when: datetime, style: str = "medium") -> str:
        """Format an aware time `medium` to the second, `short` to the minute, `day`, or a CLDR pattern."""
        if self.language == "en" and style in _ENGLISH:
            return _ENGLISH[style].format(when.astimezone(ZoneInfo(self.time_zone)))
        from babel.dates import format_datetime

        day = "d. MMM y" if self.language == "de" else "d MMM y"
        named = {"medium": f"{day}, HH:mm:ss", "short": f"{day}, HH:mm", "day": day.replace("MMM", "MMMM")}
        pattern = named.get(style, style)
        return str(format_datetime(when, pattern, tzinfo=ZoneInfo(self.time_zone), locale=self._format))

    @property
    def day(self) -> str:
        """How a day is typed in this language, as a format of `strftime`."""
        return {"de": "%d.%m.%Y", "fr": "%d/%m/%Y"}.get(self.language, "%Y-%m-%d")

    def typed(self, when: date) -> str:
        """Write a day, or a moment to the second, as it is typed in this language; see `text.read_typed`."""
        return when.strftime(f"{self.day} %H:%M:%S" if isinstance(when, datetime) else self.day)

    def duration(self, seconds: float) -> str:
        """Format a duration by its size: `45 s`, `12 min 30 s`, `3 h 5 min`, `2 d 4 h`."""
        whole = round(seconds)
        units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
        names = {"d": {"de": "T", "fr": "j"}.get(self.language, "d")}
        start = next((i for i, (_, size) in enumerate(units) if whole >= size), 3)
        parts: list[str] = []
        for name, size in units[start : start + 2]:
            amount, whole = divmod(whole, size)
            if amount or not parts:
                parts.append(f"{self.number(amount)} {names.get(name, name)}")
        return " ".join(parts)


@cache
def translator(language: str = "en", time_zone: str = "Europe/Berlin") -> Translator:
    """Return the translator for a language.

    Raises
    ------
    SettingError
        The language is not one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise SettingError(f"There is no language {language!r}.", next_step=f"Choose one of {', '.join(LANGUAGES)}.")
    return Translator(language, time_zone)
