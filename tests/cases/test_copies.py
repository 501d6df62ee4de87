"""Working copies: parameters are written into the parameters cell, nothing else of the original's text changes."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from starface_nb import samples
from starface_nb.cases.copies import copy_notebooks, curated
from starface_nb.errors import SettingError

_SOURCE = """log = None  # path of the log
time_zone = "Europe/Berlin"  # zone of its times
keepalive_minutes = 60  # minutes
case_folder = None  # kept
language = "en"  # texts
seed = 7"""


def _notebook() -> nbformat.NotebookNode:
    cell = v4.new_code_cell(_SOURCE, metadata={"tags": ["parameters"]}, execution_count=1)
    cell.outputs = [v4.new_output("stream", text="of the sample")]
    return v4.new_notebook(cells=[v4.new_markdown_cell("# Title"), cell])


def test_copies_work_on_their_case_and_hold_nothing_of_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = tmp_path / "notebooks"
    originals.mkdir()
    for name in ("00_case", "05_before"):
        nbformat.write(_notebook(), originals / f"{name}.ipynb")
    before = {path: path.read_bytes() for path in originals.iterdir()}
    monkeypatch.setattr(samples, "notebooks", lambda: originals)
    copies = copy_notebooks(tmp_path / "case")
    assert [copy.name for copy in copies] == ["00_case.ipynb", "05_before.ipynb"]
    copy = nbformat.read(copies[0], as_version=4)
    assert copy.cells[1].source.splitlines() == [
        "log = None  # path of the log",
        "time_zone = None  # zone of its times",
        "keepalive_minutes = None  # minutes",
        "case_folder = '.'  # kept",
        "language = None  # texts",
        "seed = 7",
    ]
    nbformat.validate(copy)
    assert copy.cells[1].outputs == []
    assert copy.cells[1].execution_count is None
    assert {path: path.read_bytes() for path in originals.iterdir()} == before
    copies[0].write_text("the analyst's work")
    copy_notebooks(tmp_path / "case")
    assert copies[0].read_text() == "the analyst's work"
    with pytest.raises(SettingError, match="no notebook 77"):
        curated(["77"])
