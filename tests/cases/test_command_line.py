"""The command line: what a wrong value, an unwritable place, Ctrl-C or a closed pipe leads to. Never a traceback."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from starface_nb import samples
from starface_nb.cli import COMMANDS, main
from starface_nb.errors import SettingError
from starface_nb.text import moment

LOG = samples.recorded("one-bad-phone")
STARFACE_NB = [sys.executable, "-m", "starface_nb"]


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], expected: int = 2) -> str:
    """Run a command that is bound to fail; return what it says, one line on standard error."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (expected, "", 1), err
    return err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: starface-nb {command}" in capsys.readouterr().out


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in told] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("check", "required: LOG"),
        ("nonsense LOG", "invalid choice: 'nonsense' (choose from"),
        ("check LOG --keepalive soon", "'soon' is no duration; write for example 60m"),
        ("check LOG --keepalive 0", "'0' is no duration"),
        ("check LOG --keepalive -5m", "'-5m' is no duration"),
        ("check LOG --keepalive 99999999d", "'99999999d' is no duration"),
        (
            "check LOG --keepalive 99999m",
            "60m, 90s or 1h (1 second to 7 days)",
        ),
        ("fleet LOG -o FOLDER/out --keepalive 8d", "'8d' is no duration"),
        ("lab LOG --case ../x", "'../x' is a path; name the case alone"),
        (
            "check LOG --time-zone Mars/Phobos",
            "is no time zone. Use a name such as Europe/Berlin (MEZ, CEST)",
        ),
        ("check FOLDER", "holds no log that can be read"),
        ("check missing.log", "missing.log: no such file or folder. Check the path."),
        ("check missing*.log", "no file matches this pattern"),
        ("events LOG -o FOLDER", "is a folder; name a file in it"),
        ("events LOG -o FOLDER/missing/x.csv", "there is no folder"),
        ("events LOG -o FOLDER/new/", "there is no folder"),
        ("anonymise LOG -o FOLDER/new/.", "there is no folder"),
        ("report LOG -o FOLDER/new/", "there is no folder"),
        ("report LOG -o FOLDER/1.html -o FOLDER/2.html", "-o/--output: given twice; it takes one value"),
        ("report LOG", "required: -o/--output"),
        ("report LOG -o LOG/report.html", "there is no folder"),
        ("report LOG -o FOLDER/r.html --language es", "choose from 'en', 'de', 'fr'"),
        ("run LOG -o LOG", "is or lies in a file; name a folder"),
        ("lab LOG --cases LOG/cases --dry-run", "is or lies in a file; name a folder"),
        ("lab LOG --port 70000 --dry-run", "'70000' is no number from 1 to 65535"),
        ("compare LOG LOG LOG", "compare takes one log or two"),
        ("compare LOG LOG --at 2026-03-13", "Leave out --at or the second log"),
        ("compare LOG --at noon", "'noon' is no time. Write it as 2026-03-13T11:45."),
        ("compare LOG --at 0001-01-01", "'0001-01-01' is no time"),
        ("compare LOG --at 2026-03-13", "'2026-03-13' is no time"),  # what happened that morning may be before
        ("compare LOG --at 3/4/2026", "'3/4/2026' is no time"),  # of April, or the 4th of March
        (
            "compare LOG --at 2025-10-26T02:30",
            "Write it with its offset from UTC: 2025-10-26T02:30:00+02:00 or 2025-10-26T02:30:00+01:00.",
        ),
        ("simulate -o FOLDER --start 2026-03-29T02:30", "does not occur in Europe/Berlin"),
        ("anonymise LOG -o FOLDER/missing/x.log", "there is no folder"),
        ("anonymise LOG -o LOG", "The output is the log itself"),
        ("anonymise LOG -o FOLDER/x.log --shift-weeks 9999999", "no number from -1000 to 1000"),
        ("simulate -o LOG", "is or lies in a file; name a folder"),
        ("simulate -o FOLDER --hours nan", "'nan' is no number from 0.01 to 9000.0"),
        ("simulate -o FOLDER --hours inf", "'inf' is no number"),
        ("simulate -o FOLDER --phones 0", "'0' is no number from 1 to 999"),
        ("simulate -o FOLDER --seed -1", "'-1' is no number from 0"),
        ("fleet FOLDER -o FOLDER/out", "There is no customer's log"),
        ("simulate -o FOLDER --date-format %Y", "'%Y' writes no day, hour and minute on one line"),
        ("simulate -o FOLDER --date-format %F_%I:%M", "write for example '%d.%m.%Y %H:%M'"),  # before noon, or after?
        ("simulate -o FOLDER --date-format %F%n%T", "on one line"),
        ("pack LOG -o FOLDER/pack.tar.gz", "is to be a folder; leave out .gz, or write"),
        ("anonymise LOG FOLDER.log -o FOLDER/out.log", "Several files are written, into a folder or a zip. Leave out"),
        (
            "anonymise LOG -o FOLDER/x.log --key CUT",
            "it has 40 hexadecimal digits, and keys that are made here have 64.",
        ),
        ("check CASE", "is a case, not a log. Open it with `starface-nb lab --cases"),
        ("fleet LOG -o LOG", "is or lies in a file; name a folder"),
        ("fleet LOG -o FOLDER/out --workers 0", "'0' is no number from 1 to 1000"),
        ("fleet LOG -o FOLDER/out --scheduler nonsense", "No Dask scheduler answers there: this is no address"),
        (
            "fleet LOG -o FOLDER/out --scheduler tls://host:8786",
            "tls:// takes three files, tcp:// none. Name them with",
        ),
    ],
)
def test_wrong_usage_is_said_in_one_line(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    log = shutil.copy(LOG, tmp_path / "customer.log")
    (tmp_path / "empty.log").write_bytes(LOG.read_bytes().replace(b"2026-", b"2025-"))
    (tmp_path / "CUT").write_text("0123456789" * 4)
    (tmp_path / "CASE").mkdir()
    (tmp_path / "CASE" / "case.json").write_text("{}")
    before = Path(log).read_bytes()
    places = {"LOG": str(log), "FOLDER": str(tmp_path / "empty")}
    words = [next((word.replace(k, v) for k, v in places.items() if k in word), word) for word in arguments.split()]
    assert message in said(words, capsys)
    assert Path(log).read_bytes() == before


def test_a_log_cut_off_in_its_first_kilobytes_can_still_be_read_up_to_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "full.gz"
    packed = gzip.compress(LOG.read_bytes())
    path.write_bytes(packed[: len(packed) * 3 // 4])
    assert "set STARFACE_NB_ALLOW_DAMAGED=1" in said(["events", str(path)], capsys)
    monkeypatch.setenv("STARFACE_NB_ALLOW_DAMAGED", "1")
    assert main(["events", str(path)]) == 0
    told = f"{path}: damaged or cut off; read up to byte "
    found, said_beside = capsys.readouterr()
    found = found.splitlines()
    assert told in said_beside
    main(["check", str(path), "--json"])
    log = json.loads(capsys.readouterr().out)["log"]
    assert not log["complete"]
    assert "rest" in log["missing"]
    assert log["notes"][0].startswith(told)
    assert main(["anonymise", str(path), "-o", str(tmp_path / "a.log")]) == 0
    assert told in capsys.readouterr().err
    main(["report", str(path), "-o", str(tmp_path / "a.html"), "--language", "de"])
    assert "full.gz: beschädigt oder abgeschnitten" in (tmp_path / "a.html").read_text("utf-8")
    capsys.readouterr()
    assert main(["events", str(LOG)]) == 0
    whole = capsys.readouterr().out.replace(str(LOG), str(path)).splitlines()
    assert found == whole[: len(found)]
    assert 10 < len(found) < len(whole)


def test_a_files_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\\x1b[31mred" in said(["check", "\x1b[31mred"], capsys)


def test_a_fault_of_the_program_is_told_from_one_of_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starface_nb.read_log", lambda *_, **__: {}["x"])
    told = said(["events", str(LOG)], capsys, 3)
    assert "a fault of the program, not of the log: KeyError: 'x' (test_command_line.py, line" in told
    assert "Please report it" in told


class PanicException(BaseException):
    """As polars raises them."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        PanicException("could not spawn threads: ThreadPoolBuildError"),
    ],
)
def test_memory_that_runs_out_is_said_however_it_shows(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("starface_nb.read_log", out_of_memory)
    assert "not enough memory" in said(["events", str(LOG)], capsys)
    error.args = ("another panic",)
    if isinstance(error, PanicException):
        assert "a fault of the program" in said(["events", str(LOG)], capsys, 3)


def test_a_typed_time_is_in_the_logs_zone_unless_it_says_so() -> None:
    assert moment("2026-07-01T12:00", "Europe/Berlin").isoformat() == "2026-07-01T12:00:00+02:00"
    assert moment(" 2026-07-01 12:00+00:00 ", "Europe/Berlin").isoformat() == "2026-07-01T12:00:00+00:00"
    with pytest.raises(SettingError, match="no time"):
        moment("tomorrow", "UTC")


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("plutoprint", "report {} -o page.pdf"),
        ("plutoprint", "report {} -o page.html --pdf"),
        ("distributed", "fleet {} -o out --scheduler tcp://127.0.0.1:9"),
    ],
)
@pytest.mark.parametrize("error", ["ImportError", "OSError"])
def test_a_library_that_does_not_load_is_said(
    library: str,
    command: str,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(library, error, tmp_path)
    for name in [one for one in sys.modules if one.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    told = said(command.format(LOG).split(), capsys)
    assert told.count("\n") == 1
    assert "does not load" in told
    assert "libxyz.so" in told
    assert {path.name for path in tmp_path.iterdir()} == {library}


def broken(library: str, error: str, folder: Path) -> None:
    (folder / library).mkdir()
    (folder / library / "__init__.py").write_text(f"raise {error}('libxyz.so: cannot open shared object file')")


def test_pictures_that_do_not_load_are_said(tmp_path: Path) -> None:
    broken("vl_convert", "OSError", tmp_path)
    search = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    asked = [*STARFACE_NB, "report", str(LOG), "-o", "page.html"]
    done = subprocess.run(asked, cwd=tmp_path, env=os.environ | {"PYTHONPATH": search}, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "does not load" in done.stderr
    assert "libxyz.so" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["vl_convert"]


def test_docstrings_that_a_library_needs_are_said(tmp_path: Path) -> None:
    asked = [sys.executable, "-OO", "-m", "starface_nb", "report", str(LOG), "-o", "page.html"]
    search = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(asked, cwd=tmp_path, env=os.environ | search, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "PYTHONOPTIMIZE" in done.stderr
    assert not list(tmp_path.iterdir())


if sys.platform != "win32":  # signals, pipes and /dev/full are POSIX

    @pytest.mark.parametrize(("form", "first"), [("jsonl", b"{"), ("csv", b"time,")])
    def test_a_reader_that_has_seen_enough_is_no_error(form: str, first: bytes) -> None:
        asked = [*STARFACE_NB, "events", "--format", form, samples.recorded("mixed")]
        with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            assert run.stdout is not None
            assert run.stderr is not None
            assert run.stdout.readline().startswith(first)
            run.stdout.close()
            assert run.stderr.read() == b""
        assert run.returncode == 0

    def test_a_full_disk_is_said(tmp_path: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full on this system")
        with open("/dev/full", "w") as full:  # noqa: PTH123
            command = [*STARFACE_NB, "anonymise", LOG, "-o", tmp_path / "new.log"]
            assert subprocess.run(command, stdout=full, stderr=full).returncode == 2
            assert subprocess.run([*STARFACE_NB, "check", "none"], stdout=full, stderr=full).returncode == 2
            said = "starface-nb: output: No space left on device. Choose another file or folder, or make room there.\n"
            for form in ("jsonl", "csv", "parquet"):
                command = [*STARFACE_NB, "events", LOG, "--format", form]
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
                assert (done.returncode, done.stderr) == (2, said)

    def refused(python: list[str], command: str, folder: Path) -> str:
        """Return what a command says that is refused before its work, and of which nothing is left."""
        shutil.copy(LOG, folder / "a.log")
        name, *options = command.split()
        done = subprocess.run([*python, name, "a.log", *options], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert [path.name for path in folder.iterdir()] == ["a.log"]
        return done.stderr

    def limited(limit: str) -> list[str]:
        return ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *STARFACE_NB]

    @pytest.mark.parametrize("command", ["check", "fleet -o out --workers 2", "report -o page.html"])
    def test_too_little_memory_is_said(command: str, tmp_path: Path) -> None:
        assert refused(limited("-v 900000"), command, tmp_path) == (
            "starface-nb: A program may have 878 MiB of memory here; this needs 1,024 MiB of addresses. "
            "Lift the limit: `ulimit -v unlimited`.\n"
        )

    @pytest.mark.parametrize("command", ["report -o page.html", "run -o out", "fleet -o out --workers 2"])
    def test_too_few_open_files_are_said(command: str, tmp_path: Path) -> None:
        assert refused(limited("-n 12"), command, tmp_path) == (
            "starface-nb: A program may open 12 files at once here; this needs 256. Lift the limit: `ulimit -n 1024`.\n"
        )

    @pytest.mark.parametrize("command", ["check", "events -o out.csv --format csv", "fleet -o out --workers 2"])
    def test_too_few_threads_are_said(command: str, tmp_path: Path) -> None:
        few = (
            "import runpy, threading; start = threading.Thread.start\n"
            "def limited(thread):\n"
            '    if threading.active_count() > 4: raise RuntimeError("can\'t start new thread")\n'
            "    start(thread)\n"
            "threading.Thread.start = limited; runpy.run_module('starface_nb', run_name='__main__', alter_sys=True)"
        )
        assert refused([sys.executable, "-c", few], command, tmp_path) == (
            "starface-nb: Only 4 more processes or threads may be started here; this needs 24. "
            "Close other programs, or lift the limit: `ulimit -u 4096`, or the container's limit of processes.\n"
        )

    def test_pictures_need_more_than_the_rest() -> None:
        done = subprocess.run(
            [*limited("-v 4000000"), "report", LOG, "-o", "/dev/null"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "needs 73,728 MiB" in done.stderr

    @pytest.mark.parametrize(
        ("loading", "command"),
        [
            ("sys.argv[1:2] == ['check']", "check"),
            ("'spawn_main' in sys.orig_argv[-2]", "fleet -o out --workers 2 b.log"),
        ],
    )
    def test_ctrl_c_while_the_program_or_its_workers_load_is_told_in_one_line(
        loading: str, command: str, tmp_path: Path
    ) -> None:
        for name in ("a.log", "b.log"):
            shutil.copy(LOG, tmp_path / name)
        (tmp_path / "before").mkdir()
        (tmp_path / "before" / "dataclasses.py").write_text(
            f"import os, signal, sys\nif {loading}:\n    os.killpg(0, signal.SIGINT)\n"
            "here = sys.path.pop(0)\ndel sys.modules[__name__]\nimport dataclasses\nsys.path.insert(0, here)\n"
        )  # all these processes load it, before they know of signals
        path = os.pathsep.join([str(tmp_path / "before"), str(Path(__file__).parents[2])])
        done = subprocess.run(
            [sys.executable, "-P", *STARFACE_NB[1:], *command.split(), "a.log"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        assert done.stderr == "starface-nb: interrupted; nothing half-written was left.\n"
        assert done.returncode in (130, -signal.SIGINT)
        assert not list(tmp_path.glob("out/customers"))

    def test_ctrl_c_ends_a_run_of_notebooks_at_once_and_leaves_nothing_half_written(tmp_path: Path) -> None:
        folder = tmp_path / "case"
        with subprocess.Popen(
            [*STARFACE_NB, "run", LOG, "-o", folder, "--notebooks", "00,05"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as run:
            while not (folder / "results").is_dir():  # the first kernel is at work
                assert run.poll() is None
                time.sleep(0.05)
            os.killpg(run.pid, signal.SIGINT)
            out, err = run.communicate()
        assert (run.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "starface-nb: interrupted; nothing half-written was left."
        assert "Traceback" not in err
        assert not [path.name for path in folder.rglob("*") if path.name.startswith(".") and path.suffix != ".lock"]


@pytest.mark.skipif(os.name != "posix", reason="HOME is POSIX's")
@pytest.mark.parametrize("home", ["~nobody-of-this-name", None])
def test_a_home_that_is_none_stops_no_command(home: str | None, tmp_path: Path) -> None:
    unknown = "import os, pwd, sys\ndef getpwuid(_):\n raise KeyError\n" + ("" if home else "pwd.getpwuid = getpwuid\n")
    code = f"{unknown}from starface_nb.cli import main\nsys.exit(main())"
    env = {name: value for name, value in os.environ.items() if name != "HOME"} | ({"HOME": home} if home else {})
    asked = [sys.executable, "-c", code, "report", str(LOG), "-o", "r.html"]
    run = subprocess.run(asked, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (1, "starface-nb: Report written: r.html\n")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.skipif(os.name != "posix", reason="umask is POSIX's")
@pytest.mark.parametrize("umask", [0o777, 0o027])
def test_what_is_written_can_be_read_by_its_owner_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    asked = [*STARFACE_NB, "fleet", str(LOG), "-o", "new/out"]
    assert subprocess.run(asked, cwd=tmp_path, umask=umask, capture_output=True).returncode == 0
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("command", ["run LOG -o out", "lab LOG --cases out --dry-run"])
def test_a_missing_folder_for_temporary_files_is_said(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["missing"])
    assert main(command.replace("LOG", str(LOG)).split()) == 2
    assert "No folder for temporary files can be written to" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLARS_MAX_THREADS", "0"),
        ("POLARS_MAX_THREADS", "100000"),
        ("POLARS_MAX_THREADS", "-1"),
        ("POLARS_MAX_THREADS", "two"),
        ("POLARS_MAX_THREADS", "9" * 5000),
        ("POLARS_ASYNC_THREAD_COUNT", "0"),
        ("POLARS_IDEAL_MORSEL_SIZE", "0"),
    ],
)
def test_a_count_that_a_library_does_not_survive_is_said_before_it_is_loaded(name: str, value: str) -> None:
    code = "import sys\nfrom starface_nb.cli import main\nstatus = main()\nsys.exit(status + ('polars' in sys.modules))"
    asked = [sys.executable, "-c", code, "check", str(LOG)]
    run = subprocess.run(asked, env=os.environ | {name: value}, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"starface-nb: {name}: The environment's variable is '{value}', not a whole number")
    assert run.stderr.endswith(f" Give it such a number, or none: `unset {name}`.\n")


def test_a_count_that_a_library_can_do_with_is_left_alone_and_a_file_that_is_no_time_zone_is_none() -> None:
    run = subprocess.run(
        [*STARFACE_NB, "check", str(LOG)],
        env=os.environ
        | {"POLARS_MAX_THREADS": "256", "POLARS_IDEAL_MORSEL_SIZE": "1"}
        | {"TZ": f":{LOG}", "POLARS_ENGINE_AFFINITY": "gpu"},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (1, "")


@pytest.mark.parametrize(("size", "threads"), [(1, "1"), (2 << 20, "None")])
def test_only_a_small_log_is_left_to_one_thread(size: int, threads: str, tmp_path: Path) -> None:
    log = tmp_path / "pbx.log"
    log.write_bytes(LOG.read_bytes().ljust(size, b"\n"))
    said = f"import os; print(os.environ.get('POLARS_MAX_THREADS'), file=open({str(tmp_path / 'said')!r}, 'w'))"
    code = f"import atexit; atexit.register(lambda: exec({said!r})); from starface_nb.cli import main; main()"
    env = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    run = [sys.executable, "-c", code, "check", str(log), "--exit-zero"]
    subprocess.run(run, check=True, env=env, stdout=subprocess.DEVNULL)
    assert (tmp_path / "said").read_text().strip() == threads
