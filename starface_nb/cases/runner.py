"""Executes notebooks without a browser: one that fails is reported with its cell, and the others still run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

from starface_nb.cases.copies import read_notebook, save_notebook

_CELL_SECONDS = 1800
_ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})  # other users of the machine can see TCP


@dataclass(frozen=True)
class Executed:
    """How one notebook went.

    Attributes
    ----------
    path : Path
        The executed copy; cells up to the failing one have their outputs.
    seconds : float
    cell : int or None
        Number of the code cell that failed, counted from 1; None where all went well.
    error : str
        What it said, in one line.
    """

    path: Path
    seconds: float
    cell: int | None = None
    error: str = ""


def run_notebooks(
    notebooks: Sequence[Path], *, on_cell: Callable[[Path, int, int], None] | None = None
) -> list[Executed]:
    """Execute notebooks where they lie, one after the other, each in a fresh kernel, and save them with outputs.

    Parameters
    ----------
    notebooks : sequence of Path
        Working copies, see `copy_notebooks`; each runs in its own folder.
    on_cell : callable, optional
        Told notebook, code cells done and code cells in all, after each cell.

    Returns
    -------
    list of Executed
        In the order given.
    """
    return [_run(path, on_cell) for path in notebooks]


def code_cells(path: Path) -> int:
    """Return how many code cells a notebook has."""
    return sum(cell.cell_type == "code" for cell in read_notebook(path).cells)


def _run(path: Path, on_cell: Callable[[Path, int, int], None] | None) -> Executed:
    notebook = read_notebook(path)
    numbers = {
        index: number
        for number, index in enumerate((i for i, c in enumerate(notebook.cells) if c.cell_type == "code"), start=1)
    }
    reached = [0]

    def begun(cell: object, cell_index: int) -> None:  # noqa: ARG001
        reached[0] = numbers.get(cell_index, reached[0])

    def done(cell: object, cell_index: int, execute_reply: object) -> None:  # noqa: ARG001
        if on_cell and cell_index in numbers:
            on_cell(path, numbers[cell_index], len(numbers))

    client = NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        config=_ENCRYPTED,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=begun,
        on_cell_executed=done,
    )
    began, error = monotonic(), ""
    try:
        client.execute()
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}".splitlines()[0]
    except (CellTimeoutError, DeadKernelError) as failure:
        error = str(failure).splitlines()[0]
    finally:
        save_notebook(path, notebook)
    return Executed(path, monotonic() - began, reached[0] if error else None, error)
