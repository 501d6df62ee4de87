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
    assert guide.is_enough("fritz", 60) is None


@pytest.mark.parametrize(("keepalive_s", "enough"), [(60, True), (120, True), (121, False), (3600, False)])
def test_enough_means_a_minute_more_than_the_keepalive(keepalive_s: float, enough: bool) -> None:
    assert guide.is_enough("OpenWrt", keepalive_s) is enough


def test_no_documented_default_is_enough_for_sixty_minutes() -> None:
    known = guide.routers().filter((pl.col("protocol") == "UDP") & pl.col("seconds").is_not_null())
    assert known.height > 25
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
    (name,) = [
        p
        for p in guide.products()
        if guide.routers().filter(pl.col("product") == p)["protocol"].unique().to_list() == ["TCP"]
    ]
    assert guide.router_default(name).seconds is None
    assert "not documented" in guide.setting(name, 3660, TR)[0][0]


def test_how_to_set_it_is_said_with_the_command() -> None:
    said, commands = guide.setting("RouterOS v6", 3660, TR)
    assert commands == ("/ip firewall connection tracking set udp-stream-timeout=61m",)
    assert any("udp-stream-timeout" in line for line in said)
    _, commands = guide.setting("Fortinet FortiGate (FortiOS)", 3660, TR)
    assert commands == ("config system global", "set udp-idle-timer 3660", "end")


def test_a_value_above_the_routers_maximum_is_called_impossible() -> None:
    said, commands = guide.setting("sophos firewall", 3660, TR)
    assert any("at most 60 minutes" in line and "61 minutes" in line for line in said)
    assert commands == ("set advanced-firewall udp-timeout-stream 3600",)


def test_nothing_is_invented_for_an_undocumented_router() -> None:
    said, commands = guide.setting("Speedport", 3660, TR)
    assert commands == ()
    assert "not documented" in said[0]
    assert "not documented" in said[1]


def test_ports_for_phones_come_first() -> None:
    listed = guide.port_checklist(TR)
    flags = [port.for_phones for port in listed]
    assert flags == sorted(flags, reverse=True)
    assert {"sip_udp", "rtp_in", "provisioning"} <= {port.id for port in listed if port.for_phones}
    assert len(listed) == guide.ports().height
