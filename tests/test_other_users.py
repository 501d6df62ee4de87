"""Who else works on the same machine: no port answers without its secret, and nobody is shown the secret."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from starface_nb import samples
from starface_nb.fleet import run_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="users and process groups are POSIX here")
LOG = samples.recorded("one-bad-phone")

# As the user `nobody` where the tests run as root: what each port says to ZeroMQ without keys, to HTTP without a token.
STRANGER = r"""
import json, os, socket, sys
"loaded, while files may be read".encode("idna").decode("latin-1")
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x04PUSH"
def said(port, sent):
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", port)) as way:
            way.sendall(sent)
            way.settimeout(60)
            while len(got) < 91 and (more := way.recv(91 - len(got))):
                got += more
    except OSError as closed:
        got += b"" if got else type(closed).__name__.encode()
    return got.decode("latin-1")
paths = ["/api/contents", "/api/kernels", "/api/sessions?token=", "/lab", "/files/case.json", "/metrics", "/api/status"]
answers = {}
for port in map(int, sys.argv[1:]):
    answers[port] = [said(port, greeting + ready + b"\r\n\r\n")]
    if answers[port][0].startswith("HTTP"):
        asked = [f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n" for path in paths]
        answers[port] += [said(port, text.encode()) for text in asked]
print(json.dumps(answers))
"""


def refuses(said: str) -> bool:
    """Say whether an answer gives nothing away.

    ZeroMQ greets with the mechanism at bytes 12 to 31: keys (CURVE), or none where the kernel hears its own children,
    who name it by a secret number; such a socket (PULL) only listens. Without the right mechanism the way is closed.
    """
    if said.startswith("HTTP"):
        return said.split()[1] in ("302", "400", "401", "403")
    if said.startswith("\xff"):
        return said[12:32].rstrip("\0") in ("", "CURVE") or said.endswith("PULL")
    return said in ("", "ConnectionResetError", "BrokenPipeError", "TimeoutError")


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def listening(process: psutil.Process) -> dict[int, str]:
    """Return the ports on which a process and its children listen, with the address."""
    found = {}
    for one in family(process):
        try:
            every = one.net_connections("inet")
        except psutil.Error:  # it has just ended
            continue
        found |= {at.laddr.port: at.laddr.ip for at in every if at.status == psutil.CONN_LISTEN}
    return found


def stranger(ports: dict[int, str]) -> dict[str, list[str]]:
    command = [sys.executable, "-c", STRANGER, *map(str, ports)]
    answers: dict[str, list[str]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answers


@pytest.mark.parametrize("command", ["lab --no-browser --cases cases a.log", "run a.log -o out"])
def test_no_port_of_jupyter_answers_without_its_secret(command: str, tmp_path: Path) -> None:
    shutil.copy(LOG, tmp_path / "a.log")
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-m", "starface_nb", *command.split()],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        process = psutil.Process(started.pid)
        token = None
        try:
            if command.startswith("lab"):
                shown = next(line for line in started.stdout if line.startswith("Open: "))
                token = shown.strip().rpartition("token=")[2]
            while len(ports := listening(process)) < 5:  # those of a kernel
                assert started.poll() is None
                time.sleep(0.02)
            answers = stranger(ports)
            lines = [" ".join(one.cmdline()) for one in family(process)]
        finally:
            os.killpg(started.pid, signal.SIGKILL)
    assert set(ports.values()) == {"127.0.0.1"}
    assert [said for every in answers.values() for said in every if not refuses(said)] == []
    assert sum(len(every) > 1 for every in answers.values()) == bool(token)  # JupyterLab
    assert not any(token in line for line in lines if token)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(("kernel-", "jpserver-"))]
    assert bool(kept) == bool(token)  # where token and keys lie
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_a_fleet_on_this_machine_listens_nowhere(tmp_path: Path) -> None:
    for name in "abcd":
        shutil.copy(LOG, tmp_path / name)
    me, seen, workers = psutil.Process(), list[int](), set[int]()
    before = listening(me)

    def on_done(_: str) -> None:
        workers.update(one.pid for one in me.children())
        seen.extend(listening(me).keys() - before.keys())

    assert run_fleet([tmp_path], tmp_path / "out", workers=2, on_done=on_done).height == 4
    assert (len(workers) >= 2, seen) == (True, [])
