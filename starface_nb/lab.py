"""`starface-nb lab`: JupyterLab on working copies of the notebooks, in the customer's case folder."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from urllib.parse import quote

from starface_nb.errors import SetupError
from starface_nb.files import private_folder
from starface_nb.text import visible

_FIRST = "00_start_here.ipynb"
_SETTINGS = Path(__file__).parent / "lab_settings"
_SERVER = (
    *(sys.executable, "-m", "jupyterlab"),
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.answer_yes=True",
    "--ServerApp.log_level=ERROR",
    "--KernelManager.transport_encryption=auto",  # other users of the machine can see local TCP
    f"--LabApp.app_settings_dir={_SETTINGS}",  # neither news nor updates from anywhere
    f"--LabApp.extra_labextensions_path={_SETTINGS}",  # keys pressed in a panel are the panel's
    *(["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),  # a container's only user
)


def lab(options: Namespace) -> int:
    """Prepare the case, start JupyterLab and stay until it ends."""
    from starface_nb.cases import copy_notebooks, open_case

    case = open_case(
        options.log,
        name=options.case or (None if options.log else "sample"),
        root=options.cases,
        time_zone=options.time_zone,
        keepalive_s=options.keepalive,
        language=options.language,
    )
    copy_notebooks(case.home / case.name)
    private_folder(case.inbox)
    port, token, page = _port(options.port), secrets.token_urlsafe(24), f"/lab/tree/{quote(case.name)}/{_FIRST}"
    for note in case.notes:
        print(visible(note))
    print(f"Case: {case.home / case.name}")
    print(f"Open: http://127.0.0.1:{port}{page}?token={token}")
    print("In the notebook choose Run > Run All Cells. End JupyterLab here with Ctrl-C.", flush=True)
    command = [
        *_SERVER,
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={case.home}",
        f"--LabApp.default_url={page}",
        *(["--no-browser"] if options.no_browser else []),
    ]
    if options.dry_run:
        print(" ".join(command))
        return 0
    with subprocess.Popen(command, env={**os.environ, "JUPYTER_TOKEN": token}) as server:  # noqa: S603
        try:
            status = server.wait()
        except KeyboardInterrupt:  # JupyterLab got it too and is ending
            server.wait()
            return 0
    if status:
        raise SetupError(f"JupyterLab ended with status {status}.", next_step="Its messages above say why.")
    return 0


def _port(wanted: int | None) -> int:
    """Return a free port on localhost: the wanted one, or the first from 8888 on."""
    for port in [wanted] if wanted else range(8888, 8988):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(f"Port {wanted or '8888 to 8987'} is in use.", next_step="Choose another with --port.")
