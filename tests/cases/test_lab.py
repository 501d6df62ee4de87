"""`starface-nb lab`: a case with working copies, then JupyterLab on localhost behind a token."""

from __future__ import annotations

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
from pathlib import Path

import nbformat
import pytest

from starface_nb import samples
from starface_nb.cli import main


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


def test_without_a_log_it_is_the_start_page_with_all_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "--cases", str(tmp_path), "--dry-run", "--language", "de"]) == 0
    assert "/lab/tree/start.ipynb" in capsys.readouterr().out
    page = nbformat.read(tmp_path / "start.ipynb", as_version=4)
    assert page.cells[0].source == "# Alle Kunden"
    assert "cases = '.'" in page.cells[1].source
    assert "Start(" in page.cells[-1].source
    assert not list(tmp_path.glob("*/case.json"))


def test_a_busy_port_and_a_missing_log_are_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["lab", "--cases", str(tmp_path), "--dry-run", "--port", port]) == 2
    assert f"Port {port} is in use. Choose another with --port." in capsys.readouterr().err
    assert main(["lab", str(tmp_path / "nowhere.zip"), "--cases", str(tmp_path), "--dry-run"]) == 2
    assert "nowhere.zip" in capsys.readouterr().err


if sys.platform != "win32":  # ends JupyterLab with Ctrl-C's signal

    def test_jupyterlab_answers_only_with_the_token_and_ends_with_ctrl_c(tmp_path: Path) -> None:
        command = [sys.executable, "-m", "starface_nb", "lab", "--cases", str(tmp_path / "cases"), "--no-browser"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
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
                assert _status(f"{found[1]}/api/contents?token={found[2]}") == 200
                assert _status(f"{found[1]}/api/contents") == 403
            finally:
                os.killpg(lab.pid, signal.SIGINT)
            assert lab.wait(30) == 0


def _status(address: str) -> int:
    for _ in range(300):
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return int(refused.code)
        except OSError:
            time.sleep(0.1)
    return 0
