"""Reading the guide's data files; every text in them is English and the key of its translations."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starface_nb.guide.i18n import Translator

HERE = Path(__file__).parent
# Which values of a TOML file are shown to people and therefore translated; in texts.toml all are.
TEXTS = frozenset({"title", "question", "why", "how", "evidence", "covered", "not_covered",
                   "label", "meaning", "name", "advice", "text"})  # fmt: skip


@cache
def toml(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of the guide."""
    with (HERE / name).open("rb") as file:
        return tomllib.load(file)


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a CSV file of the guide, every value a string."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def worded(entry: Mapping[str, Any], tr: Translator) -> dict[str, Any]:
    """Return an entry of a TOML file with its texts in the translator's language."""
    return {key: tr(value) if key in TEXTS else value for key, value in entry.items()}
