"""A whole support bundle: settings with their source, who is out of the verdict, blocks proven, nothing leaked."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import guide
from starface_nb.analysis.beside import renew_later, settings_from, unwatched
from starface_nb.cases import open_case
from starface_nb.guide.answers import answers_from_log
from starface_nb.privacy.anonymise import anonymise
from starface_nb.report import render
from starface_nb.settings import Settings
from starface_nb.verdict import json_text, summary

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
SECRETS = [f"Pl4nted{n:02}" for n in range(14)]
Members = dict[str, str | bytes]


def members(run: str) -> Members:
    """Return a bundle with every member, secrets in each of them."""
    s = iter(SECRETS)
    rows = [
        "Name/username             Host            Dyn Forcerport Comedia    ACL Port     Status      Description",
        f"9001.snomd345/9001.snomd  203.0.113.21     D  Yes        Yes            5060     OK (31 ms)  {next(s)}",
        "9002.snomd345/9002.snomd  (Unspecified)    D  Yes        Yes            0        UNKNOWN",
        "21101.gigasetn510/21101.g 203.0.113.21     D  Yes        Yes            6001     UNREACHABLE",
        "9003.fax/9003.fax         203.0.113.22     D  Yes        Yes            5060     Unmonitored",
        "trunk/u                   198.51.100.1        Yes        Yes            5060     OK (9 ms)",
    ]
    return {
        "var/log/asterisk/full": (RECORDED / run / "pbx.log").read_bytes(),
        "var/log/messages": f"Mar  4 05:00:01 pbx kernel: Linux version 4.18.0\nMar  4 05:00:02 pbx sshd: {next(s)}\n",
        "var/log/kamailio.log": f"Mar  4 05:00:01 pbx kamailio[1]: {next(s)}\n",
        "var/log/starface/support.log": f"[2026-03-04 05:00:01,700] [0001] {next(s)}\n",
        "asterisk/peers.txt": "\n".join(rows) + "\n",
        "asterisk/core_taskprocessors.txt": f"pjsip/distributor-2b 9 0 1203 450 500\n{next(s)} 9 0 1203 450 500\n",
        "etc/asterisk/sip.conf": (
            "[general]\nqualifyfreq=45\nqualify=3000\nmaxexpiry=1800\n"
            f"register => u:{next(s)}@h/1\n#include sip_x.conf\n"
            f"[9001.snomd345]\nsecret={next(s)}\nmd5secret={next(s)}\nremotesecret={next(s)}\n"
        ),
        "etc/asterisk/sip_x.conf": f"nat=force_rport,comedia\nauth={next(s)}:{next(s)}@r\n",
        "etc/asterisk/pjsip.conf": f"[a]\ntype=auth\npassword={next(s)}\n[b]\ntype=aor\nqualify_frequency=30\n",
        "etc/asterisk/logger.conf": "[logfiles]\nfull => notice,warning,error\n",
        "systeminfo.txt": f"Time zone: Europe/Vienna (CET, +0100)\nSystem clock synchronized: no\nps {next(s)}\n",
        "asteriskinfo.txt": "### Asterisk core show sysinfo\n",
        "rpm_qa.txt": "asterisk-16.30.0-1.x86_64\nstarface-pbx-8.1.0.2-1.x86_64\n",
        "appliance/os/net/iptables-current.txt": f"-A f2b -s 203.0.113.22/32 -m comment {next(s)} -j REJECT\n",
        "appliance/os/net/netstat-an.txt": "tcp ESTAB 0 0 10.0.0.1:5061 203.0.113.9:51234\n",
    }


def zipped(path: Path, content: Mapping[str, str | bytes]) -> Path:
    """Write a zip with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zipped(tmp_path_factory.mktemp("bundle") / "debuginfo-1.zip", members("mixed"))


@pytest.fixture(scope="module")
def case(bundle: Path) -> sf.Diagnosis:
    return sf.diagnose(sf.read_log(bundle, progress=False))


def test_settings_replace_assumptions_each_with_its_source(case: sf.Diagnosis) -> None:
    found = {
        name: (getattr(case.settings, name), fact.source.rpartition("!")[2]) for name, fact in case.sources.items()
    }
    assert found == {
        "probe_interval_s": (45.0, "etc/asterisk/sip.conf:2"),
        "probe_timeout_s": (6.0, "etc/asterisk/sip.conf:3"),
    }
    # The file's limit of 30 minutes is not what these phones do.
    assert case.settings.keepalive_s == 3600.0
    assert case.findings[0].id == "keepalive_contradicted"
    assert case.log.time_zone == "Europe/Vienna"
    assert any("Europe/Vienna" in note and "systeminfo.txt:1" in note for note in case.log.notes)
    told = json.loads(json_text(case))["bundle"]
    assert {entry["setting"] for entry in told["settings"]} == set(found)
    assert all(entry["source"] for entry in [*told["settings"], *told["facts"]])
    assert {"starface", "asterisk"} <= {fact["name"] for fact in told["facts"]}


def test_an_expiry_shortens_the_keepalive_unless_the_phones_renew_later(case: sf.Diagnosis) -> None:
    settings, sources = settings_from(case.log, Settings())
    assert (settings.keepalive_s, sources["keepalive_s"].source) == (1800.0, "etc/asterisk/sip.conf:4")
    phones = pl.DataFrame({"trunk": [False, False, True], "period_s": [3600.0, 3600.0, 60.0]})
    assert renew_later(phones, settings) == 3600.0
    assert renew_later(phones, Settings()) is None
    assert renew_later(phones.with_columns(period_s=pl.lit(None, pl.Float64)), settings) is None


def test_what_the_user_gave_stays(case: sf.Diagnosis) -> None:
    given = Settings(keepalive_s=900.0, probe_interval_s=50.0)
    settings, sources = settings_from(case.log, given)
    assert (settings.keepalive_s, settings.probe_interval_s) == (900.0, 50.0)
    assert set(sources) == {"probe_timeout_s"}


def test_findings_of_the_bundle(case: sf.Diagnosis) -> None:
    found = {finding.id: dict(finding.values) for finding in case.findings}
    assert found["phones_without_line"]["peers"] == ["9001.snomd345", "9002.snomd345"]
    assert found["phones_unmonitored"]["peers"] == ["9003.fax"]
    assert str(found["block_proven"]["site"]) == "203.0.113.22"
    assert str(found["block_proven"]["source"]).endswith("iptables-current.txt:1")
    assert str(found["log_levels"]["missing"]) == "VERBOSE"
    assert {"pbx_trouble", "clock_off", "proxy_in_front"} <= set(found)
    for language in guide.LANGUAGES:
        for finding in case.findings:
            assert "{" not in guide.finding_text(finding, guide.translator(language))


def test_step_two_has_the_state_of_every_listed_phone(case: sf.Diagnosis) -> None:
    told = answers_from_log(case, guide.translator("en"))["status"]
    assert all(words in told.text for words in ("peers.txt", "9002.snomd345", "21101.gigasetn510", "9003.fax"))
    assert told.refs


def test_an_unmonitored_phone_is_listed_and_out_of_the_verdict(tmp_path: Path) -> None:
    """A phone that registers and is never probed looks like one whose binding never dies."""
    content = members("mixed")
    log = bytes(content["var/log/asterisk/full"])  # type: ignore[arg-type]
    line = b"[2026-03-04 06:00:00] VERBOSE[1] chan_sip.c: Registered SIP '9003.fax' at 203.0.113.21:7001\n"
    at = log.index(b"[2026-03-04 06:0")
    content["var/log/asterisk/full"] = log[:at] + line + log[at:]
    case = sf.diagnose(sf.read_log(zipped(tmp_path / "b.zip", content), progress=False))
    assert unwatched(case.log) == ["9003.fax"]
    assert case.phones.filter(peer="9003.fax")["status"].to_list() == ["unknown"]
    assert case.cycles.filter(peer="9003.fax").is_empty()


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
    content = members("mixed")
    log, peers = tmp_path / "a" / "customer.log", tmp_path / "b" / "pasted.txt"
    for path, name in ((log, "var/log/asterisk/full"), (peers, "asterisk/peers.txt")):
        path.parent.mkdir()
        path.write_bytes(content[name] if isinstance(content[name], bytes) else str(content[name]).encode())
    assert not sf.read_log(log, progress=False).bundle
    assert sf.read_log([log, peers], progress=False).bundle.peers.height == 5
    (log.parent / "peers.txt").write_bytes(peers.read_bytes())
    assert sf.read_log(log, progress=False).bundle.peers.height == 5
    with pytest.raises(sf.errors.InputError, match="only what lies beside one"):
        sf.read_log(peers, progress=False)


@pytest.mark.parametrize("name", [name for name in members("mixed") if "full" not in name])
def test_members_may_be_missing_empty_or_garbage(name: str, tmp_path: Path) -> None:
    content = members("mixed")
    log = bytes(content["var/log/asterisk/full"])[:200_000]  # type: ignore[arg-type]
    for n, data in enumerate((None, b"", b"\xff\xfe\0" * 999, b"[" * 9_999 + b"\n" + b"a=b\n" * 99_999)):
        mine = {**content, "var/log/asterisk/full": log, name: data}
        path = zipped(tmp_path / f"{n}.zip", {key: value for key, value in mine.items() if value is not None})
        assert sf.read_log(path, progress=False).events.height


def test_a_member_of_two_hundred_megabytes_is_bounded(tmp_path: Path) -> None:
    content = members("mixed")
    row = "{n:05}.snomd345            203.0.113.21     D  Yes  Yes  5060  OK (31 ms)\n"
    block = "".join(row.format(n=n) for n in range(20_000))
    content["asterisk/peers.txt"] = block * (200_000_000 // len(block))
    log = sf.read_log(zipped(tmp_path / "b.zip", content), progress=False)
    assert 10_000 < log.bundle.peers.height <= 20_000
    assert log.events.height


def test_no_secret_of_a_bundle_leaves_it(bundle: Path, case: sf.Diagnosis, tmp_path: Path) -> None:
    kept = [json_text(case), summary(case), repr(case.log), f"{case.log.bundle.facts.rows()}"]
    kept += [render(case, language=language) for language in ("en",)]
    anonymise([bundle], tmp_path / "out.log", key=b"k" * 32)
    kept.append((tmp_path / "out.log").read_text("utf-8"))
    opened = open_case(bundle, folder=tmp_path / "case")
    assert opened.log.bundle.peers.height == 5
    for path in (tmp_path / "case").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            kept.append(data.decode("latin-1"))
            kept += _frames(data)
    text = "\n".join(kept)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "9001.snomd345" in text


def test_a_masked_report_names_no_listed_phone(case: sf.Diagnosis) -> None:
    page = render(case, language="de", mask=True)
    assert not [name for name in ("9001.snomd345", "9002.snomd345", "9003.fax", "21101.gigasetn510") if name in page]


def _frames(data: bytes) -> list[str]:
    """Return the rows of the frames in a file of the cache, which are compressed there."""
    rows = []
    while (start := data.find(b"PAR1")) >= 0:
        end = data.find(b"PAR1", start + 4)
        rows.append(f"{pl.read_parquet(io.BytesIO(data[start : end + 4])).rows()}")
        data = data[end + 4 :]
    return rows
