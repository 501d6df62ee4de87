"""What a router does by default, whether that is enough, and how to set it."""

from __future__ import annotations

import polars as pl
import pytest

from starface_nb import guide
from starface_nb.errors import SettingError

TR = guide.translator("en")


def test_the_timeout_for_both_directions_is_taken_for_a_registered_phone() -> None:
    assert guide.router_default("MikroTik RouterOS v6").seconds == 180  # 10 s in one direction
    assert guide.router_default("openwrt").seconds == 180
    assert guide.router_default("linux nf_conntrack").seconds == 120


def test_no_number_where_only_one_direction_or_nothing_is_documented() -> None:
    assert guide.router_default("FreshTomato").seconds is None
    fritz = guide.router_default("fritz")
    assert fritz.seconds is None
    assert fritz.setting_path == ""


@pytest.mark.parametrize(("wanted_s", "enough"), [(120, True), (180, True), (181, False), (3660, False)])
def test_a_default_is_enough_up_to_its_own_length(wanted_s: float, enough: bool) -> None:
    said = guide.setting("OpenWrt", wanted_s, TR)[0]
    assert ("that is enough" in said, "too short" in said) == (enough, not enough)


def test_no_documented_default_is_enough_for_sixty_minutes() -> None:
    known = guide.registered_phone_defaults().filter(pl.col("seconds").is_not_null())
    assert known.height > 30
    assert not known.filter(pl.col("seconds") >= 3660).height


def test_defaults_in_a_bracket_are_open_below_and_closed_above() -> None:
    found = guide.defaults_in_bracket(120, 180)
    assert found["seconds"].min() == 130
    assert found["seconds"].max() == 180
    assert "OpenWrt" in found["product"].to_list()
    assert found["legacy"].to_list() == sorted(found["legacy"].to_list())
    assert guide.defaults_in_bracket(120, None).is_empty()
    assert guide.defaults_in_bracket(None, 60)["seconds"].max() == 60


def test_a_part_of_a_name_is_enough_where_it_is_unique() -> None:
    assert guide.find_product("routeros v6") == "MikroTik RouterOS v6"
    with pytest.raises(SettingError, match=r"Several routers match 'cisco'.*Cisco IOS NAT"):
        guide.find_product("cisco")
    with pytest.raises(SettingError, match=r"No router is known as 'fritzbux'.*FRITZ!Box"):
        guide.find_product("fritzbux")
    with pytest.raises(SettingError, match=r"Name one by its maker: Amazon; .*Zyxel; or leave it out"):
        guide.find_product("qwxz")


def test_a_router_of_which_only_tcp_is_documented_does_no_harm() -> None:
    names = [
        p
        for p in guide.products()
        if guide.routers().filter(pl.col("product") == p)["protocol"].unique().to_list() == ["TCP"]
    ]
    assert names
    for name in names:
        assert guide.router_default(name).seconds is None
        assert "not documented" in guide.setting(name, 3660, TR)[0]


def test_how_to_set_it_is_said_with_the_command() -> None:
    (everywhere,) = guide.snippets("RouterOS v6", 3660, TR)
    assert everywhere.lines == ("/ip firewall connection tracking set udp-stream-timeout=61m",)
    assert any("udp-stream-timeout" in line for line in guide.setting("RouterOS v6", 3660, TR))
    _, everywhere, _ = guide.snippets("Fortinet FortiGate (FortiOS)", 3660, TR)
    assert everywhere.lines == ("config system global", "set udp-idle-timer 3660", "end")


def test_a_value_above_the_routers_maximum_is_called_impossible() -> None:
    said = guide.setting("sophos firewall", 3660, TR)
    assert any("at most 60 minutes" in line and "61 minutes" in line for line in said)


@pytest.mark.parametrize("router", ["Speedport", "fritz", "LANCOM", "Securepoint", "Meraki", "Starlink"])
def test_nothing_is_invented_for_an_undocumented_router_and_what_helps_is_said(router: str) -> None:
    said = guide.setting(router, 3660, TR)
    assert guide.snippets(router, 3660, TR) == ()
    assert "not documented" in said[0]
    assert "not documented" in said[1]
    told = " ".join(said)
    assert all(words in told for words in ("How to find it", "How to measure it", "keepalive", "TCP or TLS"))
    assert not any(character.isdigit() for character in told)


def test_snippets_are_the_documented_lines_with_the_customers_values() -> None:
    bound, everywhere = guide.snippets("VyOS", 3660, TR, pbx="192.0.2.10")
    assert bound.lines == (
        "set system conntrack timeout custom ipv4 rule 100 destination address 192.0.2.10",
        "set system conntrack timeout custom ipv4 rule 100 protocol udp replied 3660",
    )
    assert everywhere.lines == ("set firewall global-options timeout udp stream 3660",)
    unknown = guide.snippets("VyOS", 3660, TR)[0]
    assert "PBX-ADDRESS" in unknown.title
    assert unknown.lines[0].endswith("destination address PBX-ADDRESS")
    forti = guide.snippets("FortiGate (", 3660, TR)
    assert [s.lines[0] for s in forti] == [
        "config system session-ttl",
        "config system global",
        "config system settings",
    ]
    assert "set timeout 3660" in forti[0].lines
    assert guide.snippets("Cisco ASA", 3660, TR)[0].lines == ("timeout udp 1:01:00",)
    assert guide.snippets("Sophos Firewall", 3660, TR)[0].lines == ("set advanced-firewall udp-timeout-stream 3600",)


def test_every_snippet_can_be_filled() -> None:
    for product in guide.products():
        for snippet in guide.snippets(product, 3660, TR, pbx="192.0.2.10"):
            assert snippet.lines
            assert not any(mark in line for line in snippet.lines for mark in "{}|"), product


def test_sip_inspection_is_named_with_its_switch_and_its_own_timer() -> None:
    linux = guide.sip_inspection("Linux nf_conntrack")
    assert linux is not None
    assert (linux.seconds, linux.command) == (3600, "modprobe -r nf_conntrack_sip")
    assert guide.router_default("linux nf_conntrack").seconds == 120  # not the timer of the inspection
    assert guide.sip_inspection("fritz") is None
    during_calls = guide.sip_inspection("ScreenOS")
    assert during_calls is not None
    assert during_calls.seconds is None
    said = guide.setting("Zyxel uOS", 3660, TR)
    assert any("switch it off (Network > ALG > SIP ALG)" in line for line in said)
    assert any("30 minutes" in line for line in said)
    assert {1800.0, 3600.0} <= set(guide.defaults_in_bracket(1000, 3700)["seconds"])


def test_a_setting_for_the_pbx_alone_is_preferred_where_there_is_one() -> None:
    assert any("per rule" in line for line in guide.setting("OPNsense (own rule)", 3660, TR))
    assert not any("It can be set" in line for line in guide.setting("OpenWrt", 3660, TR))


def test_ports_for_phones_come_first() -> None:
    listed = guide.port_checklist(TR)
    flags = [port["for_phones"] for port in listed]
    assert flags == sorted(flags, reverse=True)
    assert {"sip_udp", "rtp_in", "provisioning"} <= {port["id"] for port in listed if port["for_phones"]}
    assert len(listed) == guide.ports().height
