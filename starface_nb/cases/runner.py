"""Executes notebooks without a browser: one that fails is reported with its cell, and the others still run."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.sign import NotebookNotary
from traitlets.config import Config

from starface_nb.errors import SetupError
from starface_nb.files import clear_after, is_frozen, write
from starface_nb.progress import Advance, progress_bar
from starface_nb.text import visible

APART = {"PYTHONSAFEPATH": "1"}  # of a kernel: a file in the case's folder (polars.py) is none of its modules
_CELL_SECONDS, _START_SECONDS, _LOOK_SECONDS = 1800, 180, 3


@dataclass(frozen=True)
class Running:
    """A kernel that somebody else started and that is to go on: its connection file, and whether its process ended."""

    connection: Path
    has_ended: Callable[[], bool]


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


def run_notebooks(paths: Sequence[Path], kernel: Running | None = None) -> list[Executed]:
    """Execute notebooks where they lie, one after the other, each in a fresh kernel, and save them with outputs.

    Parameters
    ----------
    paths : sequence of Path
        Working copies, see `copy_notebooks`; each runs in its own folder.
    kernel : Running, optional
        Used instead: what JupyterLab will show is alive then.

    Returns
    -------
    list of Executed
        In the order given.
    """
    notebooks = [nbformat.read(path, as_version=4) for path in paths]  # type: ignore[no-untyped-call]
    total = sum(cell.cell_type == "code" for notebook in notebooks for cell in notebook.cells)
    with progress_bar(total, "notebooks", unit="cells") as advance:
        return [_run(path, notebook, advance, kernel) for path, notebook in zip(paths, notebooks, strict=True)]


@contextmanager
def _connected(client: NotebookClient, kernel: Running) -> Iterator[None]:
    """Let a client talk to a kernel that somebody else started, and leave it running."""
    client.kc = AsyncKernelClient(connection_file=str(kernel.connection))
    client.kc.load_connection_file()
    client.kc.start_channels()
    try:
        _wait_for(client.kc, kernel.has_ended)
        yield
    finally:
        client.kc.stop_channels()


@contextmanager
def _started(client: NotebookClient, kernel: Running | None) -> Iterator[None]:
    """Let a client have a kernel, its own or one that runs already; say why none starts, in its words."""
    with TemporaryFile() as said:
        begun = False
        try:
            with _connected(client, kernel) if kernel else client.setup_kernel(stderr=said, env=os.environ | APART):
                begun = True
                yield
        except RuntimeError as error:
            if begun:
                raise
            said.seek(0)
            last = [line.strip() for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
            cause = visible(f"Python's kernel did not start: {last[-1] if last else error}.")
            step = "Move away what runs before it: files in ~/.ipython/profile_default/startup."
            raise SetupError(cause, place="notebooks", next_step=step) from None


def _wait_for(kernel: AsyncKernelClient, has_ended: Callable[[], bool]) -> None:
    """Wait until a kernel answers; one that on a busy machine misses a heartbeat while it starts is not dead."""
    end = monotonic() + _START_SECONDS
    while monotonic() < end:
        try:
            return run_sync(kernel.wait_for_ready)(timeout=_LOOK_SECONDS)
        except RuntimeError:
            if has_ended():
                raise RuntimeError("it ended") from None
    raise RuntimeError(f"it did not answer in {_START_SECONDS} s")


def _run(path: Path, notebook: nbformat.NotebookNode, advance: Advance, kernel: Running | None) -> Executed:
    """Run a notebook in a fresh kernel, or in one that stays.

    The state of widgets is not kept with it: panels have their static HTML, which every page and mail can show.
    """
    keys = TemporaryDirectory(prefix="starface-nb-")  # not the case's folder, which would get the sticky bit for them
    client = NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        config=Config(  # other users of the machine can see TCP
            {"KernelManager": {"transport_encryption": "auto", "connection_file": str(Path(keys.name) / "kernel.json")}}
        ),
        resources={"metadata": {"path": str(path.parent)}},
    )
    began, number, error, process = monotonic(), 0, "", None
    try:
        client.reset_execution_trackers()
        # client.execute() would take Ctrl-C for itself, and a kernel that ends with it would complain.
        with _started(client, kernel):
            process = getattr(client.km and client.km.provisioner, "pid", None)
            keys.cleanup()  # of no more use: who is killed from now on leaves nothing
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    number += 1
                    client.execute_cell(cell, index, execution_count=number)
                    advance(1)
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}".splitlines()[0]
    except (CellTimeoutError, RuntimeError) as failure:  # the kernel died
        error = str(failure).splitlines()[0]
        if isinstance(failure, DeadKernelError):
            error += ". Something ended this notebook's Python, often the system for want of memory: "
            error += "close other programs, and run it again."
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # so would what still waits for it
        raise
    finally:
        keys.cleanup()
        if process:  # a kernel that is slow to end is killed, in the middle of a file
            clear_after(process, path.parent)
        text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        if not is_frozen(path.parent):
            write(path, text.rstrip("\n").encode("utf-8") + b"\n")
    return Executed(path, monotonic() - began, number if error else None, error)


def trust(path: Path) -> None:
    """Sign a notebook: JupyterLab shows its HTML as it is, before it runs there."""
    NotebookNotary().sign(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
