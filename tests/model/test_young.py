"""Bindings that a router drops at their first silence, while it keeps those in steady use."""

from __future__ import annotations

from pathlib import Path

from tests.analysis.recorded import Writer

HOUR = 3600


def written(first_silence_kills: bool) -> Writer:
    """Return two days of six phones; three of them get new ports again and again on the second day."""
    log = Writer([])
    for number in range(6):
        peer, begin = f"10{number}.a", 97 * number
        log.registered(begin, peer, 20000 + number)
        log.reachable(begin, peer)
        for turn in range(6) if number < 3 else ():
            again = begin + (24 + turn) * HOUR
            log.lost(again - 1800, peer)
            log.registered(again, peer, 30000 + 10 * number + turn)
            log.reachable(again, peer)
            if first_silence_kills:
                log.lost(again + 64, peer)
                log.reachable(again + 64 + 900 + 211 * turn, peer)
    log.lost(47 * HOUR, "105.a")
    log.reachable(47 * HOUR + 600, "105.a")
    return log


def test_bindings_that_die_at_their_first_silence_are_a_short_timeout(tmp_path: Path) -> None:
    (site,) = written(first_silence_kills=True).case(tmp_path).sites.rows(named=True)
    assert (site["verdict"], site["low_s"], site["high_s"]) == ("too_short", 0.0, 60.0)


def test_bindings_that_outlive_it_are_not(tmp_path: Path) -> None:
    (site,) = written(first_silence_kills=False).case(tmp_path).sites.rows(named=True)
    assert site["verdict"] != "too_short"
