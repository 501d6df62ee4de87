"""What a log costs grows with the phones and losses in it, not with phones times time over keepalive."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis import tables

START = "[2026-03-%02d 08:00:00] NOTICE[1] chan_sip.c: "


def test_many_silent_renewals_share_rows_and_are_counted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "pbx.log"
    peers = [f"phone{n}" for n in range(40)]
    lines = [START % 1 + f"Peer '{peer}' is now Reachable. (20ms / 2000ms)" for peer in peers]
    lines += [START % 20 + f"Peer '{peer}' is now UNREACHABLE!  Last qualify: 20" for peer in peers]
    log.write_text("\n".join(lines) + "\n")
    read = sf.read_log(log)
    whole = sf.diagnose(read)
    assert whole.cycles["turns"].to_list() == [1] * whole.cycles.height
    monkeypatch.setattr(tables, "MOST_ROWS", 500)
    few = sf.diagnose(read)
    assert few.cycles.height < 600 < whole.cycles.height
    assert few.eras.equals(whole.eras)
    assert few.cycles["turns"].sum() == whole.cycles.height
    assert (few.cycles["start"] <= few.cycles["end"]).all()
    longest = few.cycles.select(pl.col("end") - pl.col("start")).to_series().max()
    assert longest == whole.cycles.select(pl.col("end") - pl.col("start")).to_series().max() * few.cycles["turns"].max()
