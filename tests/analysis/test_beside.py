"""A whole support bundle: settings with their source, who is out of the verdict, blocks proven, nothing leaked."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import router_logs

import starface_nb as sf
from starface_nb import guide
from starface_nb.analysis.beside import renew_later, settings_from, unwatched
from starface_nb.cases import open_case
from starface_nb.guide.answers import answers_from_log
from starface_nb.privacy.anonymise import anonymise
from starface_nb.report import render
from starface_nb.report.pack import pack
from starface_nb.report.page import write_report
from starface_nb.settings import Settings
from starface_nb.verdict import json_text, summary
from tests.analysis.recorded import Writer

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
RUNS = ("lines-and-addresses", "pjsip-mixed")
ADDRESS = {"lines-and-addresses": "203.0.113.219", "pjsip-mixed": "203.0.113.142"}
PHONES = {"lines-and-addresses": "219101.gigasetn510", "pjsip-mixed": "142101.yealinkt54w"}
HOSTILE = "9004<b>x<!--"
SECRETS = [f"Pl4nted{n:02}" for n in range(24)]
Members = dict[str, str | bytes]


def peers_of(run: str, secret: str, *, old: bool = False) -> Members:
    """Return the lists of peers as the run's driver writes them; `old` in the wording of Asterisk 1.8 or 12."""
    at, phone = ADDRESS[run], PHONES[run]
    if run == "pjsip-mixed":
        mark = "" if old else "8d5bb1d2c3 "
        rows = [
            "  Contact:  <Aor/ContactUri............................> <Hash....> <Status> <RTT(ms)..>",
            f"  Contact:  9001.snomd345/sip:9001.snomd345@{at}:5060   {mark}Avail        31.504",
            f"  Contact:  {phone}/sip:{phone}@{at}:6001;x={secret}  {mark}Unavail         nan",
            f"  Contact:  9003.fax/sip:9003.fax@203.0.113.99:5060   {mark}{'Unknown' if old else 'NonQual'}       nan",
            f"  Contact:  {HOSTILE}/sip:x@{at}:5061                   {mark}Avail        31.504",
            " Endpoint:  9002.snomd345/9002.snomd345                   Unavailable   0 of inf",
        ]
        return {"asterisk/contacts.txt": "\n".join(rows) + "\n"}
    yes = " N " if old else "Yes        Yes"
    rows = [
        f"Name/username             Host            Dyn {'Nat' if old else 'Forcerport Comedia'}  ACL Port     Status",
        f"9001.snomd345/9001.snomd  {at}   D  {yes}        5060     OK (31 ms)  {secret}",
        f"9002.snomd345/9002.snomd  (Unspecified)    D  {yes}        0        UNKNOWN",
        f"{phone}/219101 {at}   D  {yes}        6001     UNREACHABLE",
        f"9003.fax/9003.fax         203.0.113.99     D  {yes}        5060     Unmonitored",
        f"{HOSTILE}/9004            {at}   D  {yes}        5061     OK (31 ms)",
        f"trunk/u                   198.51.100.1        {yes}        5060     OK (9 ms)",
    ]
    return {"asterisk/peers.txt": "\n".join(rows) + "\n"}


def members(run: str) -> Members:
    """Return a bundle with every member, secrets in each of them."""
    s = iter(SECRETS)
    at = ADDRESS[run]
    faults = [router_logs.Fault(*one, restart=False, address=at) for one in ROUTER_FAULTS]
    return {
        "var/log/asterisk/full": (RECORDED / run / "pbx.log").read_bytes(),
        "var/log/messages": f"Mar  4 05:00:01 pbx kernel: Linux version 4.18.0\nMar  4 05:00:02 pbx sshd: {next(s)}\n",
        "var/log/kamailio.log": f"Mar  4 05:00:01 pbx kamailio[1]: {next(s)}\n",
        "var/log/starface/support.log": f"[2026-03-04 05:00:01,700] [0001] {next(s)}\n",
        **peers_of(run, next(s)),
        "asterisk/core_taskprocessors.txt": f"pjsip/distributor-2b 9 0 1203 450 500\n{next(s)} 9 0 1203 450 500\n",
        "etc/asterisk/sip.conf": (
            "[general]\nqualifyfreq=60\nqualify=2000\nmaxexpiry=1800\n"
            f"register => u:{next(s)}@h/1\n#include sip_x.conf\n"
            f"[9001.snomd345]\nsecret={next(s)}\nmd5secret={next(s)}\nremotesecret={next(s)}\n"
        ),
        "etc/asterisk/sip_x.conf": f"nat=force_rport,comedia\nauth={next(s)}:{next(s)}@r\n",
        "etc/asterisk/pjsip.conf": (
            f"[a]\ntype=auth\npassword={next(s)}\n[b]\ntype=aor\n"
            "qualify_frequency=60\nqualify_timeout=3.0\nmaximum_expiration=1800\n"
        ),
        "etc/asterisk/logger.conf": "[logfiles]\nfull => notice,warning,error\n",
        "systeminfo.txt": f"Time zone: Europe/Vienna (CET, +0100)\nSystem clock synchronized: no\nps {next(s)}\n",
        "asteriskinfo.txt": f"### Asterisk core show sysinfo\n{next(s)}\n",
        "rpm_qa.txt": f"asterisk-16.30.0-1.x86_64\nstarface-pbx-8.1.0.2-1.x86_64\n{next(s)}-1.0\n",
        "appliance/os/net/iptables-current.txt": f"-A f2b -s {at}/32 -m comment {next(s)} -j REJECT\n",
        "appliance/os/net/netstat-an.txt": f"tcp ESTAB 0 0 10.0.0.1:5061 {at}:6001\ntcp ESTAB {next(s)}\n",
        "kunde/Ereignisse der Box": router_logs.fritzbox(faults).replace("geraet-1,", f"{next(s)},"),
    }


ROUTER_FAULTS = [
    (datetime(2026, 6, 23, 21, 50, 9), datetime(2026, 6, 23, 22, 2, 9)),
    (datetime(2026, 6, 24, 4, 0, 8), datetime(2026, 6, 24, 4, 0, 39)),
]
# The same in the wording of other versions of Asterisk, systemd, iptables and syslog.
OTHER_WORDING = {
    "systeminfo.txt": "       Timezone: Europe/Vienna (CET, +0100)\n     NTP synchronized: no\n",
    "asteriskinfo.txt": "  Asterisk version:            16.30.0\n",
    "appliance/os/net/iptables-current.txt": "    0     0 DROP       all  --  *      *       {at}         0.0.0.0/0\n",
    "appliance/os/net/netstat-an.txt": "tcp        0      0 10.0.0.1:5061            {at}:6001        ESTABLISHED\n",
    "asterisk/core_taskprocessors.txt": "pjsip/distributor-0000002b    884211    812    1203    450    500    0    0\n",
    "etc/asterisk/sip.conf": "[general]\nqualifyfreq = 60 ; s\nqualify => 2000\nmaxexpirey=1800\n",
    "var/log/messages": "2026-03-04T05:00:01.123+01:00 pbx kernel: Linux version 4.18.0\n",
}


def zipped(path: Path, content: Mapping[str, str | bytes]) -> Path:
    """Write a zip with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bundle(run: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zipped(tmp_path_factory.mktemp("bundle") / "debuginfo-1.zip", members(run))


@pytest.fixture(scope="module")
def case(bundle: Path) -> sf.Diagnosis:
    return sf.diagnose(sf.read_log(bundle, progress=False))


def test_settings_replace_assumptions_each_with_its_source(case: sf.Diagnosis, run: str) -> None:
    found = {
        name: (getattr(case.settings, name), fact.source.rpartition("!")[2]) for name, fact in case.sources.items()
    }
    pjsip = run == "pjsip-mixed"
    name, line = ("pjsip.conf", 6) if pjsip else ("sip.conf", 2)
    assert found == {
        "probe_interval_s": (60.0, f"etc/asterisk/{name}:{line}"),
        "probe_timeout_s": (3.0 if pjsip else 4.0, f"etc/asterisk/{name}:{line + 1}"),
        **({"probe_retry_s": (60.0, f"etc/asterisk/{name}:{line}")} if pjsip else {}),
    }
    # The file's limit of 30 minutes is not what these phones do.
    assert case.settings.keepalive_s == 3600.0
    (told,) = [finding for finding in case.findings if finding.id == "expiry_contradicted"]
    assert told.values["source"] == f"etc/asterisk/{name}:{line + 2}"
    assert "keepalive_contradicted" not in {finding.id for finding in case.findings}
    assert case.log.time_zone == "Europe/Vienna"
    assert any("Europe/Vienna" in note and "systeminfo.txt:1" in note for note in case.log.notes)
    told = json.loads(json_text(case))["bundle"]
    assert {entry["setting"] for entry in told["settings"]} == set(found)
    assert all(entry["source"] for entry in [*told["settings"], *told["facts"]])
    assert {"starface", "asterisk"} <= {fact["name"] for fact in told["facts"]}


def test_an_expiry_shortens_the_keepalive_unless_the_phones_renew_later(case: sf.Diagnosis) -> None:
    settings, sources, _ = settings_from(case.log, Settings())
    assert settings.keepalive_s == 1800.0
    assert sources["keepalive_s"].source in ("etc/asterisk/sip.conf:4", "etc/asterisk/pjsip.conf:8")
    phones = pl.DataFrame({"trunk": [False, False, True], "period_s": [3600.0, 3600.0, 60.0]})
    assert renew_later(phones, settings) == 3600.0
    assert renew_later(phones, Settings()) is None
    assert renew_later(phones.with_columns(period_s=pl.lit(None, pl.Float64)), settings) is None


@pytest.mark.parametrize(("every", "limit"), [(45, 3000), (20, 2000)])
def test_what_the_log_refutes_is_not_believed_and_both_are_named(
    every: int, limit: int, run: str, tmp_path: Path
) -> None:
    content = members(run)
    name = f"etc/asterisk/{'pjsip' if run == 'pjsip-mixed' else 'sip'}.conf"
    said = str(content[name])
    content[name] = said.replace("=60\n", f"={every}\n").replace("qualify=2000", f"qualify={limit}")
    case = sf.diagnose(sf.read_log(zipped(tmp_path / "b.zip", content), progress=False))
    assert case.settings.probe_interval_s == 60.0
    told = {str(f.values["setting"]): f for f in case.findings if f.id == "setting_refuted"}
    wrong = {"probe_interval_s": (float(every), 60.0)}
    if limit != 2000 and run != "pjsip-mixed":  # PJSIP's lines do not name their limit
        wrong["probe_timeout_s"] = (2 * limit / 1000, 4.0)
    assert {name: (f.values["given_s"], f.values["measured_s"]) for name, f in told.items()} == wrong
    assert not set(case.sources) & set(wrong)
    for language in guide.LANGUAGES:
        for finding in told.values():
            text = guide.finding_text(finding, guide.translator(language))
            assert "sip.conf:" in text
            assert "full:" in text


@pytest.mark.parametrize("every", [30, 90, 120])
@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_another_probe_interval_is_believed_where_the_log_shows_it(every: int, tech: str, tmp_path: Path) -> None:
    path, conf = tmp_path / "full", "sip.conf" if tech == "SIP" else "pjsip.conf"
    path.write_text("\n".join(_probed(every, tech)) + "\n", "utf-8")
    key = "qualifyfreq" if tech == "SIP" else "qualify_frequency"
    for told, refuted in ((every, False), (60, True), (40, True)):
        (tmp_path / conf).write_text(f"[general]\n{key}={told}\n", "utf-8")
        log = sf.read_log(path, progress=False)
        settings, sources, findings = settings_from(log, Settings())
        assert settings.probe_interval_s == every
        assert bool(findings) == refuted == ("probe_interval_s" not in sources)
    (tmp_path / conf).unlink()
    settings, sources, (told_so,) = settings_from(sf.read_log(path, progress=False), Settings())
    assert (settings.probe_interval_s, sources) == (every, {})
    for language in guide.LANGUAGES:
        text = guide.finding_text(told_so, guide.translator(language))
        assert "full:" in text
        assert "{" not in text
    given = Settings().with_asked(probe_interval_s=60.0)
    assert settings_from(sf.read_log(path, progress=False), given) == (given, {}, [])


def test_losses_at_one_moment_sooner_than_a_probe_can_come_show_the_interval(tmp_path: Path) -> None:
    """Probes come every 30 s, and each entry is dead at the first of them."""
    log = Writer([])
    for turn in range(60):
        log.registered(1800 * turn, "7201.vvx411", 20_000 + turn)
        log.reachable(1800 * turn, "7201.vvx411")
        log.lost(1800 * turn + 34, "7201.vvx411")
    case = log.case(tmp_path)
    assert case.settings.probe_interval_s == 30
    assert case.sites["verdict"].to_list() == ["too_short"]


@pytest.mark.parametrize(("every", "new_contact"), [(120, False), (60, False), (120, True)])
def test_over_pjsip_answers_come_back_on_the_grid_of_probes(every: int, new_contact: bool, tmp_path: Path) -> None:
    """Phones are lost hours apart, for one to nine probes; a new contact is probed at once, whenever that is."""
    log, phone, uri = Writer([]), "7301.snomd345", "sip:7301.snomd345@203.0.113.9:5060"
    contact, probing = f"Contact {phone}/{uri} is now", ("VERBOSE", "res_pjsip/pjsip_options.c")
    for turn in range(36):
        lost, back = 7_300.0 * turn, 7_300.0 * turn + (1 + turn % 9) * every - 3
        log.at(lost, f"{contact} Unreachable.  RTT: 0.000 msec", *probing)
        if new_contact:
            back -= 7 * turn % every
            added = f"Added contact '{uri}' to AOR '{phone}' with expiration of 3600 seconds"
            log.at(back, added, "VERBOSE", "res_pjsip_registrar.c")
        log.at(back, f"{contact} Reachable.  RTT: 9.000 msec", *probing)
    assert log.case(tmp_path).settings.probe_interval_s == (60 if new_contact else every)


def _probed(every: int, tech: str) -> list[str]:
    """Return the lines of phones that are lost at whole probe intervals."""
    told, wait = [(0.0, "NOTICE[1] pbx.c: x")], 4 if tech == "SIP" else 3
    for n in range(40):
        at, probes = 7_300.0 * (n // 4) + 100 * (n % 4), 3 + 7 * n % 27
        names = ("Peer '{}' is now {}", "UNREACHABLE!  Last qualify: 20", "Reachable. (20ms / 2000ms)")
        if tech == "PJSIP":
            names = ("Contact {0}/sip:{0}@203.0.113.9:5060 is now {1}.  RTT: 20.0 msec", "Unreachable", "Reachable")
        form, lost, found = names
        module = "NOTICE[1] chan_sip.c: " if tech == "SIP" else "VERBOSE[1] res_pjsip/pjsip_options.c: "
        phone = f"10{n % 4}.snomd345"
        told.append((at, module + form.format(phone, found)))
        told.append((at + probes * every + wait, module + form.format(phone, lost)))
    begin = datetime(2026, 6, 1)
    return [f"[{begin + timedelta(seconds=at):%Y-%m-%d %H:%M:%S}] {text}" for at, text in sorted(told)]


def test_what_the_user_gave_stays(case: sf.Diagnosis) -> None:
    given = Settings(keepalive_s=900.0, probe_interval_s=50.0)
    settings, sources, _ = settings_from(case.log, given)
    assert (settings.keepalive_s, settings.probe_interval_s) == (900.0, 50.0)
    assert set(sources) - {"probe_retry_s"} == {"probe_timeout_s"}


def test_a_default_that_the_user_gave_stays_as_well(bundle: Path, case: sf.Diagnosis, tmp_path: Path) -> None:
    default = Settings()
    settings, sources, _ = settings_from(case.log, default.with_asked(keepalive_s=3600.0, probe_interval_s=60.0))
    assert (settings.keepalive_s, settings.probe_interval_s) == (3600.0, 60.0)
    assert not {"keepalive_s", "probe_interval_s"} & set(sources)
    assert settings.asked == ("keepalive_s", "probe_interval_s")
    log = sf.read_log(bundle, progress=False, time_zone="Europe/Berlin")
    assert log.time_zone == "Europe/Berlin"
    assert any("Europe/Vienna" in note and "as asked" in note for note in log.notes)
    opened = open_case(bundle, folder=tmp_path / "case")
    assert (opened.log.time_zone, opened.settings.asked) == ("Europe/Vienna", ())
    asked = open_case(bundle, folder=tmp_path / "case", time_zone="Europe/Berlin", keepalive_minutes=60)
    again = open_case(None, folder=tmp_path / "case")
    for one in (asked, again):
        assert (one.log.time_zone, one.settings.asked) == ("Europe/Berlin", ("keepalive_s",))


def test_findings_of_the_bundle(case: sf.Diagnosis, run: str) -> None:
    found = {finding.id: dict(finding.values) for finding in case.findings}
    silent = ["9001.snomd345", *(["9002.snomd345"] if run != "pjsip-mixed" else []), HOSTILE]
    assert set(silent) <= set(found["phones_without_line"]["peers"])  # type: ignore[call-overload]
    assert found["phones_unmonitored"]["peers"] == ["9003.fax"]
    assert str(found["block_proven"]["site"]) == ADDRESS[run]
    assert str(found["block_proven"]["source"]).endswith("iptables-current.txt:1")
    assert str(found["log_levels"]["missing"]) == "VERBOSE"
    assert {"pbx_trouble", "clock_off", "proxy_in_front", "router_log"} <= set(found)
    for language in guide.LANGUAGES:
        for finding in case.findings:
            assert "{" not in guide.finding_text(finding, guide.translator(language))


def test_step_two_has_the_state_of_every_listed_phone(case: sf.Diagnosis, run: str) -> None:
    told = answers_from_log(case, guide.translator("en"))["status"]
    name = "contacts.txt" if run == "pjsip-mixed" else "peers.txt"
    assert all(words in told.text for words in (name, "9002.snomd345", PHONES[run], "9003.fax"))
    assert told.refs


@pytest.mark.parametrize("told_by", ["peers", "sip.conf"])
def test_an_unmonitored_phone_is_listed_and_out_of_the_verdict(told_by: str, tmp_path: Path) -> None:
    """A phone that registers and is never probed looks like one whose binding never dies."""
    content = members(RUNS[0])
    if told_by == "sip.conf":
        content = {"var/log/asterisk/full": content["var/log/asterisk/full"], told_by: "[9003.fax]\nqualify=no\n"}
    log = bytes(content["var/log/asterisk/full"])  # type: ignore[arg-type]
    line = b"[2026-06-24 02:00:00] VERBOSE[1] chan_sip.c: Registered SIP '9003.fax' at 203.0.113.219:7001\n"
    at = log.index(b"[2026-06-24 02:0")
    content["var/log/asterisk/full"] = log[:at] + line + log[at:]
    case = sf.diagnose(sf.read_log(zipped(tmp_path / "b.zip", content), progress=False))
    assert unwatched(case.log) == ["9003.fax"]
    assert case.phones.filter(peer="9003.fax")["status"].to_list() == ["unknown"]
    assert case.cycles.filter(peer="9003.fax").is_empty()


def test_other_versions_say_the_same(run: str, case: sf.Diagnosis, tmp_path: Path) -> None:
    other = {name: text.format(at=ADDRESS[run]) for name, text in OTHER_WORDING.items()}
    content = {**members(run), **other, **peers_of(run, "", old=True)}
    log = sf.read_log(zipped(tmp_path / "b.zip", content), progress=False)
    shown = ["peer", "address", "port", "status", "rtt_ms", "monitored"]
    wanted = case.log.bundle.peers.select(shown)
    if run == "pjsip-mixed":  # an old list does not tell an unmonitored contact from an unknown one
        wanted = wanted.filter(pl.col("peer") != "9003.fax")
    assert log.bundle.peers.select(shown).filter(pl.col("peer").is_in(wanted["peer"].implode())).equals(wanted)
    assert log.time_zone == case.log.time_zone == "Europe/Vienna"
    for fact in ("blocked", "connection", "overload", "clock"):
        assert {one.value for one in log.bundle.values(fact)} == {one.value for one in case.log.bundle.values(fact)}
    for name in ("qualifyfreq", "qualify", "maxexpiry"):
        one, same = log.bundle.setting(name), case.log.bundle.setting(name)
        assert one is not None
        assert same is not None
        assert one.value == same.value


def test_pjsip_settings_and_contacts(tmp_path: Path) -> None:
    content = {
        "var/log/asterisk/full": (RECORDED / "pjsip-clean" / "pbx.log").read_bytes(),
        "etc/asterisk/pjsip.conf": "[a](!)\ntype=aor\nqualify_frequency=50\nqualify_timeout=2.5\n[1](a)\n[2](a)\n",
        "contacts.txt": "  Contact:  9009/sip:9009@203.0.113.111:5060   8d5bb1d2c3 NonQual   nan\n",
    }
    case = sf.diagnose(sf.read_log(zipped(tmp_path / "b.zip", content), progress=False))
    settings = case.settings
    assert (settings.probe_interval_s, settings.probe_retry_s, settings.probe_timeout_s) == (50.0, 50.0, 2.5)
    assert [f.values["peers"] for f in case.findings if f.id == "phones_unmonitored"] == [["9009"]]


def test_a_list_of_peers_beside_a_log_or_named_with_it_is_taken(tmp_path: Path) -> None:
    content = members(RUNS[0])
    log, peers = tmp_path / "a" / "customer.log", tmp_path / "b" / "pasted.txt"
    for path, name in ((log, "var/log/asterisk/full"), (peers, "asterisk/peers.txt")):
        path.parent.mkdir()
        path.write_bytes(content[name] if isinstance(content[name], bytes) else str(content[name]).encode())
    assert not sf.read_log(log, progress=False).bundle
    assert sf.read_log([log, peers], progress=False).bundle.peers.height == 6
    (log.parent / "peers.txt").write_bytes(peers.read_bytes())
    assert sf.read_log(log, progress=False).bundle.peers.height == 6
    with pytest.raises(sf.errors.InputError, match="only what lies beside one"):
        sf.read_log(peers, progress=False)


MEMBERS = sorted({name for one in RUNS for name in members(one) if "full" not in name})


@pytest.mark.parametrize(
    ("name", "run"), [(name, next(run for run in RUNS if name in members(run))) for name in MEMBERS]
)
def test_members_may_be_missing_empty_or_garbage(name: str, run: str, tmp_path: Path) -> None:
    content = members(run)
    log = bytes(content["var/log/asterisk/full"])[:20_000]  # type: ignore[arg-type]
    for n, data in enumerate((None, b"", b"\xff\xfe\0" * 999, b"[" * 9_999 + b"\n" + b"a=b\n" * 99_999)):
        mine = {**content, "var/log/asterisk/full": log, name: data}
        path = zipped(tmp_path / f"{n}.zip", {key: value for key, value in mine.items() if value is not None})
        assert sf.read_log(path, progress=False).events.height
    assert json_text(sf.diagnose(sf.read_log(path, progress=False)))


def test_a_log_without_any_member_is_judged_by_the_assumptions(run: str, tmp_path: Path) -> None:
    name = "var/log/asterisk/full"
    case = sf.diagnose(sf.read_log(zipped(tmp_path / "b.zip", {name: members(run)[name]}), progress=False))
    assert case.sources == {}
    assert case.settings.probe_interval_s == 60.0
    assert json.loads(json_text(case))["bundle"] is None


@pytest.mark.parametrize(("which", "run"), [("peers", RUNS[0]), ("peers", RUNS[1]), ("router", RUNS[0])])
def test_a_member_of_two_hundred_megabytes_is_bounded(which: str, run: str, tmp_path: Path) -> None:
    content = members(run)
    if which == "router":
        name = "kunde/Ereignisse der Box"
        block = str(content[name])
    else:
        (name,) = peers_of(run, "")
        row = str(content[name]).splitlines()[1]
        block = "".join(row.replace("9001", f"{n:05}") + "\n" for n in range(20_000))
    content[name] = block * (200_000_000 // len(block))
    log = sf.read_log(zipped(tmp_path / "b.zip", content), progress=False)
    assert log.events.height
    if which == "router":
        assert 0 < log.bundle.router.height <= 5_002
    else:
        assert 10_000 < log.bundle.peers.height <= 20_010


def test_no_secret_of_a_bundle_leaves_it(bundle: Path, case: sf.Diagnosis, run: str, tmp_path: Path) -> None:
    planted = [secret for secret in SECRETS if any(secret in f"{data!r}" for data in members(run).values())]
    assert len(planted) >= 18
    kept = [json_text(case), summary(case), repr(case.log), f"{case.log.bundle.facts.rows()}"]
    kept += [render(case, language=language, mask=language == "de") for language in guide.LANGUAGES]
    kept += list(pack(case).values())
    done = anonymise([bundle], tmp_path / "out.log", key=b"k" * 32)
    assert done.beside == len(case.log.bundle.members)
    kept.append((tmp_path / "out.log").read_text("utf-8"))
    opened = open_case(bundle, folder=tmp_path / "case")
    assert opened.diagnosis.log.bundle.peers.height == case.log.bundle.peers.height
    write_report(opened, "de")
    for path in (tmp_path / "case").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            kept.append(data.decode("latin-1"))
            kept += _frames(data)
    text = "\n".join(kept)
    assert [secret for secret in planted if secret in text] == []
    assert "9001.snomd345" in text


def test_a_hostile_name_is_shown_and_never_markup(case: sf.Diagnosis) -> None:
    page = render(case, language="en")
    assert "<b>x<!--" not in page
    assert HOSTILE in case.log.bundle.peers["peer"].to_list()


def test_a_masked_report_names_no_listed_phone(case: sf.Diagnosis) -> None:
    page = render(case, language="de", mask=True)
    assert not [name for name in ("9001.snomd345", "9002.snomd345", "9003.fax", *PHONES.values()) if name in page]


def _frames(data: bytes) -> list[str]:
    """Return the rows of the frames in a file of the cache, which are compressed there."""
    rows = []
    while (start := data.find(b"PAR1")) >= 0:
        end = data.find(b"PAR1", start + 4)
        rows.append(f"{pl.read_parquet(io.BytesIO(data[start : end + 4])).rows()}")
        data = data[end + 4 :]
    return rows


@pytest.mark.parametrize(("limit", "low"), [(500, 540), (2000, 540), (5000, 540)])
def test_how_long_a_probe_waits_is_read_off_the_log_itself(limit: int, low: int, tmp_path: Path) -> None:
    """Each line of chan_sip names the limit; an unanswered probe is given up after twice that."""
    log = Writer([])
    for number in range(3):
        for turn in range(12):
            back = 700.0 * number + 3600 * turn
            log.registered(back, f"7{number}.snomd345", 20_000 + 100 * number + turn)
            log.reachable(back, f"7{number}.snomd345")
            log.lost(back + 600 + 2 * limit / 1000, f"7{number}.snomd345")
    log.lines = [line.replace("/ 2000ms", f"/ {limit}ms") for line in log.lines]
    case = log.case(tmp_path)
    (row,) = case.sites.rows(named=True)
    assert case.settings.probe_timeout_s == 2 * limit / 1000
    assert "setting_refuted" not in [finding.id for finding in case.findings]
    assert row["verdict"] == "too_short"
    assert low - 3 < row["low_s"] < row["high_s"] < low + 64
