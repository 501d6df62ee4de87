"""Whatever the user names by mistake: what is read is never written to, and what is written is never half-written."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from starface_nb import report, samples
from starface_nb.cli import main
from starface_nb.commands import COMMANDS
from starface_nb.errors import InputError
from starface_nb.files import new_folder, replacing, write
from starface_nb.fleet.run import find_customers
from starface_nb.sources.apart import keep_apart

LOG = samples.recorded("one-bad-phone")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and devices are POSIX here")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which one customer's log lies under every kind of name that is written to by mistake."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.log", "b.log", "page.html", "page.pdf", "d/full", "d/full.1", "case/report.html", "case/case.json"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(LOG, name)
    shutil.copy(LOG, "case/05_before_after.ipynb")
    shutil.copy(LOG, "d/pbx.log")
    shutil.copytree("case", "cases/x")
    Path("d/peers.txt").write_text("101/101  203.0.113.21  D  Yes  Yes  40001  OK (12 ms)\n")
    with zipfile.ZipFile("d/x.zip", "w") as archive:
        archive.write(LOG, "var/log/full")
    shutil.copy("d/x.zip", "x.zip")
    if sys.platform != "win32":
        Path("hard.html").hardlink_to("a.log")
        Path("soft.html").symlink_to("a.log")
        Path("hard.zip").hardlink_to("x.zip")
        Path("elsewhere").symlink_to("d")
    return tmp_path


def status(arguments: list[str]) -> int:
    """Run a command; return its exit status, also where argparse ends it."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


REFUSED = """
report a.log -o a.log
report a.log -o ./d/../a.log
report a.log -o hard.html
report soft.html -o a.log
report page.pdf -o page.html --pdf
report page.pdf -o page.pdf
report d -o d/full.1
report a.log d -o elsewhere/full
report d/f* -o elsewhere/peers.txt
report b.log --router-log page.html -o page.html
report b.log --router-log page.pdf -o page.html --pdf
events b.log -o b.log
events b*.log -o b.log
events d/** -o d/full
events d -o elsewhere/full
events *.[lL][oO][gG] -o ./b.log
events d/full -o d/peers.txt --format csv
events x.zip -o x.zip --format csv
events d/x.zip -o elsewhere/x.zip --format csv
anonymise a.log -o a.log
anonymise d/full -o d
anonymise d -o d/full
anonymise d -o d/anonymous.log
anonymise d/f* -o d/full.1
anonymise d -o elsewhere
anonymise d/full -o d/peers.txt
anonymise x.zip -o hard.zip
anonymise d/*.zip -o elsewhere/x.zip
anonymise a.log -o k.key --key k.key
anonymise a.log -o new.log --key a.log
anonymise d -o new --key d/full
run case/report.html -o case
run case -o case
run case/case.json -o case
run case/05_before_after.ipynb -o case --notebooks 05
run cases/*/report.html -o cases/x
run a.log --router-log case/report.html -o case
simulate -o d --hours 1
simulate -o elsewhere --hours 1
fleet d -o d/full
fleet a.log -o a.log
lab cases/x/case.json --case x --dry-run
lab a.log --cases d/full --dry-run
pack packed/203.0.113.51-en.txt -o packed
pack a.log -o a.log
pack x.zip -o x.zip
pack x.zip -o hard.zip
pack d -o elsewhere/x.zip
pack a.log --router-log x.zip -o x.zip
""".strip().splitlines()


def test_no_command_that_writes_is_left_out() -> None:
    assert {command.split()[0] for command in REFUSED} == COMMANDS.keys() - {"check", "compare"}


@POSIX
@pytest.mark.parametrize("command", REFUSED)
def test_an_input_is_refused_as_output_before_any_work(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("pack packed"):
        Path("packed").mkdir()
        shutil.copy(LOG, "packed/203.0.113.51-en.txt")
    before = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    assert status(command.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Traceback" not in err
    assert {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()} == before


@POSIX
@pytest.mark.parametrize("output", ["a.log", "packed.log", "x.zip", "cut.log", "hidden.html", "anonymous.log"])
@pytest.mark.parametrize("command", ["events", "report", "anonymise"])
def test_another_customers_log_is_no_place_for_a_result(
    command: str, output: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("packed.log").write_bytes(packed := gzip.compress(LOG.read_bytes()))
    Path("cut.log").write_bytes(packed[: len(packed) // 2])
    shutil.copy(LOG, "hidden.html")
    assert status(["anonymise", "a.log", "-o", "anonymous.log"]) == 0
    capsys.readouterr()
    before = Path(output).read_bytes()
    endings = ["--format", "csv"] if command == "events" else []
    assert status([command, "-o", output, "b.log", *endings]) == 2
    assert output in capsys.readouterr().err
    assert Path(output).read_bytes() == before


_PACKED = (
    "events -o e.csv.gz, events --format csv -o e.XZ, report -o r.html.gz, report --pdf -o r.zst, anonymise -o n.tar"
)


@pytest.mark.parametrize("command", _PACKED.split(", "))
def test_no_plain_file_gets_a_packed_files_name(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(desk.rglob("*"))
    assert status([*command.split(), "a.log"]) == 2
    assert "nothing is compressed here; leave out ." in capsys.readouterr().err
    assert sorted(desk.rglob("*")) == before


_FOREIGN = {
    "x.html": b"<!doctype html><title>An offer</title>", "x.pdf": b"%PDF-1.7\n...\nstartxref\n9\n%%EOF\n",
    "x.csv": b"time,kind,peer,mine\n", "x.jsonl": b'{"time": "2026-01-01", "mine": 1}\n', "x.key": b"0123" * 16,
    "x.parquet": b"PAR1...PAR1", "x.xlsx": b"PK...", "x": b"mine",
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    ["report a.log -o x.html", "report a.log -o x.htm --pdf", "report a.log -o x.pdf", "events a.log -o x.csv",
     "events a.log -o x.jsonl", "events a.log -o x.parquet", "events a.log -o x.xlsx", "events a.log -o x",
     "anonymise a.log -o x.csv", "anonymise a.log -o x.key"],
)  # fmt: skip
def test_a_file_of_the_users_own_is_no_place_for_a_result(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in _FOREIGN.items():
        Path(name).write_bytes(content)
    before = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    assert status(command.split()) == 2
    assert "lies here already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()} == before


def test_an_earlier_result_is_replaced(desk: Path) -> None:
    tables = [f"events e{ending}" for ending in ("", ".csv", ".parquet", ".xlsx")]
    results = ("report r.html --language de", "report r.PDF", "report r.htm --pdf --mask --language fr", *tables)
    for command, name, *more in map(str.split, results):
        made = []
        for log in ("a.log", "b.log"):
            assert status([command, log, "-o", name, *more]) == int(command == "report")
            made.append(Path(name).read_bytes())
        assert all(made)
    assert {path.name for path in desk.glob("r.*")} == {"r.html", "r.PDF", "r.htm", "r.pdf"}
    Path("e.csv").write_bytes(b"")
    assert status(["anonymise", "a.log", "-o", "e.csv"]) == 0
    Path("r.pdf").write_bytes(Path("r.pdf").read_bytes() + b"9 0 obj (a remark) endobj\nstartxref\n9\n%%EOF\n" * 3)
    assert status(["report", "a.log", "-o", "r.pdf"]) == 2


def test_another_customers_report_is_not_replaced(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("begun.log").write_bytes(LOG.read_bytes()[: LOG.stat().st_size // 2])
    Path("theirs.log").write_bytes(LOG.read_bytes().replace(b"203.0.113.", b"198.51.100."))

    def refused(command: str) -> bool:
        before = {path: path.read_bytes() for path in desk.glob("r.*")}
        capsys.readouterr()
        done = status(command.split())
        assert done == 1 or {path: path.read_bytes() for path in desk.glob("r.*")} == before
        return done == 2 and "Another customer's report lies here, or one that does" in capsys.readouterr().err

    assert not refused("report begun.log -o r.html --pdf")
    assert refused("report theirs.log -o r.html")
    with monkeypatch.context() as patch:  # both begin before the other has written
        usual, begun = report.render, Path("r.html").read_bytes()
        patch.setattr(report, "render", lambda *a, **b: (Path("s.html").write_bytes(begun), usual(*a, **b))[1])
        assert refused("report theirs.log -o s.html")
    assert Path("s.html").read_bytes() == begun
    assert refused("report theirs.log -o r.pdf --mask")
    assert not refused("report a.log -o r.html --pdf --language de")  # the same log, gone on
    assert not refused("report a.log -o r.html --mask")
    assert Path("r.html").read_text("utf-8").count(";peers=;addresses=") == 1  # what is guessed cannot be tried on it
    assert refused("report theirs.log -o r.html --mask")
    assert not refused("report b.log -o r.html")
    Path("r.html").write_text(re.sub("<meta name=.starface-nb. .*", "", Path("r.html").read_text("utf-8")), "utf-8")
    assert refused("report a.log -o r.html")  # nobody knows whose it is
    assert status(["anonymise", "a.log", "-o", "r.html"]) == 2


@POSIX
def test_standard_input_is_an_input_too(desk: Path) -> None:
    with Path("b.log").open("rb") as stdin:
        command = [sys.executable, "-m", "starface_nb", "events", "-", "-o", "b.log"]
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True)
    assert done.returncode == 2
    assert "The output is the log itself (standard input)" in done.stderr
    assert Path("b.log").read_bytes() == LOG.read_bytes()


@POSIX
@pytest.mark.parametrize(
    "command",
    [
        "events a.log >>a.log",
        "check --json a.log 1<>a.log",
        "compare a.log 2>>a.log",
        "check a.log >>hard.html 2>&1",
        "anonymise b.log --key a.log -o new.log >>a.log",
    ],
)
def test_a_shell_cannot_write_onto_what_is_read_either(command: str, desk: Path) -> None:
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m starface_nb {command}"], capture_output=True)
    assert done.returncode == 2
    assert b"The output is the log itself" in done.stdout + done.stderr or "2>&1" in command
    assert Path("a.log").read_bytes() == LOG.read_bytes()
    assert not Path("new.log").exists()


def test_a_result_beside_the_log_is_no_mistake(desk: Path) -> None:
    assert main(["events", "d", "-o", "d/events.jsonl"]) == 0
    assert main(["events", "d/full", "-o", "d/events.jsonl"]) == 0
    keep_apart(["missing.log", "-", "no*match"], [desk / "new.log"])
    with pytest.raises(InputError, match="The output is the log itself"):
        keep_apart(["a.log"], iter([Path("new.html"), Path("a.log")]))


def test_a_second_customer_never_joins_the_first_in_a_folder(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("first").mkdir()
    assert main(["anonymise", "b.log", "-o", "first"]) == 0
    first = {path.name: path.read_bytes() for path in Path("first").iterdir()}
    capsys.readouterr()
    assert main(["anonymise", "a.log", "-o", "first"]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("first").iterdir()} == first
    Path("empty").mkdir()
    os.chdir("empty")
    assert main(["anonymise", "../a.log", "-o", "."]) == 0
    assert [path.name for path in Path().iterdir()] == ["full"]


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("pack a.log -o new", "notes.txt"),
        ("run a.log -o new --notebooks 00", "losses.csv"),
        ("run a.log -o new --notebooks 00", "00_case.ipynb"),
        ("fleet d -o new", "fleet.html"),
    ],
)
def test_a_folder_of_somebody_elses_is_not_filled(
    command: str, there: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("new").mkdir()
    Path("new", there).write_text("mine")
    assert main(command.split()) == 2
    assert f"holds something already ({there})" in capsys.readouterr().err
    assert [path.read_text() for path in Path("new").iterdir()] == ["mine"]


def test_another_fleet_gets_a_folder_of_its_own(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "a.log", "b.log", "-o", "first", "--workers", "1"]) == 0
    first = {path: path.read_bytes() for path in Path("first").rglob("*") if path.is_file()}
    assert main(["fleet", "page.html", "-o", "first", "--workers", "1"]) == 2
    assert "holds another fleet's results (a.log-" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("first").rglob("*") if path.is_file()} == first
    assert main(["fleet", "b.log", "page.html", "-o", "first", "--workers", "1"]) == 0
    assert {path.name[:5] for path in Path("first/customers").iterdir()} == {"b.log", "page."}


def test_a_simulation_replaces_only_what_a_simulation_wrote(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "-o", "made", "--hours", "30", "--family", "messy", "--seed", "3"]) == 0
    assert main(["simulate", "-o", "made", "--hours", "2"]) == 0
    assert {path.name for path in Path("made").iterdir()} == {"pbx.log", "truth.json"}
    Path("made/pbx.log").write_bytes(LOG.read_bytes())
    assert main(["simulate", "-o", "made", "--hours", "2"]) == 2
    assert "not written by a simulation" in capsys.readouterr().err
    assert Path("made/pbx.log").read_bytes() == LOG.read_bytes()
    Path("made/truth.json").write_text("[]")
    assert main(["simulate", "-o", "made", "--hours", "2"]) == 2
    assert Path("made/truth.json").read_text() == "[]"


def test_results_are_no_customers(desk: Path) -> None:
    Path("all").mkdir()
    for name in ("one", "two"):
        shutil.copy(LOG, f"all/{name}")
    for _ in range(2):  # the results lie among the customers, and are left out the second time
        assert main(["fleet", "all", "-o", "all", "--workers", "1"]) == 0
    for name in ("fleet.pdf", "events.csv", "x.jsonl", "x.parquet"):
        Path("all", name).write_bytes(b"made")
    assert main(["fleet", "all", "-o", "all/results", "--workers", "1"]) == 0
    assert {name for name, _ in find_customers(["all"], leave_out=Path("all")).values()} == {"one", "two"}


# ---- where a result goes ----


@POSIX
def test_what_is_no_regular_file_is_written_to(desk: Path) -> None:
    os.mkfifo("pipe")
    got = io.BytesIO()
    reader = threading.Thread(target=lambda: got.write(Path("pipe").read_bytes()))
    reader.start()
    assert main(["events", "a.log", "-o", "pipe"]) == 0
    reader.join()
    assert got.getvalue().count(b"\n") > 20
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    command = [sys.executable, "-m", "starface_nb", "events", "a.log", "-o", "/dev/fd/1"]
    assert subprocess.run(command, capture_output=True).stdout == got.getvalue()
    assert main(["events", "a.log", "-o", "/dev/null"]) == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@POSIX
def test_neither_a_link_nor_what_it_points_to_is_followed_or_lost(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    write(link, b"new")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("mine", "new", False)
    saving = tmp_path / ".kept.saving"
    saving.symlink_to(victim)
    write(tmp_path / "kept", b"new", alone=True)
    assert victim.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "link", "victim"]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    for name, age in ((".starface-nb-old", 90_000), (".starface-nb-of-now", 0), ("result", 90_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "full").write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / ".starface-nb-older").write_text("half")
    os.utime(tmp_path / ".starface-nb-older", (0, 0))
    write(tmp_path / "new", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".starface-nb-of-now", "new", "result"]


@pytest.mark.parametrize("alone", [False, True])
def test_ctrl_c_at_the_very_moment_a_file_is_made_leaves_nothing(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*asked: object) -> int:
        os.close(make(*asked))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    make = os.open
    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "result", b"whole", alone=alone)
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "full").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fill()
    with pytest.raises(FileNotFoundError) as told, new_folder(tmp_path / "out") as folder:
        write(folder / "no" / "full", b"")
    assert told.value.filename == str(tmp_path / "out")
    with pytest.raises(OSError, match="disk") as caught, replacing(tmp_path / "file"):
        raise OSError(28, "disk full")
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("name", ["n" * 250, "n" * 255, "x\udcfc.out", "\x1b]0;x\x07.out", "-x.out", "ü😀\n.out"])
def test_any_name_that_the_system_takes_is_written(name: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "a.log", f"-o{desk / name}"]) == 0
    assert (desk / name).stat().st_size > 1000
    assert main(["anonymise", "a.log", f"-o{desk / name}"]) == 0
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


@POSIX
@pytest.mark.parametrize(
    "command",
    [
        "report a.log -o",
        "events a.log -o",
        "anonymise a.log -o",
        "run a.log -o",
        "pack a.log -o",
        "simulate -o",
        "fleet d -o",
    ],
)
@pytest.mark.parametrize("place", ["n" * 300, "a.log/x", "d/full/x/y", "-"])
def test_a_place_that_cannot_be_is_said(
    command: str, place: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status([*command.split(), place]) == 2
    err = capsys.readouterr().err
    assert err.startswith("starface-nb")
    assert err.count("\n") == 1


@POSIX
def test_a_current_folder_that_has_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = f"import os, sys; os.rmdir({str(gone)!r}); from starface_nb.cli import main; sys.exit(main(sys.argv[1:]))"
    home = str(Path(__file__).parents[1])  # -P below: as in the installed command, where modules never come from there
    case = str(tmp_path / "case")
    for command in (
        ["events", str(LOG), "-o", "e.jsonl"],
        ["report", str(LOG), "-o", "r.html"],
        ["run", str(LOG), "-o", case, "--notebooks", "10"],
    ):
        gone.mkdir()
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *command],
            cwd=gone,
            env={**os.environ, "PYTHONPATH": home},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
    assert "the current folder has gone" in done.stderr


# ---- what is shown ----


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16", "utf-8"])
def test_json_is_utf_8_and_text_falls_back_on_any_terminal(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "Müller 😀.log"
    shutil.copy(LOG, log)
    shown = io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["check", "--json", "--exit-zero", str(log)]) == 0
    assert json.loads(raw.getvalue().decode("utf-8"))["log"]["files"] == [str(log)]
    raw.seek(0)
    raw.truncate()
    assert main(["check", "--exit-zero", str(log)]) == 0
    assert "ller" in raw.getvalue().decode(encoding)


@pytest.mark.parametrize("chosen", ["csv", "jsonl"])
def test_events_on_a_terminal_cannot_steer_it(chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(LOG.read_bytes().replace(b"51101", "\x1b]0;\x9b\u202e51101".encode()))

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal(raw := io.BytesIO(), encoding="utf-8"))
    assert main(["events", str(log), "--format", chosen]) == 0
    text = raw.getvalue().decode().replace("\n", "").replace("\r", "")
    assert "51101" in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "name", ["localtime", "Factory", "posix/Europe/Berlin", "../../etc/passwd", "", "x\ny", "\x1b", "+01:00"]
)
def test_a_time_zone_that_is_none_is_said(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(LOG), "--time-zone", name]) == 2
    assert ("is no time zone" if name else "An empty value was given") in capsys.readouterr().err


@POSIX
def test_a_link_to_a_customer_is_no_further_one(tmp_path: Path) -> None:
    from starface_nb.fleet.run import find_customers

    folder, elsewhere = tmp_path / "all", tmp_path / "elsewhere.log"
    (folder / "a").mkdir(parents=True)
    for path in (folder / "a" / "full", elsewhere):
        path.write_bytes(LOG.read_bytes())
    for name, target in (
        ("same", "a"),
        ("inside.log", "a/full"),
        ("other.log", elsewhere),
        ("loop", "."),
        ("top", ".."),
    ):
        (folder / name).symlink_to(target)
    assert {path.name for _, path in find_customers([folder]).values()} == {"a", "other.log"}


@POSIX
def test_a_pipe_among_customers_is_passed_over(tmp_path: Path) -> None:
    shutil.copy(LOG, tmp_path / "customer.log")
    os.mkfifo(tmp_path / "other.log")
    assert [path.name for _, path in find_customers([tmp_path]).values()] == ["customer.log"]
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find_customers([tmp_path / "other.log"])


@pytest.mark.parametrize("command", ["fleet d -o", "run a.log -o", "simulate -o"])
def test_an_empty_name_is_no_folder(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(desk.rglob("*"))
    assert status([*command.split(), ""]) == 2
    assert "empty name" in capsys.readouterr().err
    assert sorted(desk.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    ["check a.log --router-log", "report a.log -o r.html --router", "anonymise a.log -o n --time-zone",
     "run a.log -o c --notebooks", "events a.log --time-zone", "simulate -o s --start", "compare a.log --at",
     "fleet d -o f --scheduler", "lab --dry-run a.log --case"],
)  # fmt: skip
def test_an_empty_value_is_not_one_that_was_not_given(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(desk.rglob("*"))
    assert status([*command.split(), ""]) == 2
    assert command.split()[-1] in capsys.readouterr().err
    assert sorted(desk.rglob("*")) == before


def test_what_is_wrong_is_said_before_what_draws_is_loaded(desk: Path) -> None:
    Path("mine.html").write_text("mine")
    commands = (
        "report a.log -o r.html --router Toaster, report a.log -o mine.html, report a.log -o r.eml, pack a.log -o d,"
        "pack a.log -o new --router Toaster,run a.log -o case,events a.log -o e.tsv,events a.log -o e.xlsx --format csv"
    )
    code = f"""import sys
from starface_nb.cli import main
print([main(command.split()) for command in {commands!r}.split(",")], {{"altair", "nbclient"}} & {{*sys.modules}})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{[2] * 8} set()\n", done.stderr
    assert "No router is known as 'Toaster'" in done.stderr
    assert ".tsv is no kind of file that this command writes" in done.stderr
    assert ".xlsx is not the ending of csv" in done.stderr


@POSIX
@pytest.mark.parametrize("command", ["simulate -o made --hours 9", "pack x.log -o made"])
def test_of_a_result_that_found_no_room_nothing_is_left(command: str, desk: Path) -> None:
    shutil.copy(samples.recorded("mixed"), "x.log")
    before = sorted(desk.rglob("*"))
    command = f'ulimit -f 2; exec "{sys.executable}" -m starface_nb {command}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sorted(desk.rglob("*")) == before


@POSIX
@pytest.mark.parametrize("command", [f'events "{LOG}"', f'check "{LOG}"', f'compare "{LOG}"', "--help"])
def test_what_goes_nowhere_is_not_called_said(command: str) -> None:
    command = f'exec "{sys.executable}" -m starface_nb {command} >&-'
    run = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr[:39]) == (2, "starface-nb: Standard output is closed.")


@POSIX
@pytest.mark.parametrize(("closed", "status"), [("<&-", 0), (">&-", 2), ("2>&-", 0), ("<&- >&- 2>&-", 2)])
def test_closed_streams_are_empty_ones(closed: str, status: int, desk: Path) -> None:
    command = f'exec "{sys.executable}" -m starface_nb check --exit-zero a.log {closed}'
    assert subprocess.run(["bash", "-c", command], cwd=desk, check=False).returncode == status
    assert Path("a.log").read_bytes() == LOG.read_bytes()
