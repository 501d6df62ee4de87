"""Phones that go together: on two lines in turn, and in step since the power came back."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import polars as pl

from tests.analysis.recorded import Writer

HOUR = 3600
DSL, LTE = "203.0.113.9", "198.51.100.7"
PHONES = [(f"2{n}.snomd345", 613.0 * n) for n in range(4)]
"""Peers, and how long after the hour each registers."""


def next_register(after: float, offset: float) -> float:
    return after + (offset - after) % HOUR


def test_a_line_that_fails_takes_phones_that_outlived_every_silence(tmp_path: Path) -> None:
    """On the other line entries live for less than a minute; what takes all phones there, and back, is the change."""
    log, taken = Writer([]), set()
    for n, (peer, offset) in enumerate(PHONES):
        log.registered(offset, peer, 20_000 + n, DSL)
        log.reachable(offset, peer)
        for turn in range(4):
            away, home = (9 + 13 * turn) * HOUR + 40, (12 + 13 * turn) * HOUR + 40
            log.lost(away + 11 * n, peer)
            taken.add(log.start + timedelta(seconds=away + 11 * n))
            back = next_register(away + 60, offset)
            while back < home:
                log.registered(back, peer, int(30_000 + back // 10), LTE)
                log.reachable(back, peer)
                log.lost(back + 64, peer)
                back += HOUR
            log.registered(back, peer, 40_000 + 10 * n + turn, DSL)
            log.reachable(back, peer)
    case = log.case(tmp_path)
    (site,) = case.sites.rows(named=True)
    assert (site["verdict"], site["high_s"]) == ("too_short", 60.0)
    causes = case.intervals.select("cause", taken=pl.col("start").is_in([at.astimezone(UTC) for at in taken]))
    assert causes["taken"].sum() == len(taken)
    assert causes.filter(~pl.col("taken"))["cause"].unique().to_list() == ["nat_expiry"]
    assert "nat_expiry" not in causes.filter("taken")["cause"].to_list()


def in_step(lost: int, back: int) -> Writer:
    """Return a day of phones over PJSIP that started together: a REGISTER from the same port leaves no line there."""
    log = Writer([])
    for n, peer in enumerate(["31.a", "32.a", "33.a"]):
        first, contact = 28.0 + 8 * n, f"{peer}/sip:{peer}@{DSL}:506{n}"
        aor = f"Added contact 'sip:{peer}@{DSL}:506{n}' to AOR '{peer}' with expiration of 3900 seconds"
        log.at(first, aor, "VERBOSE", "res_pjsip_registrar.c")
        for turn in range(11):
            at = first + turn * HOUR
            for moment, state in (
                (at + lost, "Unreachable.  RTT: 0.000 msec"),
                (at + back, "Reachable.  RTT: 30.000 msec"),
            ):
                log.at(moment, f"Contact {contact} is now {state}", "VERBOSE", "res_pjsip/pjsip_options.c")
    return log


def test_phones_in_step_since_the_power_came_back_lose_their_entries_and_no_line(tmp_path: Path) -> None:
    """They are all back on the grid, one keepalive after their first REGISTER, again and again."""
    case = in_step(603, HOUR).case(tmp_path)
    assert case.intervals["cause"].unique().to_list() == ["nat_expiry"]
    assert case.sites["verdict"].to_list() != ["no_expiry_seen"]


def test_phones_in_step_whose_line_fails_every_hour_lose_their_line(tmp_path: Path) -> None:
    """They are back a while after it was due, or before."""
    case = in_step(603, 1560).case(tmp_path)
    assert case.intervals["cause"].unique().to_list() == ["wan_outage"]


def test_phones_that_register_often_and_come_back_from_another_line_did_not_boot(tmp_path: Path) -> None:
    """Every ten minutes, which no line shows while the address stays."""
    log = Writer([])
    for n in range(7):
        peer, offset = f"4{n}.yealink", 83.0 * n
        log.registered(offset, peer, 20_000 + n, DSL)
        log.reachable(offset, peer)
        for turn, away in enumerate([11_000, 30_700, 52_300, 81_900, 120_100]):
            back = away + 40 + (offset + 17 * turn - away - 40) % 600
            log.lost(away + (7 * n + 3) % 60, peer)
            log.registered(back, peer, 30_000 + 10 * n + turn, (LTE, DSL)[turn % 2])
            log.reachable(back, peer)
    assert log.case(tmp_path).intervals["cause"].unique().to_list() == ["wan_outage"]


def test_a_phone_that_is_lost_before_its_entry_can_expire_and_stays_away_is_off(tmp_path: Path) -> None:
    """Two weekends; entries live for a quarter of an hour, and phones are back within the hour else."""
    log, offs = Writer([]), [(9, 300), (90, 420)]
    for n, (peer, offset) in enumerate(PHONES):
        for hour in range(170):
            back = offset + hour * HOUR
            off = [age for at, age in offs if n == 2 and at == hour]
            if n == 2 and any(at < hour <= at + 62 for at, _ in offs):
                continue
            log.registered(back, peer, 20_000 + 100 * n + hour)
            log.reachable(back, peer)
            log.lost(back + (off[0] if off else 900) + 4, peer)
    long = log.case(tmp_path).intervals.filter(pl.col("end") - pl.col("start") > timedelta(hours=3))
    assert long["cause"].to_list() == ["phone_offline"] * 2
