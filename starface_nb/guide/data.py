"""Reading the guide's data files; every text in them is English and the key of its translations."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starface_nb.guide.i18n import Translator

HERE = Path(__file__).parent
# Which values of the data files are shown to people and therefore translated; in texts.toml all are.
_TOML_TEXTS = frozenset({"title", "question", "why", "how", "evidence", "covered", "not_covered", "label", "meaning",
                         "name", "advice", "text"})  # fmt: skip
_CSV_TEXTS = {"routers.csv": ("remark", "confidence"), "ports.csv": ("purpose", "scope", "direction")}


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
    return {key: tr(value) if key in _TOML_TEXTS else value for key, value in entry.items()}


def texts() -> Iterator[tuple[str, str]]:
    """Yield (file name, English text) for every text of the data files that is shown to people."""
    for path in sorted(HERE.glob("*.toml")):
        for key, text in _leaves(toml(path.name)):
            if path.name == "texts.toml" or key in _TOML_TEXTS:
                yield path.name, text
    for name, columns in _CSV_TEXTS.items():
        yield from ((name, row[column]) for row in table(name) for column in columns if row[column])


def _leaves(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    elif isinstance(node, str):
        yield key, node
