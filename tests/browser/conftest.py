"""JupyterLab as `starface-nb lab` starts it, for the browser tests, and the few things they do in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from starface_nb import samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Route

CUSTOMER = "customer"
_KNOWN = (
    "Disabling terminals plugin because they are not available",  # JupyterLab's, and as it is wanted
    "to activate",  # JupyterLab's plugins take long on a busy machine
    "widget model not found",  # a panel's, that came too late for ipywidgets: it is shown all the same
    "/lsp/status",  # JupyterLab asks for a server of language servers, which is another package
)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the case's folder, how to reach it, and the process, which a test may end."""

    folder: Path
    opened: str
    token: str
    server: subprocess.Popen[str]

    def address(self, path: str) -> str:
        """The address of JupyterLab showing a file of the case's folder."""
        base = self.opened.partition("/lab/")[0]
        return f"{base}/lab/tree/{quote(path)}?token={self.token}&reset="


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`starface-nb lab customer.zip` for most browser tests; the case's first kernel may be gone."""
    with started(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("cases")) as running:
        yield running


@contextmanager
def started(home: Path, folder: Path, *more: str, log: Path | None = None) -> Iterator[Lab]:
    """Start `starface-nb lab` on a log (default: customer.zip) with a home of its own; end it as Ctrl-C does."""
    log = log or home / f"{CUSTOMER}.zip"
    if not log.exists():
        shutil.copy(samples.path(), log)
    for name in ("config", "runtime"):
        (home / name).mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [sys.executable, "-m", "starface_nb", "lab", str(log), "--cases", str(folder), "--no-browser"]
    command += [*(() if "--port" in more else ("--port", str(_free_port()))), *more]
    with (
        (home / "errors").open("wb") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as server,
    ):
        assert server.stdout is not None
        told = next((line for line in server.stdout if line.startswith("Open: ")), "")
        try:
            opened = re.fullmatch(r"Open: (http://127\.0\.0\.1:\d+/lab/tree/\S+\?token=(\S+))\n", told)
            assert opened, f"starface-nb lab gave no address: {(home / 'errors').read_text()}"
            _wait_until_up(opened[1], server, home / "errors")
            yield Lab(folder / log.stem, opened[1], opened[2], server)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C does
                assert server.wait() == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(address: str, server: subprocess.Popen[str], errors: Path) -> None:
    for _ in range(3000):
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at once:\n{errors.read_text()}")
        try:
            with urllib.request.urlopen(address, timeout=120):  # noqa: S310  on localhost
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer within ten minutes:\n{errors.read_text()}")


@pytest.fixture(scope="module")
def _window(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """One page for a module's tests, which reaches nothing but localhost, and the addresses that it was refused."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    outside: list[str] = []

    def exposed(route: Route) -> None:
        """Serve the page with the application in reach of the tests, which no configuration can ask for."""
        page = route.fetch()
        hidden, open_ = '"exposeAppInBrowser": false', '"exposeAppInBrowser": true'
        route.fulfill(response=page, body=page.text().replace(hidden, open_))

    def refused(route: Route) -> None:
        outside.append(route.request.url)
        route.abort()

    # What needs no answer from here is not routed: each request that is takes its turn in this one thread.
    context.route(re.compile(r"^https?://(?!(127\.0\.0\.1|localhost)[:/])"), refused)
    context.route(re.compile(r"/lab/(workspaces/[^/]+/)?tree/"), exposed)  # a second tab gets a workspace of its own
    page = context.new_page()
    page.set_default_timeout(180_000)  # of a busy machine, not of the product
    yield page, outside
    context.close()


@pytest.fixture
def page(_window: tuple[Page, list[str]]) -> Iterator[Page]:
    """The module's page; a request to anywhere but localhost fails the test."""
    page, outside = _window
    outside.clear()
    yield page
    if page.evaluate(_IN_LAB):
        page.evaluate(_CLOSE_ALL)  # kernels that stay would slow the others down
    assert outside == []


def complaints(page: Page) -> list[str]:
    """Return a list that will hold what goes wrong in a page, known complaints of libraries left out."""
    wrong = list[str]()

    def noted(message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location['url']})"
        if message.type in ("error", "warning") and not any(known in text for known in _KNOWN):
            wrong.append(text)

    page.on("console", noted)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    return wrong


@dataclass(frozen=True)
class Notebook:
    """The notebook that is open in the page."""

    page: Page

    def run_all(self) -> None:
        """Run all cells, wait for the kernel, and require that no cell failed."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.require_no_error()

    def restart_and_run_all(self) -> None:
        """Run all cells in a kernel that has just been started anew."""
        self.page.evaluate(
            "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.restartKernel(); }"
        )
        self.run_all()

    def require_no_error(self) -> None:
        """Require that nothing is written on stderr and no traceback stands anywhere."""
        bad = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type*='jupyter.error']")
        assert [text[:2000] for text in bad.all_inner_texts()] == []

    def run(self, source: str) -> str:
        """Append a cell, run it and return what it shows."""
        self.page.evaluate(_RUN_CELL, source)
        return self.page.locator(".jp-Cell").last.locator(".jp-OutputArea-output").all_inner_texts()[-1]

    def drawn(self, count: int, seconds: float = 180) -> list[dict[str, Any]]:
        """Wait until `count` pictures are there and none is empty; return them."""
        for _ in range(int(seconds * 4)):
            seen = self.pictures()
            full = [one for one in seen if one["inside"] > 3 and one["width"] > 200 and one["height"] > 30]
            if len(full) >= count:
                return full
            time.sleep(0.25)
        raise AssertionError(f"{count} pictures expected, drawn are {seen}")

    def pictures(self) -> list[dict[str, Any]]:
        """Every picture of a chart cell or panel: kind, width, height, number of different colours or elements."""
        found: list[dict[str, Any]] = self.page.evaluate(_PICTURES)
        return found


@pytest.fixture
def open_notebook(lab: Lab, page: Page) -> Callable[[str], Notebook]:
    """Open a notebook of the lab's folder, alone and with a fresh kernel."""

    def opened(path: str) -> Notebook:
        here = lab.opened.partition("/lab/")[0] + "/"
        if page.url.startswith(here) and page.evaluate(_IN_LAB):
            page.evaluate(_CLOSE_ALL)
            page.evaluate(_OPEN, path)
        else:
            page.goto(lab.address(path))
        page.wait_for_function(READY, arg=path)
        return Notebook(page)

    return opened


_IN_LAB = "() => Boolean(window.jupyterapp)"
_CLOSE_ALL = """async () => {
    const app = window.jupyterapp;
    for (const panel of [...app.shell.widgets('main')]) {
        if (panel.context) panel.context.model.dirty = false;  // or it asks whether to save
        panel.close();
    }
    const patience = new Promise(resolve => setTimeout(resolve, 20000));  // an evaluation has no time limit of its own
    await Promise.race([app.serviceManager.sessions.shutdownAll(), patience]);
}"""
_OPEN = "path => { window.jupyterapp.commands.execute('docmanager:open', {path}); }"  # not its result: a whole widget
READY = """path => {
    const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const session = panel && panel.context && panel.context.isReady && panel.sessionContext.session;
    return session && panel.context.path === path && session.kernel && session.kernel.status === 'idle';
}"""
_RUN_CELL = """async (source) => {
    const app = window.jupyterapp;
    await app.commands.execute('notebook:move-cursor-down');
    const panel = app.shell.currentWidget, notebook = panel.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await app.commands.execute('notebook:insert-cell-below');
    notebook.activeCell.model.sharedModel.setSource(source);
    await app.commands.execute('notebook:run-cell');
}"""
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
