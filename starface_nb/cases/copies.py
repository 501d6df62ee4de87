"""Working copies of the curated notebooks: the originals are never written to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starface_nb import samples
from starface_nb.errors import SettingError
from starface_nb.files import private_folder, write

# What the copies in a case's folder are set to: log and settings are the case's own.
_PARAMETERS = {"log": None, "case_folder": ".", "time_zone": None, "keepalive_minutes": None, "language": None}


def curated(chosen: Sequence[str] | None = None) -> list[Path]:
    """Return the curated notebooks in their order, or those whose names begin with one of `chosen`.

    Raises
    ------
    SettingError
        No notebook begins like that.
    """
    every = sorted(samples.notebooks().glob("[0-9][0-9]_*.ipynb"))
    found = [path for path in every if chosen is None or path.stem.startswith(tuple(chosen))]
    unknown = [text for text in chosen or () if not any(path.stem.startswith(text) for path in found)]
    if unknown or not found:
        raise SettingError(
            f"There is no notebook {', '.join(unknown) or 'chosen'}.",
            next_step=f"Choose among {', '.join(path.stem for path in every)}.",
        )
    return found


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
        copies.append(folder / original.name)
        if replace or not copies[-1].exists():
            notebook = _emptied(json.loads(original.read_bytes()))
            text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
            write(copies[-1], text.encode("utf-8") + b"\n")
    return copies


def _emptied(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without outputs and with a case's parameters, whose comments stay."""
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        if "parameters" in cell["metadata"].get("tags", ()):
            source = "".join(cell["source"])
            for name, value in _PARAMETERS.items():
                source = re.sub(rf"(?m)^{name} = .*?(?=  #|$)", f"{name} = {value!r}", source)
            cell["source"] = source.splitlines(keepends=True)
    return notebook
