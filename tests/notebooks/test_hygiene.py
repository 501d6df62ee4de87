"""The curated notebooks: registered, run in order, silent, free of this machine and of customers."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
REGISTER: list[dict[str, Any]] = tomllib.loads((FOLDER / "register.toml").read_text("utf-8"))["notebook"]
PARAMETERS = ["log", "case_folder", "time_zone", "keepalive_minutes", "language"]
MOST_BYTES = 1_400_000
# A path of a machine: POSIX homes and temporary folders, Windows drives; not a web address, not `var/log/asterisk`.
MACHINE = re.compile(r"(?<![\w:/.])/(?:home|root|tmp|Users|opt|work|private|mnt|srv)/|\b[A-Z]:\\\\")


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.fixture(params=[entry["name"] for entry in REGISTER])
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return read(request.param)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in code(notebook) for output in cell.outputs]


def test_every_notebook_is_registered_with_a_strategy() -> None:
    assert [entry["name"] for entry in REGISTER] == sorted(path.stem for path in FOLDER.rglob("*.ipynb"))
    assert all(entry["strategy"] == "strict" or entry.get("reason") for entry in REGISTER)
    assert all(entry["shows"] for entry in REGISTER)


def test_nothing_else_lies_in_the_folder() -> None:
    ignored = {"cases", "inbox", ".ipynb_checkpoints"}
    names = {path.name for path in FOLDER.iterdir()} - ignored
    assert names == {"register.toml", *(f"{entry['name']}.ipynb" for entry in REGISTER)}


def test_format_and_metadata_make_no_differences(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "widgets"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert [cell.id for cell in notebook.cells] == [f"cell-{n:02}" for n in range(1, len(notebook.cells) + 1)]
    assert all(set(cell.metadata) <= {"tags", "jupyter", "transient"} for cell in notebook.cells)
    folded = [cell for cell in notebook.cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    # nbconvert's templates look for this, JupyterLab for that
    assert [cell for cell in notebook.cells if cell.metadata.get("transient") == {"remove_source": True}] == folded


def test_every_code_cell_has_run_in_order(notebook: nbformat.NotebookNode) -> None:
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))


def test_no_cell_is_left_out_of_the_comparison(notebook: nbformat.NotebookNode) -> None:
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert tags == ["parameters"]


def test_nothing_on_stderr_and_no_error(notebook: nbformat.NotebookNode) -> None:
    assert [o for o in outputs(notebook) if o.get("name") == "stderr" or o.output_type == "error"] == []


def test_parameters_are_the_first_code_cell_and_plain_values(notebook: nbformat.NotebookNode) -> None:
    first = code(notebook)[0]
    assert first.metadata.tags == ["parameters"]
    values: dict[str, Any] = {}
    for node in ast.parse(first.source).body:
        assert isinstance(node, ast.Assign)
        assert isinstance(node.targets[0], ast.Name)
        values[node.targets[0].id] = ast.literal_eval(node.value)
    assert list(values)[: len(PARAMETERS)] == PARAMETERS
    assert all(value is None or isinstance(value, str | int | float | bool) for value in values.values())
    assert values["log"] is None
    assert values["case_folder"] is None


def test_no_path_of_a_machine_and_no_customer(notebook: nbformat.NotebookNode) -> None:
    text = nbformat.writes(notebook)
    assert [text[max(0, m.start() - 60) : m.end() + 60] for m in MACHINE.finditer(text)] == []


def test_cells_are_short_and_explained(notebook: nbformat.NotebookNode) -> None:
    cells = notebook.cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert max(len(cell.source.splitlines()) for cell in code(notebook)) <= 12
    runs = "".join("m" if cell.cell_type == "markdown" else "c" for cell in cells)
    assert "cccc" not in runs


def test_sizes_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.ipynb")}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


def test_pictures_are_kept_as_vega_lite_and_as_svg(notebook: nbformat.NotebookNode) -> None:
    """JupyterLab draws the first offline; GitHub and nbconvert show the second."""
    for output in outputs(notebook):
        data = output.get("data", {})
        if "application/vnd.vegalite.v5+json" in data:
            assert data["image/svg+xml"].startswith("<svg")
            assert "http" not in json_text(data["application/vnd.vegalite.v5+json"])
        assert not any("cdn." in json_text(value) for value in data.values())


def json_text(value: object) -> str:
    return re.sub(r"https://vega\.github\.io/schema/\S+", "", str(value))
