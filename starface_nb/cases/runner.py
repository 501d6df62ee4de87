"""Executes notebooks without a browser: one that fails is reported with its cell, and the others still run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from time import monotonic

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from traitlets.config import Config

from starface_nb.files import write
from starface_nb.progress import Progress

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


def run_notebooks(paths: Sequence[Path]) -> list[Executed]:
    """Execute notebooks where they lie, one after the other, each in a fresh kernel, and save them with outputs.

    Parameters
    ----------
    paths : sequence of Path
        Working copies, see `copy_notebooks`; each runs in its own folder.

    Returns
    -------
    list of Executed
        In the order given.
    """
    notebooks = [nbformat.read(path, as_version=4) for path in paths]  # type: ignore[no-untyped-call]
    total = sum(cell.cell_type == "code" for notebook in notebooks for cell in notebook.cells)
    with Progress(total, "notebooks", unit="cells") as bar:
        return [_run(path, notebook, bar) for path, notebook in zip(paths, notebooks, strict=True)]


def _run(path: Path, notebook: nbformat.NotebookNode, bar: Progress) -> Executed:
    client = NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        config=_ENCRYPTED,
        resources={"metadata": {"path": str(path.parent)}},
    )
    began, number, error = monotonic(), 0, ""
    try:
        client.reset_execution_trackers()
        # client.execute() would take Ctrl-C for itself, and a kernel that ends with it would complain.
        with client.setup_kernel(stderr=DEVNULL):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    number += 1
                    client.execute_cell(cell, index, execution_count=number)
                    bar.advance()
            client.set_widgets_metadata()
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}".splitlines()[0]
    except (CellTimeoutError, RuntimeError) as failure:  # the kernel died
        error = str(failure).splitlines()[0]
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # so would what still waits for it
        raise
    finally:
        text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        write(path, text.rstrip("\n").encode("utf-8") + b"\n")
    return Executed(path, monotonic() - began, number if error else None, error)
