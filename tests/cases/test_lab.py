"""`starface-nb lab`: a case with working copies, then JupyterLab on localhost behind a token."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import nbformat
import pytest

from starface_nb import cli, samples
from starface_nb.cli import main
from starface_nb.lab import _end_tasks, prepare


def test_a_request_that_takes_its_cancellation_for_the_kernels_ends_nevertheless() -> None:
    async def waits_for_a_kernel() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def ended() -> bool:
        request = asyncio.create_task(waits_for_a_kernel())
        await asyncio.sleep(0)
        await _end_tasks()
        return request.cancelled()

    assert asyncio.run(ended())


def test_dry_run_prepares_the_case_and_says_where_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "customer.log"
    shutil.copy(samples.recorded("one-bad-phone"), log)
    assert main(["lab", str(log), "--cases", str(tmp_path / "cases"), "--dry-run", "--no-browser"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Open: http://127\.0\.0\.1:\d+/lab/tree/00_case_customer\.ipynb\?token=\S{20,}", shown)
    assert "--ServerApp.ip=127.0.0.1" in shown
    names = {path.name for path in (tmp_path / "cases" / "customer").glob("*.ipynb")}
    curated = {path.name for path in samples.notebooks().glob("*.ipynb")}
    assert names == curated - {"00_case.ipynb"} | {"00_case_customer.ipynb"}
    assert (tmp_path / "cases" / "inbox").is_dir()
    assert f"--ServerApp.root_dir={tmp_path / 'cases' / 'customer'}" in shown  # nothing of other customers in reach
    assert main(["lab", "--case", "customer", "--cases", str(tmp_path / "cases"), "--dry-run"]) == 0
    capsys.readouterr()
    assert main(["lab", "--case", "custommer", "--cases", str(tmp_path / "cases"), "--dry-run"]) == 2
    assert "There is no case 'custommer'. Name its log, too; the cases there are: customer." in capsys.readouterr().err
    assert not (tmp_path / "cases" / "custommer").exists()


def test_a_case_is_open_in_one_jupyterlab_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["lab", str(samples.recorded("one-bad-phone")), "--case", "one", "--cases", str(tmp_path), "--dry-run"]
    first = prepare(cli.build_parser().parse_args(command))
    notebook = first.notebook.stat().st_mtime_ns
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "one: This case is open in a JupyterLab already. Use that one's window, or end it first" in told
    assert first.notebook.stat().st_mtime_ns == notebook
    del first  # ended, in whatever way
    assert main(command) == 0


def test_without_a_log_it_is_the_start_page_with_all_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "--cases", str(tmp_path), "--dry-run", "--language", "de"]) == 0
    assert "/lab/tree/start.ipynb" in capsys.readouterr().out
    page = nbformat.read(tmp_path / "start.ipynb", as_version=4)
    assert page.cells[0].source == "# Alle Kunden"
    assert "cases = '.'" in page.cells[1].source
    assert "Start(" in page.cells[-1].source
    assert not list(tmp_path.glob("*/case.json"))


def test_a_folder_of_cases_that_is_a_link_to_nowhere_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cases").symlink_to(tmp_path / "nowhere")
    assert main(["lab", "--cases", str(tmp_path / "cases"), "--dry-run"]) == 2
    assert "cases: The folder cannot be created: a link there leads nowhere. Choose" in capsys.readouterr().err


def test_a_busy_port_and_a_missing_log_are_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["lab", "--cases", str(tmp_path), "--dry-run", "--port", port]) == 2
    assert f"Port {port} is in use. Choose another with --port." in capsys.readouterr().err
    assert main(["lab", str(tmp_path / "nowhere.zip"), "--cases", str(tmp_path), "--dry-run"]) == 2
    assert "nowhere.zip" in capsys.readouterr().err


HOSTILE = {
    "IdentityProvider": {"token": ""},
    "PasswordIdentityProvider": {"hashed_password": ""},
    "ServerApp": {
        "token": "",
        "password": "",
        "ip": "0.0.0.0",  # noqa: S104  what must not count
        "allow_origin": "*",
        "allow_remote_access": True,
        "disable_check_xsrf": True,
        "terminals_enabled": True,
        "allow_unauthenticated_access": True,
    },
}

if sys.platform != "win32":  # ends JupyterLab with signals

    @pytest.mark.parametrize(
        ("sent", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9)]
    )
    def test_jupyterlab_asks_for_its_token_whatever_is_configured_and_ends_with_the_command(
        sent: signal.Signals, status: int, tmp_path: Path
    ) -> None:
        for name in ("jupyter_server_config", "jupyter_lab_config", "jupyter_config"):
            (tmp_path / ".jupyter").mkdir(exist_ok=True)
            (tmp_path / ".jupyter" / f"{name}.json").write_text(json.dumps(HOSTILE))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (tmp_path / "cases").mkdir()
        (tmp_path / "cases" / "polars.py").write_text("raise ValueError('a file of mine')")
        command = [sys.executable, "-m", "starface_nb", "lab", "--cases", str(tmp_path / "cases"), "--no-browser"]
        (temporary := tmp_path / "temporary").mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")}
        with subprocess.Popen(
            [*command, "--port", str(port)],
            env={**environment, "HOME": str(tmp_path), "TMPDIR": str(temporary)},
            stdin=os.openpty()[1],  # a terminal, on which Jupyter takes Ctrl-C for itself
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as lab:
            assert lab.stdout is not None
            shown = ""
            while "End JupyterLab" not in shown:
                line = lab.stdout.readline()
                assert line, shown
                shown += line
            try:
                found = re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*\?token=(\S+)", shown)
                assert found is not None
                status_of, headers = _get(f"{found[1]}/api/contents?token={found[2]}")
                assert status_of == 200
                assert headers.get("Access-Control-Allow-Origin", "") == ""  # for no page from elsewhere
                assert _get(f"{found[1]}/api/contents")[0] == 403
                cookie = headers["Set-Cookie"].partition(";")[0]  # what all tabs of a browser share
                assert _get(f"{found[1]}/api/contents", cookie)[0] == 200
                assert _get(f"{found[1]}/api/contents?token=of-yesterday", cookie)[0] == 403
                assert _get(f"{found[1]}/api/contents?token=")[0] == 403
                assert _get(f"{found[1]}/api/terminals?token={found[2]}")[0] == 404
                for _ in range(4):  # pages that go on asking, as long as it answers
                    Thread(target=_ask_on, args=(f"{found[1]}/api/contents?token={found[2]}",), daemon=True).start()
                time.sleep(0.5)
            finally:
                for _ in range(3):  # at once: somebody is impatient
                    os.kill(lab.pid, sent)
                    time.sleep(0.1)
            told = lab.communicate()[1]  # until nobody is left that could write there
            assert not re.search("a file of mine|received signal|ZMQError", told)
            assert lab.wait() == status
            assert status or not list(temporary.iterdir())
        again = socket.socket()
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with again:
            again.bind(("127.0.0.1", port))  # nobody listens there any more
        assert main([*command[3:], "--port", str(port), "--dry-run"]) == 0


def test_neither_a_port_that_is_taken_meanwhile_nor_a_kernel_that_ended_is_waited_for(tmp_path: Path) -> None:
    startup = tmp_path / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "ends.py").write_text("import os; os._exit(1)")
    home = os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code = f"import sys\nfrom starface_nb import cli, lab\nlab._port = lambda wanted: {port}\nsys.exit(cli.main())"
        command = [sys.executable, "-c", code, "lab", "--cases", str(tmp_path / "cases"), "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home) as lab:
            assert lab.stdout is not None
            shown = "".join(iter(lambda: lab.stdout.readline().replace("End JupyterLab here with Ctrl-C.\n", ""), ""))
            try:
                found = re.search(r"http://127\.0\.0\.1:(\d+)(/lab\S*)\?token=(\S+)", shown)
                assert found is not None
                assert int(found[1]) != port
                assert _get(f"http://127.0.0.1:{found[1]}/api/contents?token={found[3]}")[0] == 200
            finally:
                lab.terminate()
            assert (
                "start.ipynb was not run: notebooks: Python's kernel did not start: it ended." in lab.communicate()[1]
            )


def _ask_on(address: str) -> None:
    with suppress(OSError, HTTPException):
        while _get(address)[0] == 200:
            pass


def _get(address: str, cookie: str = "") -> tuple[int, dict[str, str]]:
    asked = urllib.request.Request(address, headers={"Cookie": cookie})  # noqa: S310
    for _ in range(300):
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
                return int(answer.status), dict(answer.headers)
        except urllib.error.HTTPError as refused:
            return int(refused.code), {}
        except OSError:
            time.sleep(0.1)
    return 0, {}
