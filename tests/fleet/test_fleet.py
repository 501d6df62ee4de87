"""Many customers at once: on real workers, with broken logs among them, interrupted and taken up again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.cli import main
from starface_nb.errors import InputError, SetupError
from starface_nb.fleet import FLEET, Scheduler, as_text, fleet_html, run_fleet
from starface_nb.fleet.examine import examine
from starface_nb.fleet.run import find_customers, ranked

RECORDED = Path(__file__).parents[2] / "data/recorded"
LOGS = ("mixed", "clean", "one-bad-phone", "undilated")
SHORT = {"authority": "ca", "certificate": "cert", "key": "key"}
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five customers' logs and three that cannot be read."""
    folder = tmp_path_factory.mktemp("customers")
    for name in LOGS:
        (folder / name).mkdir()
        (folder / name / "full").write_bytes((RECORDED / name / "pbx.log").read_bytes())
    (folder / HOSTILE).write_bytes((RECORDED / "pjsip-clean/pbx.log").read_bytes())
    (folder / "empty.log").write_bytes(b"")
    (folder / "other.txt").write_text("hello\n" * 10)
    (folder / "binary.gz").write_bytes(b"\x1f\x8b" + bytes(range(256)) * 8)
    (folder / ".hidden").write_text("no customer")
    for name in ("@eaDir", "__MACOSX", "System Volume Information", "lost+found", "$RECYCLE.BIN"):
        (folder / name).mkdir()
    (folder / "Thumbs.db").write_bytes(b"left by a system")
    (folder / "for their provider").mkdir()
    (folder / "for their provider" / "203.0.113.7-de.txt").write_text("a ticket")
    return folder


@pytest.fixture(scope="module")
def fleet(folder, tmp_path_factory):
    """The fleet, examined by two workers of the command, with what it printed; another cluster's port is taken."""
    out = tmp_path_factory.mktemp("fleet") / "out"
    command = [sys.executable, "-m", "starface_nb", "fleet", str(folder), "-o", str(out), "--workers", "2"]
    with socket.socket() as other:
        with suppress(OSError):  # taken already: just as well
            other.bind(("127.0.0.1", 8787))
            other.listen()
        done = subprocess.run(command, capture_output=True, text=True)
    return out, done


def test_every_customer_has_its_verdict_or_a_reason(folder, fleet):
    out, done = fleet
    assert done.returncode == 1
    assert done.stderr == (
        f"starface-nb: {folder}: passed over, as no customer's: $RECYCLE.BIN, .hidden, @eaDir, "
        "System Volume Information, Thumbs.db, __MACOSX, for their provider, lost+found.\n"
    )
    summary = pl.read_parquet(out / "fleet.parquet")
    FLEET.check(summary)
    assert summary["customer"].len() == 8
    assert summary["rank"].to_list() == list(range(1, 9))
    failed = summary.filter(pl.col("state") == "failed")
    assert set(failed["customer"]) == {"empty.log", "other.txt", "binary.gz"}
    assert failed["reason"].str.len_chars().min() > 20
    assert summary["state"].to_list()[-3:] == ["failed"] * 3
    for name in LOGS:
        case = sf.diagnose(sf.read_log(folder / name))
        row = summary.row(by_predicate=pl.col("customer") == name, named=True)
        assert row["losses"] == case.intervals.filter(~pl.col("trunk")).height
        assert row["nat_losses"] + row["other_losses"] == row["losses"]
        assert sum(row["nat_by_bin"]) == row["nat_losses"]
        assert sum(row["other_by_bin"]) == row["other_losses"]
        assert sum(row["not_nat_losses"]) == row["other_losses"]
        stored = next((out / "customers").glob(f"{name}-*")) / "intervals.parquet"
        assert pl.read_parquet(stored).equals(case.intervals)


def test_nothing_it_keeps_can_be_read_by_others(fleet):
    paths = list(fleet[0].rglob("*"))
    assert len(paths) > 16
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)


def test_page_is_whole_in_three_languages_and_shows_names_as_text(fleet):
    summary = pl.read_parquet(fleet[0] / "fleet.parquet")
    pages = {language: fleet_html(summary, language) for language in ("en", "de", "fr")}
    assert len(set(pages.values())) == 3
    for page in [*pages.values(), (fleet[0] / "fleet.html").read_text("utf-8")]:
        assert "<img" not in page
        assert "<script" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert not re.search(r"(?:src|href)=[\"']?https?:", page)
        assert all(name in page for name in (*LOGS, "empty.log"))
    assert "\x1b" not in fleet[1].stdout


def test_second_run_examines_nothing_and_says_the_same(folder, fleet, monkeypatch):
    before = (fleet[0] / "fleet.parquet").read_bytes()
    asked = []
    run_fleet([folder], fleet[0], on_done=asked.append)
    assert asked == []
    assert (fleet[0] / "fleet.parquet").read_bytes() == before


def test_only_what_changed_is_examined_again(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes((RECORDED / "one-bad-phone/pbx.log").read_bytes())
    names = []
    run_fleet([folder], tmp_path / "out", workers=1, on_done=names.append)
    (folder / "b").write_bytes((RECORDED / "undilated/pbx.log").read_bytes())
    (folder / "c").write_bytes((RECORDED / "clean/pbx.log").read_bytes())
    again = run_fleet([folder], tmp_path / "out", workers=1, on_done=names.append)
    assert sorted(names) == ["a", "b", "b", "c"]
    assert again.height == 3
    result = next((tmp_path / "out/customers").glob("a-*/result.parquet"))
    whole = result.read_bytes()
    for damaged in (b"", whole[:-50], b"PAR1" + whole[50:]):
        result.write_bytes(damaged)
        names.clear()
        assert run_fleet([folder], tmp_path / "out", workers=1, on_done=names.append).equals(again)
        assert names == ["a"]


def certificate(folder: Path, name: str) -> dict[str, Path]:
    """Make a certificate that vouches for itself, as its own authority."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*new, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return {"authority": pem, "certificate": pem, "key": key}


class Cluster:
    """A Dask scheduler and its workers, each a process of its own, that talk TLS."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.file, self.tls = folder / "scheduler.json", certificate(folder, "cluster")
        here = ["--host", "tls://127.0.0.1", "--protocol", "tls", "--tls-ca-file", str(self.tls["authority"])]
        here += ["--tls-cert", str(self.tls["certificate"]), "--tls-key", str(self.tls["key"]), "--no-dashboard"]
        self.scheduler = self._start("scheduler", "--port", "0", *here)
        self.address = self._address()
        options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *here]
        self.workers = [self._start("worker", *options) for _ in range(workers)]

    def _start(self, what: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, "--scheduler-file", str(self.file), *options]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _address(self) -> str:
        while not (self.file.exists() and self.file.stat().st_size):
            assert self.scheduler.poll() is None, "the scheduler did not start"
            time.sleep(0.1)
        return json.loads(self.file.read_text())["address"]

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"), 2)
    yield made
    made.end()


def test_a_cluster_answers_only_who_has_its_certificate(cluster, tmp_path, capfd, monkeypatch):
    log, out, own = str(RECORDED / "clean/pbx.log"), tmp_path / "out", certificate(tmp_path, "mine")
    monkeypatch.setattr("starface_nb.fleet.engine._PATIENCE", 2)

    def told(address: str, **files: Path) -> str:
        options = [f"--tls-{short}={files[name]}" for name, short in SHORT.items() if name in files]
        assert main(["fleet", log, "-o", str(out), "--scheduler", address, *options]) == 2
        said = capfd.readouterr().err
        assert said.count("\n") == 1
        return said

    assert cluster.address.startswith("tls://127.0.0.1:")
    for stranger in (own, own | {"authority": cluster.tls["authority"]}, cluster.tls | {"authority": own["authority"]}):
        assert "No Dask scheduler answers there" in told(cluster.address, **stranger)
    assert "No Dask scheduler answers there" in told(cluster.address.replace("tls", "tcp"))
    assert "tls:// takes three files, tcp:// none. Name them with --tls-ca" in told(cluster.address)
    assert "tls:// takes three files" in told(cluster.address, key=own["key"], certificate=own["certificate"])
    assert "tcp:// none" in told("tcp://127.0.0.1:9", **own)
    assert "There is no such file" in told(cluster.address, **own | {"key": tmp_path / "none"})
    assert "No Dask scheduler answers there" in told(cluster.address, **own | {"key": Path(log)})
    options = [f"--tls-{short}={cluster.tls[name]}" for name, short in SHORT.items()]
    assert main(["fleet", log, "-o", str(out), "--scheduler", cluster.address, *options]) == 1  # too short there
    assert pl.read_parquet(out / "fleet.parquet")["state"].to_list() == ["read"]


def test_a_worker_killed_in_the_middle_loses_nothing_and_counts_nothing_twice(cluster, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    content = (RECORDED / "mixed/pbx.log").read_bytes()
    for n in range(12):
        (folder / f"customer {n:02}").write_bytes(content.replace(b"203.0.113.", f"203.0.{n}.".encode()))
    done = Counter()

    def on_done(name: str) -> None:
        done[name] += 1
        if done.total() == 3:
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

    summary = run_fleet(
        [folder], tmp_path / "out", scheduler=Scheduler(cluster.address, **cluster.tls), on_done=on_done
    )
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert done == Counter({f"customer {n:02}": 1 for n in range(12)})
    assert summary["customer"].n_unique() == summary.height == 12
    assert summary["state"].unique().to_list() == ["read"]
    assert summary["losses"].n_unique() == 1
    assert len(set(summary["site"])) == 12
    assert all(path.read_bytes()[:4] == b"PAR1" for path in (tmp_path / "out/customers").glob("*/intervals.parquet"))


def deadly(source, settings, time_zone):
    """Examine, unless the log is the one that kills its worker."""
    if source.endswith("deadly"):
        os._exit(9)
    return examine(source, settings, time_zone)


def test_a_log_that_kills_its_workers_is_given_up_with_a_reason(tmp_path):
    from starface_nb.fleet.engine import examine_all
    from starface_nb.settings import Settings

    customers = {name: tmp_path / name for name in ("a", "b", "deadly", "y", "z")}
    for path in customers.values():
        path.write_bytes((RECORDED / "undilated/pbx.log").read_bytes())
    work = partial(deadly, settings=Settings(), time_zone="Europe/Berlin")
    results = dict(examine_all(customers, work, workers=2))
    assert {name for name, result in results.items() if result.row["state"] == "failed"} == {"deadly"}
    assert set(results) == set(customers)
    assert "worker" in results["deadly"].row["reason"]
    assert not results["deadly"].lasting


def test_no_scheduler_is_said_in_one_sentence(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("starface_nb.fleet.engine._PATIENCE", 1)
    with pytest.raises(SetupError, match="No Dask scheduler answers"):
        run_fleet([RECORDED / "clean"], tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    assert capfd.readouterr().err == ""


def test_customers_by_list_and_wrong_paths(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    both = find_customers([RECORDED / "clean/pbx.log", RECORDED / "mixed/pbx.log"])
    assert len(both) == 2
    assert len({name for name, _ in both.values()}) == 2
    with pytest.raises(InputError, match="no such file"):
        find_customers([tmp_path / "nothing"])
    with pytest.raises(InputError, match="no customer"):
        find_customers([tmp_path / "x"])
    assert [name for name, _ in find_customers([tmp_path], leave_out=tmp_path / "y").values()] == ["x"]
    twice = [RECORDED / "clean", RECORDED / "clean/../clean"]
    assert len(find_customers(twice)) == len(find_customers(twice[:1]))


def test_customers_in_several_folders_are_not_mixed(tmp_path):
    for name in ("mon/a", "mon/b", "tue/a", "tue/c/full", "d/full", "d/full.1", "d/notes.txt", "e/etc/x", "e/log/full"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(RECORDED / "clean/pbx.log", tmp_path / name)
    (tmp_path / "none").mkdir()
    shutil.make_archive(tmp_path / "f", "zip", tmp_path / "d")
    (tmp_path / "@eaDir").mkdir()
    notes = []
    found = find_customers([*tmp_path.iterdir()], on_note=notes.append)
    assert notes == [f"{tmp_path / 'd'}: one customer's, by the names in it; 1 other files are not read."]
    names = {"mon/a", "mon/b", "tue/a", "tue/c", "d", "e", "none", "f.zip"}
    assert {str(path.relative_to(tmp_path)) for _, path in found.values()} == names
    assert len({name for name, _ in found.values()}) == len(names)
    alone = find_customers([tmp_path / "d"], on_note=notes.append)
    assert {name for name, _ in alone.values()} == {"full", "full.1", "notes.txt"}
    assert notes[1].endswith("parts of one customer's log, which `starface-nb check` reads as one: full, full.1.")
    (tmp_path / "d/full.1").rename(tmp_path / "d/other.log")
    find_customers([tmp_path / "d"], on_note=notes.append)
    assert len(notes) == 2
    summary = run_fleet([tmp_path / "mon", tmp_path / "tue"], tmp_path / "out", workers=1)
    assert {Path(name).name for name in summary["customer"]} == {"a", "b", "c"}
    assert summary.height == 4
    again = run_fleet([tmp_path / "mon", tmp_path / "out"], tmp_path / "out", workers=1)
    assert set(again["customer"]) == {"a", "b"}


def test_a_router_fixed_within_its_log_is_told_with_its_old_bracket(tmp_path):
    log = RECORDED / "fixed-router/pbx.log"
    summary = run_fleet([log], tmp_path / "out", workers=1)
    (era, _) = sf.diagnose(sf.read_log(log)).eras.sort("era").to_dicts()
    row = summary.row(0, named=True)
    assert (row["verdict"], row["before_low_s"], row["before_high_s"]) == (
        "no_expiry_seen",
        era["low_s"],
        era["high_s"],
    )
    assert abs(row["fixed_at"] - era["end"]) < timedelta(hours=1)
    for told in (as_text(summary), fleet_html(summary)):
        assert "no expiry seen" in told
        assert re.search(r"until 13 Mar 2026, 11:\d\d too short: more than \d", told)


def test_a_row_tells_what_it_is_to_be_read_with(tmp_path):
    text = (RECORDED / "clean/pbx.log").read_text()
    later = text.replace("[2026-", "[2027-").replace("203.0.113.", "198.51.100.")
    unanswered = "".join(line for line in text.splitlines(True) if " Unreachable" not in line and "NOTICE" not in line)
    masked = re.sub(r"\d+\.\d+\.\d+\.\d+", "x.x.x.x", text)
    for name, content in (("both/a", text), ("both/b", later), ("one", text), ("cut", unanswered), ("masked", masked)):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "full").write_text(content)
    summary = run_fleet([tmp_path / "in"], tmp_path / "out", workers=1)
    told = dict(summary.select("customer", "warnings").iter_rows())
    assert set(told.pop("both")) == {"other_addresses", "missing_parts"}  # a year apart
    assert told == {"one": [], "cut": ["incomplete_log"], "masked": ["no_addresses"]}
    for language, sentence in (("en", "two customers, name them apart"), ("de", "Logs zweier Kunden"), ("fr", "deux")):
        assert as_text(summary, language).count(sentence) == fleet_html(summary, language).count(sentence) == 1


def test_logs_that_are_parts_or_copies_of_one_are_named(tmp_path):
    text = (RECORDED / "clean/pbx.log").read_text().splitlines(True)
    (tmp_path / "in/other").mkdir(parents=True)
    (tmp_path / "in/other/full").write_text("".join(text).replace("[2026-03-03", "[2026-03-04"))
    for name, part in (("full.1", text[:400]), ("full", text[400:]), ("again.log", text)):
        (tmp_path / "in" / name).write_text("".join(part))
    notes = []
    run_fleet([tmp_path / "in"], tmp_path / "out", workers=1, on_note=notes.append)
    assert notes == ["Parts or copies of one customer's log, by what is in them: again.log, full, full.1."]


def test_what_is_for_a_scheduler_is_refused_without_one(tmp_path, capsys):
    assert main(["fleet", str(tmp_path), "-o", str(tmp_path / "out"), "--tls-key", "key.pem"]) == 2
    assert "--tls-key: It is for a scheduler." in capsys.readouterr().err


def test_folders_of_which_one_holds_a_log_are_not_called_parts_of_one(tmp_path, capsys):
    for name, text in (("mueller/full", (RECORDED / "clean/pbx.log").read_text()), ("huber/notes.txt", "hello")):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_text(text)
    main(["fleet", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--workers", "1"])
    told = "".join(capsys.readouterr())
    assert "mueller: too short" in told
    assert "parts of one" not in told


def test_a_link_that_leads_to_itself_stops_nothing(tmp_path):
    (there := tmp_path / "in").mkdir()
    (there / "self").symlink_to("self")
    (there / "customer.log").write_text((RECORDED / "clean/pbx.log").read_text())
    summary = run_fleet([there], tmp_path / "out", workers=1)
    assert dict(summary.select("customer", "state").iter_rows())["customer.log"] == "read"


def test_one_worker_is_this_process_and_starts_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr("starface_nb.fleet.engine._connected", None)
    assert run_fleet([RECORDED / "clean/pbx.log"], tmp_path / "out", workers=1)["state"].to_list() == ["read"]


def test_ranking_puts_who_needs_help_first():
    known = {"source": "", "fingerprint": ""}

    def row(customer, **values):
        values = {"state": "read", "verdict": "no_expiry_seen", "unreachable_s": 0.0} | values
        return known | {"customer": customer} | values

    frame = ranked(
        [
            row("healthy"),
            known | {"customer": "broken", "state": "failed"},
            row("a little", verdict="too_short", nat_losses=3),
            row("unclear", verdict="undetermined", nat_losses=0),
            row("a lot", verdict="too_short", nat_losses=300),
            row("no phone", verdict=None),
        ]
    )
    assert frame["customer"].to_list() == ["a lot", "a little", "unclear", "healthy", "no phone", "broken"]
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5, 6]


def test_a_page_that_somebody_changed_is_kept_beside_the_new_one(tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["fleet", str(RECORDED / "one-bad-phone" / "pbx.log"), "-o", str(out), "--workers", "1"]
    main(asked)
    page = (out / "fleet.html").read_text("utf-8")
    (out / "fleet.html").write_text("my remarks")
    main(asked)
    assert "Changed since it was written, and kept: fleet-changed-1.html" in capsys.readouterr().err
    main(asked)
    assert "kept" not in capsys.readouterr().err
    assert [(out / name).read_text("utf-8") for name in ("fleet.html", "fleet-changed-1.html")] == [page, "my remarks"]


@pytest.mark.parametrize(("customer", "results"), [("one", "one"), ("customers", "."), ("fleet.parquet", "out")])
def test_no_customer_is_left_out_silently(customer, results, tmp_path, capfd):
    for name in (customer, "other"):
        (tmp_path / name).mkdir()
        shutil.copy(RECORDED / "clean/pbx.log", tmp_path / name / "full")
    status = main(["fleet", str(tmp_path), "-o", str(tmp_path / results)])
    told = capfd.readouterr()
    if results == "out":
        assert "2 customers" in told.out
    else:
        assert (status, told.err.count("\n")) == (2, 1)
        assert f"{customer}: This may be a customer's" in told.err
        assert [path.name for path in (tmp_path / customer).iterdir()] == ["full"]


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv takes root's right to read everything away")
def test_a_folder_that_may_not_be_read_stops_no_other_customer(tmp_path):
    modes = {"listed": 0o444, "open": 0o755, "shut": 0o000}
    for name in modes:
        (tmp_path / name).mkdir()
        shutil.copy(RECORDED / "clean/pbx.log", tmp_path / name / "full")
    for name, mode in modes.items():
        (tmp_path / name).chmod(mode)
    (tmp_path / "open/full.1").touch(mode=0o000)
    as_others = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    ask = [sys.executable, "-m", "starface_nb", "fleet", str(tmp_path), "-o", str(tmp_path / "out"), "--workers", "1"]
    done = subprocess.run([*as_others, *ask], capture_output=True, text=True)
    for name in modes:
        (tmp_path / name).chmod(0o755)
    assert (done.returncode, done.stderr) == (1, "")
    rows = pl.read_parquet(tmp_path / "out" / "fleet.parquet").sort("customer")
    assert rows["state"].to_list() == ["failed", "read", "failed"]
    assert rows["reason"].str.contains("permission denied").to_list() == [True, None, True]
    assert rows["warnings"].to_list() == [None, ["missing_parts"], None]


def test_results_among_the_customers_are_known_again(tmp_path, capfd):
    (tmp_path / "one").mkdir()
    shutil.copy(RECORDED / "clean/pbx.log", tmp_path / "one" / "full")
    for results in (".", ".", "out", "out"):
        assert main(["fleet", str(tmp_path), "-o", str(tmp_path / results)]) == 1
        assert "1 customer," in capfd.readouterr().out


@pytest.mark.parametrize("end", ["0", *["os.kill(os.getpid(), signal.SIGTERM)"] * (os.name == "posix")])
def test_results_that_nobody_named_a_folder_for_are_gone_with_the_process(end, tmp_path):
    made = "print(fleet.passing_folder().joinpath('result').write_text('customer'), flush=True)"
    code = f"import os, signal; from starface_nb import fleet; {made}; {end}"
    env = os.environ | {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=False)
    assert (ran.stdout.strip(), list(tmp_path.iterdir())) == (b"8", [])
