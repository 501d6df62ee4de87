"""Calls that phones begin may renew their bindings: what lies behind one says less of the timeout."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import starface_nb as sf

TIMEOUT_S, HOUR_S, DAYS = 1040.0, 3600.0, 3
BEGUN = datetime(2026, 3, 2, 8)


def phone(name: str, seed: int) -> list[tuple[float, str]]:
    """Return the lines of a phone that registers every hour and begins a call now and then, each with its second."""
    rng, said = np.random.default_rng(seed), list[tuple[float, str]]()
    offset, past = rng.uniform(0, HOUR_S), 24 * HOUR_S * DAYS
    calls = np.sort(rng.uniform(0, past, 40 * DAYS))
    registers = np.arange(offset, past, HOUR_S)
    for number, at in enumerate(registers):
        said.append((at, f"VERBOSE[7] chan_sip.c: Registered SIP '{name}' at 203.0.113.9:{20_000 + number}"))
        said.append((at, f"NOTICE[7] chan_sip.c: Peer '{name}' is now Reachable. (25ms / 2000ms)"))
        alive, mine = at, calls[(calls > at) & (calls < at + HOUR_S)]
        for call in mine:
            said.append((call, dialled(name, len(said))))
            alive = call if call < alive + TIMEOUT_S else alive
        lost = at + 60.0 * np.ceil((alive + TIMEOUT_S - at) / 60.0) + 2.0
        if lost < at + HOUR_S:
            said.append((lost, f"NOTICE[7] chan_sip.c: Peer '{name}' is now UNREACHABLE!  Last qualify: 25"))
    return said


def dialled(name: str, number: int) -> str:
    """Return what the PBX says of an outgoing call."""
    channel = f"SIP/{name}-{number:08x}"
    return (
        f'VERBOSE[9][C-{number:08x}] pbx.c: Executing [0301@out:2] Dial("{channel}", "SIP/0301@line,60") in new stack'
    )


@pytest.mark.parametrize("phones", [3, 12])
def test_the_bracket_holds_where_calls_renew(tmp_path: Path, phones: int) -> None:
    lines = sorted(line for number in range(phones) for line in phone(f"{2000 + number}", number))
    text = "".join(f"[{BEGUN + timedelta(seconds=round(at))}] {said}\n" for at, said in lines)
    (path := tmp_path / "full").write_text(text)
    log = sf.read_log(path, progress=False)
    assert log.calls["by"].n_unique() == phones
    case = sf.diagnose(log)
    low, high = case.sites.select("low_s", "high_s").row(0)
    assert low < TIMEOUT_S <= high <= low + 65.0  # one probe, its timeout and whole seconds
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.99
