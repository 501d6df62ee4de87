"""Less evidence never clears anybody, and no cure without a common phone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import starface_nb as sf
from starface_nb.analysis.compare import compare
from starface_nb.analysis.diagnosis import Diagnosis

KINDS = ("UNREACHABLE", "now Reachable", "now Lagged", "Registered SIP", "VERBOSE", "NOTICE", "cdr.c")
STAMP = re.compile(r"^\[([^\]]+)\]")
START = datetime(2026, 3, 4, 8)


@cache
def text(timeout_min: int, phones: int, hours: int = 8, day: int = 0, prefix: str = "2") -> tuple[str, ...]:
    """Return the log of phones that register every hour behind a router that forgets them in between."""
    rows = []
    for phone in range(phones):
        for hour in range(hours if timeout_min < 60 else 1):  # a binding that lives is registered without a line
            begin = START + timedelta(days=day, hours=hour, seconds=417 * phone)
            peer = f"{prefix}{phone}"
            rows += [
                (begin, f"VERBOSE[1] chan_sip.c: Registered SIP '{peer}' at 203.0.113.7:{20000 + 100 * phone + hour}"),
                (begin, f"NOTICE[1] chan_sip.c: Peer '{peer}' is now Reachable. (30ms / 2000ms)"),
            ]
            if timeout_min < 60:
                lost = begin + timedelta(seconds=(timeout_min + 1) * 60 + 4)
                rows.append((lost, f"NOTICE[1] chan_sip.c: Peer '{peer}' is now UNREACHABLE!  Last qualify: 30"))
    minutes = range(0, 60 * hours, 10)
    rows += [(START + timedelta(days=day, minutes=m), "NOTICE[1] cdr.c: CDR simple logging enabled.") for m in minutes]
    return tuple(f"[{when}] {what}" for when, what in sorted(rows, key=lambda row: row[0]))


def diagnosed(lines: tuple[str, ...] | list[str]) -> Diagnosis:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "full"
        path.write_text("\n".join(lines) + "\n")
        return sf.diagnose(sf.read_log(path, progress=False))


def cleared(found: Diagnosis) -> set[str]:
    return set(found.sites.filter(pl.col("verdict") == "no_expiry_seen")["site"])


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 55), st.integers(1, 4), st.sets(st.sampled_from(KINDS), min_size=1))
def test_removing_lines_of_any_kind_clears_nobody(timeout: int, phones: int, kinds: set[str]) -> None:
    kept = [line for line in text(timeout, phones) if not any(kind in line for kind in kinds)]
    if kept:
        assert not cleared(diagnosed(kept))


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 55), st.integers(2, 4), st.randoms(use_true_random=False), st.floats(0.3, 0.98))
def test_removing_lines_at_random_clears_nobody(timeout: int, phones: int, chance: object, share: float) -> None:
    kept = [line for line in text(timeout, phones) if chance.random() < share]  # type: ignore[attr-defined]
    if kept:
        assert not cleared(diagnosed(kept))


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 55), st.integers(2, 5), st.data())
def test_removing_a_phone_clears_no_other(timeout: int, phones: int, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, phones - 1), min_size=1, max_size=phones - 1))
    kept = [line for line in text(timeout, phones) if not any(f"'2{phone}'" in line for phone in gone)]
    assert not cleared(diagnosed(kept))


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 45), st.sampled_from([10, 50, 90]), st.integers(-3, 3), st.sampled_from(["2", "7"]))
def test_no_cure_without_a_common_phone_or_backwards(timeout: int, after: int, day: int, prefix: str) -> None:
    found = compare(diagnosed(text(timeout, 3)), diagnosed(text(after, 3, day=day, prefix=prefix)))
    if prefix != "2" or day < 0 or after < 60:
        assert found.verdict != "fixed"


def test_a_true_cure_is_seen() -> None:
    assert compare(diagnosed(text(20, 4)), diagnosed(text(90, 4, hours=12, day=1))).verdict == "fixed"
