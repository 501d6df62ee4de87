"""Reading the guide's data files; every text in them is English and the key of its translations."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Which values of the data files are shown to people and therefore translated.
_TOML_TEXTS = frozenset(
    "title question why how evidence covered not_covered label meaning name advice text".split()  # noqa: SIM905
)
_TOML_WORDS = frozenset({"verdict", "renewed_by", "severity", "status", "ended_by"})
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


def texts() -> Iterator[tuple[str, str]]:
    """Yield (file name, English text) for every text of the data files that is shown to people."""
    for path in sorted(HERE.glob("*.toml")):
        for text in _toml_texts(toml(path.name)):
            yield path.name, text
    for name, columns in _CSV_TEXTS.items():
        for row in table(name):
            for column in columns:
                if row[column]:
                    yield name, row[column]


def _toml_texts(node: object, key: str = "", parent: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _toml_texts(value, name, key)
    elif isinstance(node, list):
        for value in node:
            yield from _toml_texts(value, key, parent)
    elif isinstance(node, str) and node and (key in _TOML_TEXTS or parent in _TOML_WORDS):
        yield node
