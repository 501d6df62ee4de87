"""Working copies of the curated notebooks: the originals are never written to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starface_nb import samples
from starface_nb.errors import SettingError
from starface_nb.files import is_frozen, private_folder, write
from starface_nb.guide.i18n import LANGUAGES, translator

if TYPE_CHECKING:
    from starface_nb.cases.case import Case

# What the copies in a case's folder are set to: log and settings are the case's own.
CASE, START = "00_case", "06_fleet"
_TITLE, _ALL = "# The case", "# All customers"
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


def copy_notebooks(
    folder: Path,
    *,
    chosen: Sequence[str] | None = None,
    case: Case | None = None,
    named: bool = False,
) -> list[Path]:
    """Copy the curated notebooks into a case's folder, set to work on that case, without the sample's outputs.

    Parameters
    ----------
    folder : Path
        The case's folder.
    chosen : sequence of str, optional
        Beginnings of the names wanted (`"00"`, `"05"`); default: all.
    case : Case, optional
        Gives the prose its language and the first notebook its title.
    named : bool
        Whether the case's name is part of the first notebook's file name, too.

    Returns
    -------
    list of Path
        The copies, whether new or there already.
    """
    private_folder(folder)
    copies = []
    for original in curated(chosen):
        mine = case is not None and named and original.stem == CASE
        copies.append(folder / (f"{CASE}_{case.name}.ipynb" if case and mine else original.name))
        new = not copies[-1].exists()  # an analyst may have worked in one that is there
        if not new and (case is None or case.read_only):
            continue
        notebook = _read(original if new else copies[-1])
        if new:  # a notebook that opens no case is told the language
            opens = any("open_case(" in "".join(cell["source"]) for cell in notebook["cells"])
            notebook = _emptied(notebook, _PARAMETERS | ({"language": case.language} if case and not opens else {}))
        if case:
            _word(notebook, case.name, case.language)
        _save(notebook, copies[-1])
    return copies


def _read(path: Path) -> dict[str, Any]:
    try:
        notebook: dict[str, Any] = json.loads(path.read_bytes())
        if all("source" in cell for cell in notebook["cells"]):
            return notebook
    except (ValueError, LookupError, TypeError):
        pass
    step = "Move it somewhere else: a new one is made then."
    raise SettingError("This is no notebook, or a damaged one.", place=path, next_step=step)


def prose() -> list[str]:
    """Return what is written between the cells of the curated notebooks."""
    notebooks = [json.loads(path.read_bytes()) for path in curated()]
    return ["".join(cell["source"]) for one in notebooks for cell in one["cells"] if cell["cell_type"] == "markdown"]


def _word(notebook: dict[str, Any], name: str, language: str) -> None:
    """Put the curated prose into the case's language, and its name into the title; what an analyst wrote stays."""
    known = {translator(code)(text): text for text in prose() for code in LANGUAGES}
    for cell in notebook["cells"]:
        text = known.get("".join(cell["source"])) if cell["cell_type"] == "markdown" else None
        if text:
            told = f"# {name}" if text == _TITLE else translator(language)(text)
            cell["source"] = told.splitlines(keepends=True)


def _emptied(notebook: dict[str, Any], parameters: Mapping[str, Any] = _PARAMETERS) -> dict[str, Any]:
    """Return a notebook without outputs and with these parameters, whose comments stay."""
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        if "parameters" in cell["metadata"].get("tags", ()):
            source = "".join(cell["source"])
            for name, value in parameters.items():
                source = re.sub(rf"(?m)^{name} = .*?(?=  #|$)", f"{name} = {value!r}", source)
            cell["source"] = source.splitlines(keepends=True)
    return notebook


def start_page(root: Path, language: str | None = None) -> Path:
    """Put the start page into the folder of all cases, set to list them, and return it."""
    copy = root / "start.ipynb"
    if is_frozen(root) and copy.exists():
        return copy
    original = curated([START])[0]
    notebook = _emptied(json.loads(original.read_bytes()), {"cases": ".", "language": language or "en"})
    notebook["cells"] = notebook["cells"][:3]  # title, parameters, the cases
    notebook["cells"][0]["source"] = [translator(language or "en")(_ALL)]
    _save(notebook, copy)
    return copy


def _save(notebook: dict[str, Any], path: Path) -> None:
    write(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n")
