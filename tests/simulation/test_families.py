"""Every family gives customers as promised, quickly."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from starface_nb.arguments import arguments_of
from starface_nb.cli import main
from starface_nb.errors import SettingError
from starface_nb.simulation import Wish, drawing, simulate
from tests.simulation.families import FAMILIES, make

CAUSES_OF = {
    "plain": {"nat_expiry"},
    "one_bad_phone": {"phone_restart", "phone_offline"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_its_promise(family: str) -> None:
    found: set[str] = set()
    for seed in range(5):
        made = simulate(make(family, seed), seed)
        intervals = made.truth["unreachable_intervals"]
        found |= set(made.truth["intervals_by_cause"])  # type: ignore[call-overload]
        last: dict[str, datetime] = {}
        for u in intervals:  # type: ignore[attr-defined]
            start, end = datetime.fromisoformat(u["start"]), datetime.fromisoformat(u["end"] or "9999-01-01 00:00Z")
            assert start <= end
            assert last.get(u["peer"], start) <= start
            last[u["peer"]] = end
        for site in made.truth["sites"]:  # type: ignore[attr-defined]
            for era in site["eras"]:
                if era["oracle_high_s"] is not None:
                    assert era["oracle_low_s"] <= era["T_s"] + 0.1
                    assert era["T_s"] <= max(era["oracle_high_s"], 60.1)
    assert found
    if family in CAUSES_OF:
        assert found <= CAUSES_OF[family]


def test_mixed_customers_meet_every_cause() -> None:
    missing = {
        "nat_expiry", "wan_outage", "router_restart", "phone_restart", "phone_offline", "latency", "packet_loss",
        "pbx_restart", "blacklisted",
    }  # fmt: skip
    for seed in range(60):
        missing -= set(simulate(make("mixed", seed), seed).truth["intervals_by_cause"])  # type: ignore[call-overload]
        if not missing:
            break
    assert not missing


def test_a_customer_takes_well_under_a_second() -> None:
    began = time.process_time()
    made = simulate(make("mixed", 11, Wish(phones=12, hours=48.0)), 11)
    assert made.log.events.height > 100
    assert time.process_time() - began < 1.0


def test_wishes_are_fulfilled() -> None:
    scenario = make("mixed", 7, Wish(12, 48.0, 900.0, "any_packet"))
    assert {len(site.phones) for site in scenario.sites} == {12}
    assert scenario.hours == 48.0
    assert {(s.router.timeout_s, s.router.renewal) for s in scenario.sites} == {(900.0, "any_packet")}


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(SettingError, match="plain"):
        make("nonsense", 1)


def test_the_command_knows_every_family() -> None:
    choices = next(values["choices"] for flags, values in arguments_of("simulate") if flags == ("--family",))
    assert list(drawing.FAMILIES) == list(choices)


def test_the_command_writes_log_and_truth(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    wish = ["--family", "plain", "--seed", "3", "--phones", "3", "--hours", "6", "--timeout", "15m"]
    assert (
        main(["simulate", *wish, "--time-zone", "Europe/Zurich", "--start", "2026-10-25T00:30", "-o", str(tmp_path)])
        == 0
    )
    text = (tmp_path / "pbx.log").read_text()
    assert text.startswith("[2026-10-25 00:30:")
    assert (tmp_path / "truth.json").exists()
    assert "unreachable intervals" in capsys.readouterr().out
    assert ZoneInfo("Europe/Zurich").key in (tmp_path / "truth.json").read_text()


@pytest.mark.parametrize("wrong", [["--time-zone", "Nowhere/Land"], ["--start", "yesterday"]])
def test_wrong_options_get_a_clear_message(tmp_path, capsys, wrong: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert main(["simulate", "-o", str(tmp_path), *wrong]) == 2
    assert wrong[1] in capsys.readouterr().err
