"""Write the outputs that the curated notebooks keep: `python -m tests.notebooks.write_outputs [NAME ...]`.

Run it in the environment that `.ci/constraints.txt` pins, and look at what changed before committing. Each notebook
runs in a fresh kernel in an empty folder, so that nothing lying about can help it. What differs from run to run (widget
identifiers, cell times) is replaced or left out.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat

from starface_nb.cases.copies import curated
from starface_nb.cases.runner import run_notebooks

_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_CELL_METADATA = {"tags", "jupyter", "editable", "transient"}
_MODEL = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def main(chosen: list[str]) -> int:
    """Execute the chosen notebooks (default: all) and keep their outputs; return 1 where one failed."""
    status = 0
    os.environ["STARFACE_NB_PROGRESS"] = "0"  # a slow machine must not add a bar to the outputs
    for original in curated(chosen or None):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / original.name
            nbformat.write(tidy(nbformat.read(original, as_version=4)), copy)
            executed = run_notebooks([copy])[0]
            notebook = nbformat.read(copy, as_version=4)
        if executed.error or _stderr(notebook):
            status = 1
            print(f"{original.name}: cell {executed.cell}: {executed.error}{_stderr(notebook)}", file=sys.stderr)
            continue
        original.write_text(nbformat.writes(tidy(notebook)).rstrip("\n") + "\n", encoding="utf-8", newline="\n")
        print(f"{original.name}: {executed.seconds:.1f} s, {original.stat().st_size / 1024:.0f} KiB")
    return status


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without what only makes differences: cell times, tool metadata, random identifiers."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = nbformat.from_dict(_METADATA | ({"widgets": widgets} if widgets else {}))
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in _CELL_METADATA})
        for output in cell.get("outputs", []):
            output.pop("transient", None)
    return _number_models(notebook)


def _number_models(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Replace widgets' random identifiers by numbers in the order in which the notebook names them."""
    state = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    if not state:
        return notebook
    text = json.dumps(notebook)
    order = [found for found in dict.fromkeys(_MODEL.findall(text)) if found in state]
    names = {found: f"{number:032x}" for number, found in enumerate(order, start=1)}
    renamed = json.loads(_MODEL.sub(lambda match: names.get(match[0], match[0]), text))
    kept = renamed["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    kept["state"] = dict(sorted(kept["state"].items()))
    return nbformat.from_dict(renamed)


def _stderr(notebook: nbformat.NotebookNode) -> str:
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
