"""`starface-nb lab`: JupyterLab on working copies of the notebooks, in the customer's case folder.

JupyterLab runs in this very process: whoever ends the command ends it, and nothing is left behind.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from starface_nb.errors import SetupError
from starface_nb.files import private_folder

_FIRST = "00_start_here.ipynb"
_SETTINGS = Path(__file__).parent / "lab_settings"
_SERVER = (
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.answer_yes=True",
    "--ServerApp.log_level=ERROR",
    "--KernelManager.transport_encryption=auto",  # other users of the machine can see local TCP
    f"--LabApp.app_settings_dir={_SETTINGS}",  # neither news nor updates from anywhere
    f"--LabApp.extra_labextensions_path={_SETTINGS}",  # keys pressed in a panel are the panel's
    *(["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),  # a container's only user
)


@dataclass(frozen=True)
class Ready:
    """A case that waits for its JupyterLab: where it is, JupyterLab's arguments and token, the address to open."""

    folder: Path
    notes: tuple[str, ...]
    address: str
    arguments: tuple[str, ...]
    token: str = field(repr=False)


def prepare(options: Namespace) -> Ready:
    """Open the case, put the notebooks into it and find a free port."""
    from starface_nb.cases import copy_notebooks, open_case

    case = open_case(
        options.log,
        name=options.case or (None if options.log else "sample"),
        root=options.cases,
        time_zone=options.time_zone,
        keepalive_s=options.keepalive,
        language=options.language,
        same_customer=options.same_customer,
    )
    folder = case.home / case.name
    copy_notebooks(folder)
    private_folder(case.inbox)
    port, token, page = _port(options.port), secrets.token_urlsafe(24), f"/lab/tree/{quote(case.name)}/{_FIRST}"
    arguments = (
        *_SERVER,
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={case.home}",
        f"--ServerApp.terminals_enabled={options.terminals}",
        f"--LabApp.default_url={page}",
        *(["--no-browser"] if options.no_browser else []),
    )
    return Ready(folder, case.notes, f"http://127.0.0.1:{port}{page}?token={token}", arguments, token)


def start(ready: Ready) -> int:
    """Become JupyterLab until it ends.

    Only what is given here counts: the user's and the machine's configuration of Jupyter, which could take the token
    away or let other pages in, is left out. Settings of the user interface stay the user's own.
    """
    from jupyter_core.paths import jupyter_config_dir

    own = Path(jupyter_config_dir()) / "lab"
    os.environ.setdefault("JUPYTERLAB_SETTINGS_DIR", str(own / "user-settings"))
    os.environ.setdefault("JUPYTERLAB_WORKSPACES_DIR", str(own / "workspaces"))
    os.environ |= {"JUPYTER_NO_CONFIG": "1", "JUPYTER_TOKEN": ready.token}
    if hasattr(signal, "SIGHUP"):  # a closed terminal
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    from jupyterlab.labapp import LabApp

    try:
        LabApp.launch_instance(list(ready.arguments))
    except SystemExit as end:
        if end.code:
            raise SetupError(f"JupyterLab ended with {end.code}.", next_step="Its messages above say why.") from None
    return 0


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
