"""`starface-nb lab`: JupyterLab on working copies of the notebooks, in the customer's case folder."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from starface_nb.commands._shared import add_keepalive_argument, add_log_arguments
from starface_nb.errors import SetupError

_FIRST = "00_start_here.ipynb"
SERVER = (
    *(sys.executable, "-m", "jupyterlab"),
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.answer_yes=True",
    "--ServerApp.log_level=ERROR",
    "--KernelManager.transport_encryption=auto",  # other users of the machine can see local TCP
    f"--LabApp.app_settings_dir={Path(__file__).parent / 'lab_settings'}",  # neither news nor updates from anywhere
    *(["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),  # a container's only user
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_log_arguments(parser, optional=True)
    add_keepalive_argument(parser)
    parser.add_argument("--language", choices=("en", "de", "fr"), help="of texts and report (default: en)")
    parser.add_argument("--case", metavar="NAME", help="name of the case (default: after the log)")
    parser.add_argument("--cases", type=Path, default=Path("cases"), metavar="DIR", help="folder of all cases")
    parser.add_argument("--port", type=int, default=None, help="port on localhost (default: the first free from 8888)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--dry-run", action="store_true", help="prepare the case and print what would be started")
    parser.set_defaults(time_zone=None, keepalive=None)  # a case that is reopened has its own


def run(options: argparse.Namespace) -> int:
    """Prepare the case, start JupyterLab and stay until it ends."""
    from starface_nb.cases import copy_notebooks, open_case
    from starface_nb.cases.record import private_folder

    case = open_case(
        options.log or None,
        name=options.case or (None if options.log else "sample"),
        root=options.cases,
        time_zone=options.time_zone,
        keepalive_s=options.keepalive,
        language=options.language,
    )
    assert case.folder is not None  # noqa: S101
    home = case.folder.parent
    copy_notebooks(case.folder)
    private_folder(home / "inbox")
    port, token = _port(options.port), secrets.token_urlsafe(24)
    address = f"http://127.0.0.1:{port}/lab/tree/{quote(case.folder.name)}/{_FIRST}?token={token}"
    for note in case.notes:
        print(note)
    print(f"Case: {case.folder}")
    print(f"Open: {address}")
    print("In the notebook choose Run > Run All Cells. End JupyterLab here with Ctrl-C.", flush=True)
    command = [
        *SERVER,
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={home}",
        f"--LabApp.default_url=/lab/tree/{quote(case.folder.name)}/{_FIRST}",
        *(["--no-browser"] if options.no_browser else []),
    ]
    if options.dry_run:
        print(" ".join(command))
        return 0
    return _serve(command, {**os.environ, "JUPYTER_TOKEN": token})


def _serve(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as server:  # noqa: S603
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
            return int(port)
    raise SetupError(f"Port {wanted or '8888 to 8987'} is in use.", next_step="Choose another with --port.")
