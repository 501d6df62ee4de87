"""What all tests share: the browser, and what happens where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ["STARFACE_NB_PROGRESS"] = "0"  # a slow machine must not add a bar to a notebook's outputs

# With frames as small as the tests' are, a sixth of the processor's time is polars' threads waiting for each other.
# It makes them as it is loaded: here one, while commands and kernels that tests start have as many as users do.
with pytest.MonkeyPatch.context() as loading:
    loading.setenv("POLARS_MAX_THREADS", "1")
    import polars as _  # noqa: F401

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
# A page that a test hands over has no address, so that newer Chromiums refuse it connections to this machine.
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
]
_left_out = pytest.StashKey[int]()


def chromium() -> str | None:
    """Return the path of the system's Chromium, if there is one."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave browser tests out where there is no browser, and say so; an error where one is required."""
    needing = [item for item in items if item.get_closest_marker("browser")]
    if not needing or chromium():
        return
    if os.environ.get("STARFACE_NB_REQUIRE_BROWSER"):
        raise pytest.UsageError("STARFACE_NB_REQUIRE_BROWSER is set, but no Chromium was found")
    config.hook.pytest_deselected(items=needing)
    config.stash[_left_out] = len(needing)
    items[:] = [item for item in items if item not in needing]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left out."""
    if config.stash.get(_left_out, 0):
        terminalreporter.section("no browser")
        terminalreporter.line(f"{config.stash[_left_out]} browser tests were left out: no Chromium was found")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; per module, so that no event loop stays behind for other tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=BROWSER_ARGUMENTS)
        yield found
        found.close()
