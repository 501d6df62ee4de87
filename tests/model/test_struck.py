"""How many steps it takes to find what struck a site."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from starface_nb import diagnose, read_log
from starface_nb.model import events

if TYPE_CHECKING:
    from pathlib import Path


def steps(path: Path, monkeypatch: pytest.MonkeyPatch, losses: int) -> int:
    """Return how often events were weighed in a log in which one of 200 phones in turn is lost every three seconds."""
    said = []
    for number in range(losses):
        lost = datetime(2026, 3, 4) + timedelta(seconds=3 * number)
        for after, state in ((0, "UNREACHABLE!  Last qualify: 25"), (14, "Reachable. (25ms / 2000ms)")):
            at = lost + timedelta(seconds=after)
            said.append((at, f"[{at}] NOTICE[7] chan_sip.c: Peer '{2000 + number % 200}' is now {state}"))
    path.write_text("\n".join(line for _, line in sorted(said)), "utf-8")
    calls, weigh = list[Any](), events.weigh
    with monkeypatch.context() as patch:
        patch.setattr(events, "weigh", lambda *given: calls.append(given) or weigh(*given))
        assert diagnose(read_log(path, progress=False)).intervals.height == losses
    return len(calls)


def test_steps_do_not_grow_with_the_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (steps(tmp_path / f"{losses}.log", monkeypatch, losses) for losses in (500, 4000))
    assert few > 0
    assert many <= 2 * few, (few, many)
