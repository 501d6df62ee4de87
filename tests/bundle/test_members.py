"""What a support bundle's members give: values with their source, and nothing of what is secret."""

from __future__ import annotations

import polars as pl
import pytest

from starface_nb.bundle import members
from starface_nb.bundle.facts import FACTS, PEERS, Bundle, put_together, with_full_names
from starface_nb.bundle.members import member_of, sniffed, taken
from starface_nb.tables import table

# In the wording of Asterisk 16 and 20 (PEERS_FORMAT2), 1.8, and as pasted with blanks collapsed.
PEERS_16 = """\
Name/username             Host                                    Dyn Forcerport Comedia ACL Port     Status Description
1001.snom/1001.snom       203.0.113.7                              D  Yes        Yes            5060     OK (21 ms)
1234.a/b.c                203.0.113.7                       D  Yes        Yes            5062     LAGGED (2500 ms)
12345678.snomd345/1234567 2001:db8::7                              D  Auto (No)  Auto (No)   A  5062     UNREACHABLE
1002.snom/1002.snom       (Unspecified)          D  Yes   Yes   0   UNKNOWN   desk password=planted-1
trunk/u                   198.51.100.1                                Auto (No)  No             5060     Unmonitored
6 sip peers [Monitored: 1 online, 3 offline Unmonitored: 1 online, 0 offline]
"""
PEERS_OLD = """\
Name/username              Host            Dyn Nat ACL Port     Status
668/668                    203.0.113.7      D   N      5060     OK (43 ms)
669/669                    (Unspecified)    D   N      0        UNKNOWN
2 sip peers [Monitored: 1 online, 1 offline Unmonitored: 0 online, 0 offline]
"""
CONTACTS = """\

  Contact:  <Aor/ContactUri............................> <Hash....> <Status> <RTT(ms)..>
==========================================================================================

  Contact:  101/sip:101@203.0.113.7:5060;ob              8d5bb1d2c3 Avail        21.504
  Contact:  102/sip:102@[2001:db8::9]:5060               a0a0a0a0a0 Unavail         nan
  Contact:  103/sip:103@192.0.2.1                        b0a0a0a0a0 NonQual         nan
  Contact:  105/sip:105@203.0.113.7:6000                 Avail        9.100
"""
SIP_CONF = """\
[general]
qualifyfreq=30 ; the phones are asked every 30 s
maxexpirey = 1800
#include "sip_custom.conf"
nat=force_rport,comedia
register => user:planted-2@provider.example/100
;-- an old line
qualifyfreq=99
--;
[desk](!)
qualify=3000
secret=planted-3
[1001](desk)
md5secret=planted-4
qualifyfreq=planted-5
[1002](desk)
qualify=no
auth=user:planted-6@realm
"""


def _facts(member: str, text: str, name: str | None = None) -> list[str]:
    return [str(row["value"]) for row in taken(member, "m.txt", text).facts if name in (None, row["name"])]


def test_every_line_pattern_reads_its_samples() -> None:
    entries = table("bundle/bundle")["fact"]
    assert entries
    for entry in entries:
        for line, value in entry["samples"]:
            assert _facts(entry["member"], f"first\n{line}\r\nlast", entry["name"]) == [value]


def test_members_are_known_by_their_names() -> None:
    names = {
        "tmp/tmp.X/asterisk/peers.txt": "sip_peers",
        "etc/asterisk/sip.conf": "sip_conf",
        "etc/asterisk/sip_additional_general.conf": "sip_conf",
        "etc\\asterisk\\pjsip.conf": "pjsip_conf",
        "logger.conf": "logger_conf",
        "systeminfo.txt": "system",
        "asteriskinfo.txt": "versions",
        "rpm_qa.txt": "versions",
        "var/starface/fs-interface/version": "versions",
        "asterisk/core_taskprocessors.txt": "taskprocessors",
        "appliance/os/net/iptables-current.txt": "firewall",
        "appliance/os/net/netstat-an.txt": "connections",
        "var/log/messages-20260301": "messages",
        "var/log/kamailio.log.1": "kamailio",
    }
    assert {name: member_of(name) for name in names} == names
    assert not any(map(member_of, ["full", "full.1", "support.log", "pbx.log", "notes.txt", "registry.txt", "key.pem"]))
    assert member_of("rpm_qa.txt", beside=True) is None
    for entry in table("bundle/bundle")["member"]:
        assert entry["source"]


def test_peers_are_listed_with_address_state_and_round_trip() -> None:
    frame = put_together([taken("sip_peers", "peers.txt", PEERS_16)]).peers
    assert frame.schema == pl.Schema(PEERS.dtypes)
    shown = frame.select("peer", "address", "port", "status", "rtt_ms", "monitored", "line").rows()
    assert shown == [
        ("1001.snom", "203.0.113.7", 5060, "ok", 21.0, True, 2),
        ("1234.a", "203.0.113.7", 5062, "lagged", 2500.0, True, 3),
        ("12345678.snomd345", "2001:db8::7", 5062, "unreachable", None, True, 4),
        ("1002.snom", None, None, "unknown", None, True, 5),
        ("trunk", "198.51.100.1", 5060, "unmonitored", None, False, 6),
    ]


@pytest.mark.parametrize(
    "text",
    [
        PEERS_OLD,
        " ".join(PEERS_OLD.replace("\n", "\0").split()).replace("\0", "\n"),
        PEERS_OLD.replace("    ", "\t"),
        PEERS_OLD.replace("\n6", "\n  6").replace("(43 ms)", "(43 ms)  Cached RT"),
    ],
)
def test_peers_of_old_versions_and_with_collapsed_blanks(text: str) -> None:
    rows = taken("sip_peers", "peers.txt", text).peers
    assert [(row["peer"], row["address"], row["status"]) for row in rows] == [
        ("668", "203.0.113.7", "ok"),
        ("669", None, "unknown"),
    ]


def test_names_are_whole_again_where_the_log_knows_them() -> None:
    long = "1234567890.snomd345.hall-of-fame"
    line = f"{long}/{long}"[:25] + " 203.0.113.7    D  Yes  Yes  5060  OK (1 ms)\n"
    frame = put_together([taken("sip_peers", "peers.txt", PEERS_16 + line)]).peers
    assert with_full_names(frame, [])["peer"].to_list()[1] == "1234.a"
    found = with_full_names(frame, ["1234.a/b.c", long, "1001.snom"])["peer"].to_list()
    assert found[1] == "1234.a/b.c"
    assert found[-1] == long
    assert with_full_names(frame, [long, long + "2"])["peer"].to_list()[-1] == long[:25]  # which of them is open


def test_pjsip_contacts_and_endpoints_without_one() -> None:
    endpoint = " Endpoint:  104/104                                          Unavailable   0 of inf\n"
    rows = taken("pjsip_contacts", "contacts.txt", CONTACTS + endpoint).peers
    assert [(r["peer"], r.get("address"), r.get("port"), r["status"], r.get("rtt_ms")) for r in rows] == [
        ("101", "203.0.113.7", 5060, "ok", 21.504),
        ("102", "2001:db8::9", 5060, "unreachable", None),
        ("103", "192.0.2.1", None, "unmonitored", None),
        ("105", "203.0.113.7", 6000, "ok", 9.1),
        ("104", None, None, "unknown", None),
    ]


def test_what_is_pasted_is_known_by_its_text() -> None:
    assert sniffed("pbx*CLI> sip show peers\n" + PEERS_16) == "sip_peers"
    assert sniffed(CONTACTS) == "pjsip_contacts"
    assert sniffed("[2026-03-04 08:52:06] NOTICE[1] chan_sip.c: Peer '1' is now UNREACHABLE!  Last qualify: 1") is None


def test_settings_follow_includes_templates_and_the_last_line() -> None:
    found = put_together(
        [
            taken("sip_conf", "etc/asterisk/sip.conf", SIP_CONF),
            taken("sip_conf", "etc/asterisk/sip_custom.conf", "qualify=yes\nqualifyfreq=40\nmd5secret=planted-7\n"),
        ]
    )
    assert found.facts.schema == pl.Schema(FACTS.dtypes)
    qualify, expiry = found.setting("qualify"), found.setting("maxexpiry")
    assert qualify is not None
    assert (qualify.value, qualify.source) == ("yes", "sip_custom.conf:1")
    assert expiry is not None
    assert (expiry.value, expiry.source) == ("1800", "sip.conf:3")
    own = found.facts.filter(pl.col("name") == "qualify", pl.col("peer").is_not_null())
    assert dict(own.select("peer", "value").iter_rows()) == {"1001": "3000", "1002": "no"}
    assert found.setting("qualify_frequency") is None


def test_a_setting_of_all_peers_alike_holds_for_everybody_and_one_that_differs_does_not() -> None:
    same = "[a]\ntype=aor\nqualify_frequency=30\n[b]\ntype=aor\nqualify_frequency=30\n"
    found = put_together([taken("pjsip_conf", "pjsip.conf", same)]).setting("qualify_frequency")
    assert found is not None
    assert found.value == "30"
    other = same.replace("[b]\ntype=aor\nqualify_frequency=30", "[b]\ntype=aor\nqualify_frequency=60")
    assert put_together([taken("pjsip_conf", "pjsip.conf", other)]).setting("qualify_frequency") is None


def test_included_files_alone_count_as_general_and_circles_end() -> None:
    alone = put_together([taken("sip_conf", "sip_general.conf", "qualifyfreq=25\n")]).setting("qualifyfreq")
    assert alone is not None
    assert alone.value == "25"
    circle = [
        taken("sip_conf", "sip_a.conf", "#include sip_b.conf\nqualifyfreq=25\n"),
        taken("sip_conf", "sip_b.conf", "#include sip_a.conf\n"),
    ]
    assert put_together(circle).setting("qualifyfreq") is not None


def test_levels_of_the_log() -> None:
    text = "[general]\ndateformat=%F %T\n[logfiles]\nfull => notice,warning,error,verbose(3)\nmail => planted-8\n"
    rows = taken("logger_conf", "logger.conf", text).facts
    assert [(row["fact"], row["name"], row["value"], row["line"]) for row in rows] == [
        ("dateformat", "", "%F %T", 2),
        ("levels", "full", "notice,warning,error,verbose(3)", 4),
    ]


def test_blocked_addresses_are_those_whose_sip_is_dropped() -> None:
    rules = """\
-A f2b-asterisk -s 198.51.100.1/32 -j REJECT --reject-with icmp-port-unreachable
-A INPUT -s 198.51.100.2/32 -p udp -m udp --dport 5060 -j DROP
-A INPUT -s 198.51.100.3/32 -p tcp -m tcp --dport 443 -j DROP
-A INPUT -s 198.51.100.4/32 -p icmp -j DROP
-A INPUT -s 0.0.0.0/0 -j DROP
-A INPUT -s 192.0.2.0/24 -j ACCEPT
   12   720 DROP       all  --  *      *       198.51.100.5         0.0.0.0/0
DROP       all  --  198.51.100.6         0.0.0.0/0
    0     0 DROP       tcp  --  *      *       198.51.100.7         0.0.0.0/0            tcp dpt:443
    0     0 DROP       udp  --  *      *       198.51.100.8         0.0.0.0/0            udp dpt:5060
add blacklist 198.51.100.9 timeout 86000
add whitelist 198.51.100.10
1        5   300 DROP       all  --  *      *       198.51.100.11        0.0.0.0/0
DROP       udp  --  198.51.100.12        anywhere             udp dpt:sip
-A INPUT -s 198.51.100.13/32 -p udp -m udp --dport 5000:5100 -j DROP
-A INPUT -s 198.51.100.14/32 -p udp -m udp --dport 6000:6100 -j DROP
[12:720] -A INPUT -s 198.51.100.15/32 -j DROP
                ip saddr 198.51.100.16 udp dport { 5060, 5061 } drop
                ip saddr 198.51.100.17 tcp dport 443 drop
-A INPUT ! -s 198.51.100.18/32 -p udp --dport 5060 -j DROP
"""
    assert _facts("firewall", rules) == [f"198.51.100.{n}" for n in (1, 2, 5, 6, 8, 9, 11, 12, 13, 15, 16)]


def test_connections_to_the_sip_ports() -> None:
    text = """\
tcp    ESTAB      0      0      10.0.0.1:5061               203.0.113.7:51234
tcp    ESTAB      0      0      [::ffff:10.0.0.1]:5061      [::ffff:203.0.113.9]:51236
tcp        0      0 10.0.0.1:5060            203.0.113.8:51235        ESTABLISHED
tcp        0      0 10.0.0.1:443             203.0.113.8:51235        ESTABLISHED
tcp    LISTEN     0      10     *:5061                *:*
udp    UNCONN     0      0      *:5060                *:*
"""
    rows = taken("connections", "netstat-an.txt", text).facts
    assert [(row["name"], row["value"]) for row in rows] == [
        ("TLS", "203.0.113.7 51234"),
        ("TLS", "203.0.113.9 51236"),
        ("TCP", "203.0.113.8 51235"),
    ]


@pytest.mark.parametrize("times", ["", "          0          0"])
def test_task_processors_over_their_high_water_mark(times: str) -> None:
    text = (
        "Processor                              Processed   In Queue  Max Depth  Low water High water\n"
        f"stasis/p:channel:all-00000007                123          0         12        450        500{times}\n"
        f"pjsip/distributor-0000002b                884211        812       1203        450        500{times}\n"
    )
    rows = taken("taskprocessors", "core_taskprocessors.txt", text).facts
    assert [(row["name"], row["value"]) for row in rows] == [("pjsip/distributor", "1203")]


def test_a_proxy_in_front_and_nothing_of_empty_members() -> None:
    assert _facts("kamailio", "Nov 12 03:12:44 pbx kamailio[1]: started") == ["yes"]
    for entry in table("bundle/bundle")["member"]:
        empty = taken(entry["id"], "m", "")
        assert (empty.facts, empty.peers) == ((), ())
    assert not put_together([])
    assert Bundle().setting("qualifyfreq") is None


SECRET_LINES = (
    "secret={s}", "md5secret={s}", "remotesecret = {s}", "password={s}", "authuser={s}", "auth={s}@r", "fromuser={s}",
    "register => u:{s}@h", "register=u:{s}:{s}@h/1", "vmsecret={s}", "callbackextension={s}", "setvar=PIN={s}",
    "qualifyfreq={s}", "maxexpiry=60{s}", "nat=yes,{s}", "externip={s}", "qualify_frequency=60 {s}",
    "full => notice,{s}", "{s} => notice", "tlsprivatekey={s}", "-A {s} -s 198.51.100.1/32 -j DROP -m comment {s}",
    "Time zone: {s} (CEST, +0200)", "asterisk-{s}", "add {s}-black 198.51.100.2 comment {s}",
    "1001/{s} 203.0.113.7 D Yes Yes 5060 OK (1 ms) {s}", "Contact: 101/sip:101:{s}@203.0.113.7:5060 8d5bb1d2 Avail 2.1",
    "{s} 1 600 600 450 500", "psql postgres://u:{s}@h", "Nov 12 03:12:44 {s} kernel: Linux version {s}",
    "tcp ESTAB 0 0 10.0.0.1:5061 {s}:51234", "PRIVATE KEY {s}", "#include {s}", "authorization: Basic {s}",
)  # fmt: skip


def test_no_planted_secret_is_kept() -> None:
    planted = [f"Pl4nted{n:03}" for n in range(len(SECRET_LINES))]
    text = "[general]\n[logfiles]\n" + "\n".join(
        line.format(s=secret) for line, secret in zip(SECRET_LINES, planted, strict=True)
    )
    text += f"\n[1001]\nsecret={planted[0]}\nqualify=yes\n"
    parts = [taken(entry["id"], f"{entry['id']}.txt", text) for entry in table("bundle/bundle")["member"]]
    found = put_together(parts)
    assert found.facts.height > 5
    assert found.peers.height > 1
    kept = f"{found.facts.rows()} {found.peers.rows()} {found.members} {found!r}"
    assert [secret for secret in planted if secret in kept] == []


def test_hostile_and_huge_members_are_bounded() -> None:
    lines = [
        "[" * 5000,
        "[a](" + "b," * 3000 + ")",
        ("x" * 200 + " ") * 50,
        "\0\ufffd\u202e",
        "(a+)+" * 300,
        " " * 9000,
    ]
    lines += ["-A " + "-s 1.2.3.4 " * 500, "Contact: " + "/" * 2000, "D " * 4000, "Time zone: " + "A/" * 3000 + " ("]
    text = "\n".join(lines) * 20
    for entry in table("bundle/bundle")["member"]:
        taken(entry["id"], "m", text)
    many = "[a]\nqualify=yes\n" * (members.MEMBER_BYTES // 8)
    assert len(many) > members.MEMBER_BYTES
    part = taken("sip_conf", "sip.conf", many)
    assert part.configuration is not None
    assert len(part.configuration.entries) <= members.MEMBER_BYTES // 16
    assert put_together([part]).setting("qualify") is not None
