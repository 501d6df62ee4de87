"""The model's numbers stand in one file, each with unit and source."""

import re
from pathlib import Path

import starface_nb.model as room
from starface_nb.model.priors import PRIORS, ROWS


def test_every_number_has_a_unit_and_a_source():
    assert all(set(row) == {"value", "unit", "source"} and row["unit"] and row["source"] for row in ROWS.values())
    assert len(ROWS) <= 60


def test_every_number_is_used():
    code = "".join(path.read_text("utf-8") for path in Path(room.__file__).parent.glob("*.py"))
    assert [name for name in vars(PRIORS) if not re.search(rf"P\.{name}\b", code)] == []
