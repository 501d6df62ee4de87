"""Progress is seen on a terminal and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from starface_nb import progress
from starface_nb.progress import progress_bar


@pytest.fixture(autouse=True)
def _not_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STARFACE_NB_PROGRESS", raising=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 0)
    with progress_bar(4 << 20, "Reading") as advance:
        advance(1 << 20)
        advance(3 << 20)
    shown = stream.getvalue()
    assert bool(shown) == stream.isatty()
    assert not shown or all(word in shown for word in ("Reading", "/4.00M", "B/s"))


def test_nothing_before_a_second_and_nothing_when_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(100, "Reading", unit="files") as advance:
        advance(50)
    assert sys.stderr.getvalue().strip() == ""
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setenv("STARFACE_NB_PROGRESS", "0")
    with progress_bar(100, "Reading") as advance:
        advance(50)
    with progress_bar(None, "Reading", enabled=False) as advance:
        advance(50)
    assert sys.stderr.getvalue().strip() == ""


def test_in_a_notebook_it_is_a_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], **_: bool) -> None:
            shown.append(data["text/plain"])

    def display(data: dict[str, str], **_: bool) -> Handle:
        shown.append(data["text/plain"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "DELAY", 0)
    with progress_bar(4 << 20, "Reading") as advance:
        advance(4 << 20)
    assert "Reading" in shown[0]
    assert shown[-1] == ""
