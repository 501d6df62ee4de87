"""Working copies of the curated notebooks: the originals are never written to."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from starface_nb import samples
from starface_nb.cases.record import private_folder, write_atomically
from starface_nb.errors import SettingError

Value = str | int | float | bool | None


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return a notebook in the current format."""
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def save_notebook(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook, whole or not at all."""
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(path, text.rstrip("\n").encode("utf-8") + b"\n")


def curated(chosen: Sequence[str] | None = None) -> list[Path]:
    """Return the curated notebooks in their order, or those whose names begin with one of `chosen`.

    Raises
    ------
    SettingError
        No notebook begins like that.
    """
    every = sorted(samples.notebooks().glob("[0-9][0-9]_*.ipynb"))
    if chosen is None:
        return every
    unknown = [text for text in chosen if not any(path.stem.startswith(text) for path in every)]
    if unknown or not chosen:
        raise SettingError(
            f"There is no notebook {', '.join(unknown) or 'chosen'}.",
            next_step=f"Choose among {', '.join(path.stem for path in every)}.",
        )
    return [path for path in every if any(path.stem.startswith(text) for text in chosen)]


def set_parameters(notebook: nbformat.NotebookNode, values: Mapping[str, Value]) -> None:
    """Write values into the notebook's `parameters` cell, keeping its other lines and its comments.

    Raises
    ------
    SettingError
        The notebook has no such parameter.
    """
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    lines = cell.source.splitlines()
    places = {
        node.targets[0].id: node
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for name, value in values.items():
        if name not in places:
            raise SettingError(
                f"The notebooks have no parameter {name!r}.", next_step=f"There are {', '.join(places)}."
            )
        was = places[name].value
        line = lines[was.lineno - 1]
        lines[was.lineno - 1] = line[: was.col_offset] + repr(value) + line[was.end_col_offset :]
    cell.source = "\n".join(lines)


def copy_notebooks(folder: Path, *, chosen: Sequence[str] | None = None, replace: bool = False) -> list[Path]:
    """Copy the curated notebooks into a case's folder, set to work on that case, without the sample's outputs.

    Parameters
    ----------
    folder : Path
        The case's folder.
    chosen : sequence of str, optional
        Beginnings of the names wanted (`"00"`, `"02"`); default: all.
    replace : bool
        Whether to overwrite copies that are there already; an analyst may have worked in them.

    Returns
    -------
    list of Path
        The copies, whether new or there already.
    """
    private_folder(folder)
    copies = []
    for original in curated(chosen):
        copy = folder / original.name
        if replace or not copy.exists():
            notebook = read_notebook(original)
            set_parameters(
                notebook,
                {"log": None, "case_folder": ".", "time_zone": None, "keepalive_minutes": None, "language": None},
            )
            _clear(notebook)
            save_notebook(copy, notebook)
        copies.append(copy)
    return copies


def _clear(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
