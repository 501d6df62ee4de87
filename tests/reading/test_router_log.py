"""A router's own log: known by its content, read in every form, dated right, and nothing else kept of it."""

from __future__ import annotations

import io
import random
import sys
import tarfile
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import starface_nb as sf
from starface_nb.bundle import router
from starface_nb.bundle.members import sniffed
from starface_nb.sources.named import as_router_log
from starface_nb.tables import table

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
import router_logs

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
LOG = RECORDED / "lines-and-addresses" / "pbx.log"
FAULTS = router_logs.faults(LOG.with_name("truth.json"))
EDGES = ("begin", "end")


def told(text: str) -> list[dict[str, object]]:
    """Return the events of a text."""
    return [row for row in router.rows_of("m", text) if row["kind"] not in EDGES]


def test_every_sample_is_read_and_makes_a_router_log_where_it_says_so() -> None:
    for event in table("bundle/router")["event"]:
        assert event["source"]
        assert event["kind"] in router.KINDS
        for line, kind, address in event["samples"]:
            assert [(row["kind"], row["address"] or "") for row in told(f"{line}\r\n")] == [(kind, address)]
            assert router.is_router_log(line) == event.get("tells", False)
            assert any(needle in line for needle in table("bundle/router")["needles"])


@pytest.mark.parametrize("form", router_logs.FORMS)
def test_each_form_is_known_by_its_content_and_tells_every_outage(form: str) -> None:
    for found in FAULTS.values():
        text = router_logs.FORMS[form](found)
        assert sniffed(text[: 64 << 10]) == "router"
        events = told(text)
        assert [row["kind"] for row in events].count("line_up") >= len(found)
        restarts = [row["stamp"] for row in events if row["kind"] == "restart"]
        wanted = [one.end for one in found if one.restart]
        assert len(restarts) == len(wanted)
        zone = timedelta(hours=2) if form.startswith(("openwrt", "opnsense")) else timedelta()
        for stamp, end in zip(sorted(restarts), wanted, strict=True):
            assert abs(stamp.replace(year=end.year) + zone - end) <= timedelta(minutes=4)


def test_the_logs_of_a_pbx_are_none_of_a_router() -> None:
    for path in RECORDED.glob("*/pbx*.log"):
        assert not router.is_router_log(path.read_text("utf-8"))
    syslog = (
        "Mar  4 05:00:01 pbx kernel: [    0.000000] Linux version 4\nMar  4 05:00:02 pbx kernel: eth0 Link is Down\n"
    )
    assert not router.is_router_log(syslog)
    mixed = "Mar  4 05:00:01 pbx pppd[1]: Modem hangup\nMar  4 05:00:02 pbx asterisk[9]: NOTICE[12]: chan_sip.c: x\n"
    assert not router.is_router_log(mixed)


def test_a_clock_that_was_not_set_yet_is_dated_back_from_the_first_line_behind_it() -> None:
    text = (
        "02.03.26 08:00:00 Die Systemzeit wurde erfolgreich aktualisiert von Zeitserver 192.0.2.7.\n"
        "01.01.70 01:01:30 Internetverbindung wurde erfolgreich hergestellt. IP-Adresse: 203.0.113.9\n"
        "01.01.70 01:00:30 DSL-Synchronisierung beginnt (Training).\n"
        "02.03.26 07:50:00 WLAN-Gerät angemeldet: x\n"
    )
    assert [(row["kind"], row["stamp"]) for row in told(text)] == [
        ("restart", datetime(2026, 3, 2, 7, 59)),
        ("line_up", datetime(2026, 3, 2, 8, 0)),
    ]
    stale = (
        "Mon Mar  2 07:50:00 2026 cron.info crond[1]: x\n"
        "Sun Mar  1 03:00:00 2026 kern.notice kernel: [    0.000000] Linux version 5.15\n"
        "Sun Mar  1 03:00:40 2026 daemon.info procd: - init complete -\n"
        "Mon Mar  2 08:00:00 2026 daemon.notice netifd: Interface 'wan' is now up\n"
    )
    assert [(row["kind"], row["stamp"]) for row in told(stale)] == [
        ("restart", datetime(2026, 3, 2, 7, 59, 20)),
        ("line_up", datetime(2026, 3, 2, 8, 0)),
    ]


def test_what_routeros_prints_of_today_has_no_date() -> None:
    text = (
        "mar/01/2026 23:10:00 system,info,account user admin logged in\n"
        "mar/01/2026 23:50:12 pppoe,ppp,info pppoe-out1: terminating... - peer is not responding\n"
        "00:00:52 pppoe,ppp,info pppoe-out1: connected\n"
        "03:01:00 system,info router rebooted\n"
    )
    assert [(row["kind"], row["stamp"]) for row in told(text)] == [
        ("line_down", datetime(2026, 3, 1, 23, 50, 12)),
        ("line_up", datetime(2026, 3, 2, 0, 0, 52)),
        ("restart", datetime(2026, 3, 2, 3, 1)),
    ]
    assert told(text.split("\n", 2)[2]) == []  # of which day, nothing tells


def test_stamps_without_a_year_go_on_over_new_year() -> None:
    lines = [
        f"{stamp} gw pppd[1]: {text}"
        for stamp, text in (
            ("Dec 31 23:59:50", "Modem hangup"),
            ("Jan  1 00:00:20", "local  IP address 203.0.113.9"),
            ("Jan  2 04:00:00", "Modem hangup"),
        )
    ]
    for text in ("\n".join(lines), "\n".join(reversed(lines))):
        stamps = [row["stamp"] for row in told(text)]
        assert stamps == sorted(stamps)  # type: ignore[type-var]
        assert stamps[1] - stamps[0] == timedelta(seconds=30) + timedelta(days=365 * 3)  # type: ignore[operator]  four years each


def test_nothing_but_time_kind_and_address_is_kept_and_anything_is_survived() -> None:
    mark = "Pl4nted"
    text = router_logs.fritzbox(FAULTS["reconnect"]).replace("WLAN-Gerät", f"WLAN-Gerät {mark}")
    text += f"02.03.26 08:00:00 Internetverbindung wurde getrennt. {mark}\n{mark} 02.03.26\n"
    assert mark not in f"{router.rows_of('m', text)}"
    chance = random.Random(7)  # noqa: S311
    for _ in range(60):
        lines = text.splitlines()
        for _ in range(chance.randrange(1, 30)):
            at = chance.randrange(len(lines))
            lines[at] = chance.choice(
                ["", "\0" * 99, lines[at] * 50, lines[at][chance.randrange(9) :], "99.99.99 99:99:99 x", "(" * 9999]
            )
        assert router.rows_of("m", "\n".join(lines)) is not None
    turns = [f"2026-03-01 04:00:{n:02} pppoe,info pppoe-out1: {('dis' * (n % 2))}connected" for n in range(60)]
    assert len(router.rows_of("m", "\n".join(turns * 300))) <= 5_002


def _zip(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("log_name", ["var/log/asterisk/full", "customer.log"])
@pytest.mark.parametrize("name", ["Ereignisse.txt", "fritzbox.log", "von-der-firewall", "anything"])
def test_a_member_of_any_name_is_known_by_its_content(name: str, log_name: str, tmp_path: Path) -> None:
    content = {log_name: LOG.read_bytes(), name: router_logs.fritzbox(FAULTS["reconnect"]).encode()}
    places = [_zip(tmp_path / "a.zip", content), _tar(tmp_path / "b.tar.gz", content), tmp_path / "c"]
    for member, data in content.items():
        path = places[2] / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for place in places:
        log = sf.read_log(place, progress=False)
        assert log.bundle.router.height > 6, place
        assert log.events.height > 1_000


def test_a_router_log_beside_a_log_or_named_with_it_is_read_once_and_alone_it_is_no_log(tmp_path: Path) -> None:
    log, other = tmp_path / "customer.log", tmp_path / "fritzbox.txt"
    log.write_bytes(LOG.read_bytes())
    other.write_text(router_logs.fritzbox(FAULTS["reconnect"]), "utf-8")
    beside, both = sf.read_log(log, progress=False), sf.read_log([log, other], progress=False)
    assert beside.bundle.router.height == both.bundle.router.height > 6
    with pytest.raises(sf.errors.InputError, match="only what lies beside one"):
        sf.read_log(other, progress=False)
    assert as_router_log(str(other)) == str(other)
    with pytest.raises(sf.errors.InputError, match="no line of it tells"):
        as_router_log(str(log))
    with pytest.raises(sf.errors.InputError, match="no such file"):
        as_router_log(str(tmp_path / "none.txt"))
