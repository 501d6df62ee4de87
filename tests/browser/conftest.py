"""JupyterLab on localhost for the browser tests, and the few things they do in it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from starface_nb.commands.lab import SERVER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its folder and how to reach it."""

    folder: Path
    port: int
    token: str

    def address(self, path: str = "", **query: str) -> str:
        """The address of JupyterLab showing a file of its folder."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"http://127.0.0.1:{self.port}/lab/tree/{quote(path)}?token={self.token}{more}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all browser tests, with an empty home and settings of its own."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lab")
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    port = _free_port()
    command = [
        *SERVER,
        *(f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}", "--no-browser"),
        "--LabApp.expose_app_in_browser=True",
    ]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        found = Lab(folder, port, token)
        try:
            _wait_until_up(found, server, home / "server.log")
            yield found
        finally:
            server.terminate()
            server.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at once:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{lab.port}/api?token={lab.token}", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer within a minute:\n{log.read_text()}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that reaches nothing but localhost; a request to anywhere else fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    outside: list[str] = []

    def only_localhost(route: Route) -> None:
        if urlsplit(route.request.url).hostname in ("127.0.0.1", "localhost", None):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", only_localhost)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    if page.evaluate("() => Boolean(window.jupyterapp)"):  # kernels that stay would slow the others down
        page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
    context.close()
    assert outside == []


@dataclass(frozen=True)
class Notebook:
    """A notebook that is open in the page."""

    page: Page

    def run_all(self) -> None:
        """Run all cells, wait for the kernel, and require that no cell failed."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.require_no_error()

    def require_no_error(self) -> None:
        """Require that nothing is written on stderr and no traceback stands anywhere."""
        bad = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type*='jupyter.error']")
        assert [text[:2000] for text in bad.all_inner_texts()] == []

    def run(self, source: str) -> str:
        """Append a cell, run it and return what it shows."""
        self.page.evaluate(
            """async (source) => {
                const app = window.jupyterapp;
                await app.commands.execute('notebook:move-cursor-down');
                const panel = app.shell.currentWidget, notebook = panel.content;
                notebook.activeCellIndex = notebook.widgets.length - 1;
                await app.commands.execute('notebook:insert-cell-below');
                notebook.activeCell.model.sharedModel.setSource(source);
                await app.commands.execute('notebook:run-cell');
            }""",
            source,
        )
        return self.page.locator(".jp-Cell").last.locator(".jp-OutputArea-output").all_inner_texts()[-1]

    def pictures(self) -> list[dict[str, Any]]:
        """Every picture of a chart cell or panel: kind, width, height, number of different colours or elements."""
        found: list[dict[str, Any]] = self.page.evaluate(_PICTURES)
        return found

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")


_PICTURES = """() => {
    const seen = [], size = ({width, height}) => ({width, height});
    for (const canvas of document.querySelectorAll('.jp-OutputArea canvas')) {
        const {width, height} = canvas;
        const data = width && height ? canvas.getContext('2d').getImageData(0, 0, width, height).data : [];
        const colours = new Set();
        for (let i = 0; i < data.length && colours.size < 50; i += 4)
            if (data[i + 3]) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
        seen.push({kind: 'canvas', width, height, inside: colours.size});
    }
    for (const svg of document.querySelectorAll('.jp-OutputArea svg:not([data-icon]):not([data-icon] *)')) {
        const box = svg.getBoundingClientRect();
        if (box.width > 200 && box.height > 80)
            seen.push({kind: 'svg', ...size(box), inside: svg.querySelectorAll('path,rect,line').length});
    }
    for (const image of document.querySelectorAll('.jp-OutputArea img')) {
        const size = {width: image.naturalWidth, height: image.naturalHeight};
        seen.push({kind: 'img', ...size, inside: image.complete ? 99 : 0});
    }
    return seen;
}"""


@pytest.fixture
def open_notebook(lab: Lab, page: Page) -> Callable[[str], Notebook]:
    """Open a notebook of the lab's folder in a fresh workspace and wait for its kernel."""

    def opened(path: str) -> Notebook:
        page.goto(lab.address(path, reset=""))
        page.wait_for_function(
            """() => {
                const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
                return panel && panel.context && panel.context.isReady && panel.sessionContext
                    && panel.sessionContext.session && panel.sessionContext.session.kernel
                    && panel.sessionContext.session.kernel.status === 'idle';
            }"""
        )
        return Notebook(page)

    return opened
