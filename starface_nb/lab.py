"""`starface-nb lab`: JupyterLab on one customer's case, already run, or on the start page with all cases.

JupyterLab runs in this very process: whoever ends the command ends it, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import quote

from starface_nb.arguments import of_case
from starface_nb.errors import SetupError
from starface_nb.files import is_frozen, locked, passing_folder, private_folder
from starface_nb.progress import stage
from starface_nb.text import visible

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_SETTINGS = Path(__file__).parent / "lab_settings"
_WORKSPACES = ".workspaces"
_RETRIES = 50
_PATIENCE_S = 180  # of a busy machine
_SERVER = (
    "--no-browser",  # it is opened once the case has run
    "--LabApp.log_level=ERROR",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.identity_provider_class=starface_nb.tokens.TokenOfThisStart",
    "--ServerApp.answer_yes=True",
    "--ServerApp.log_level=ERROR",
    "--KernelManager.transport_encryption=auto",  # other users of the machine can see local TCP
    f"--LabApp.app_settings_dir={_SETTINGS}",  # neither news nor updates from anywhere
    f"--LabApp.extra_labextensions_path={_SETTINGS}",  # keys pressed in a panel are the panel's
    *(["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),  # a container's only user
)


@dataclass(frozen=True)
class Ready:
    """What waits for its JupyterLab: its folder and notebook, JupyterLab's arguments and token, the address to open.

    `lock` keeps a case from being opened in a second one, as long as this is there.
    """

    folder: Path
    notes: tuple[str, ...]
    notebook: Path
    address: str
    arguments: tuple[str, ...]
    token: str = field(repr=False)
    port: int
    lock: object = None


def prepare(options: Namespace) -> Ready:
    """Open the case, or list all of them where none is named, put the notebooks there and find a free port."""
    from starface_nb.cases import copy_notebooks, open_case, require_case, start_page

    notes: tuple[str, ...] = ()
    lock = None
    if options.case and not options.log:
        require_case(options.case, options.cases)
    if options.log or options.case:
        case = open_case(options.log, name=options.case, root=options.cases, **of_case(options))
        folder, notes = case.home / case.name, case.notes
        lock = None if case.read_only else _alone(folder)
        notebook = copy_notebooks(folder, case=case, named=True)[0]
    else:
        folder = private_folder(Path(options.cases).absolute())
        notebook = start_page(folder, options.language)
    home = folder if notebook.name == "start.ipynb" else folder.parent
    if not is_frozen(home):
        private_folder(home / "inbox")
    port, token, page = _port(options.port), secrets.token_urlsafe(24), f"/lab/tree/{quote(notebook.name)}"
    arguments = (
        *_SERVER,
        f"--ServerApp.port={port}",
        f"--ServerApp.port_retries={0 if options.port else _RETRIES}",  # another may take it in the meantime
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.terminals_enabled={options.terminals}",
        f"--LabApp.default_url={page}",
    )
    return Ready(folder, notes, notebook, f"http://127.0.0.1:{port}{page}?token={token}", arguments, token, port, lock)


def _alone(folder: Path) -> object:
    """Return what keeps a case for this JupyterLab: in a second one its notebook would be run and saved over."""
    from filelock import Timeout

    try:
        return locked(folder / ".lab.lock", blocking=False)
    except Timeout:
        step = "Use that one's window, or end it first (Ctrl-C there)."
        raise SetupError("This case is open in a JupyterLab already.", place=folder, next_step=step) from None


def start(ready: Ready, opened: Callable[[str], None]) -> int:
    """Become JupyterLab until it ends; call `opened` with its address once the notebook has run in it.

    Only what is given here counts: the user's and the machine's configuration of Jupyter, which could take the token
    away or let other pages in, is left out. Settings of the user interface stay the user's own.
    """
    from jupyter_core.paths import jupyter_config_dir, jupyter_runtime_dir

    from starface_nb.cases.runner import APART

    own = Path(jupyter_config_dir()) / "lab"
    os.environ.setdefault("JUPYTERLAB_SETTINGS_DIR", str(own / "user-settings"))
    # a layout of its own, and a fresh one: no other customer's tabs, no kernels of yesterday
    workspaces = (Path(jupyter_runtime_dir()) if is_frozen(ready.folder) else ready.folder) / _WORKSPACES
    shutil.rmtree(workspaces, ignore_errors=True)
    os.environ["JUPYTERLAB_WORKSPACES_DIR"] = str(private_folder(workspaces))
    tempfile.tempdir = str(passing_folder())  # of this process alone: Jupyter leaves a folder there
    os.umask(0o077)  # what holds its token, and what it saves, is for this user alone
    os.environ |= {"JUPYTER_NO_CONFIG": "1", "JUPYTER_TOKEN": ready.token, **APART}
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # for JupyterLab Ctrl-C is the usual end, no error
    if hasattr(signal, "SIGHUP"):  # a closed terminal
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    from jupyterlab.labapp import LabApp

    try:
        with stage("Starting JupyterLab"):
            server = LabApp.initialize_server(list(ready.arguments))
        _end_once(server)
        Thread(target=_run_first, args=(ready, server, opened), daemon=True).start()
        server.start()
        server.io_loop.run_sync(_end_tasks)
    except SystemExit as end:
        if end.code:
            raise SetupError(f"JupyterLab ended with {end.code}.", next_step="Its messages above say why.") from None
    return 0


def _end_once(server: ServerApp) -> None:
    """Let the first signal end JupyterLab: with a second one it would close what it has closed already."""
    numbers = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) != signal.SIG_IGN]

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        server.stop(from_signal=True)

    for number in numbers:
        signal.signal(number, end)


async def _end_tasks() -> None:
    """End what was still being answered: threads wait for the requests that began them, and Python for all threads.

    A page that is just being opened waits for its kernel, and takes the first cancellation for the kernel's.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(_PATIENCE_S if left else 0):
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1.0)
        if not left:
            break
    await asyncio.sleep(0)  # for what is called once they have ended


def _run_first(ready: Ready, server: ServerApp, opened: Callable[[str], None]) -> None:
    """Run the notebook in a kernel of JupyterLab's own: opened there, it has run and is alive."""
    from jupyter_core.paths import jupyter_runtime_dir

    from starface_nb.cases.runner import Running, run_notebooks, trust

    name, ended = ready.notebook.name, Event()
    session = server.session_manager.create_session(name, name, "notebook", "python3")
    try:
        loop = server.io_loop.asyncio_loop  # type: ignore[attr-defined]
        begun = asyncio.run_coroutine_threadsafe(session, loop).result(_PATIENCE_S)
        kernel = begun["kernel"]["id"]
        server.kernel_manager.add_restart_callback(kernel, ended.set, "restart")  # before it would be started anew
        connection = Path(jupyter_runtime_dir()) / f"kernel-{kernel}.json"
        done = run_notebooks([ready.notebook], Running(connection, ended.is_set))[0]
        trust(ready.notebook)  # its HTML is ours, and shown as it is
        if done.error:
            sys.stderr.write(f"{name}: code cell {done.cell} failed: {visible(done.error)}\n")
    except Exception as error:  # it can still be run by hand
        sys.stderr.write(f"{name} was not run: {error}\n")
    opened(ready.address.replace(f":{ready.port}/", f":{server.port}/", 1))


def _port(wanted: int | None) -> int:
    """Return a free port on localhost: the wanted one, or the first from 8888 on."""
    for port in [wanted] if wanted else range(8888, 8988):
        with socket.socket() as probe:
            if sys.platform != "win32":  # there it would share a port that is in use; here it frees one just left
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(f"Port {wanted or '8888 to 8987'} is in use.", next_step="Choose another with --port.")
