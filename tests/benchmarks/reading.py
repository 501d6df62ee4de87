"""How fast and how large reading a log is, beside other tools doing the same job, in one run on the same warm file.

    python -m tests.benchmarks.reading --size 1            # gigabytes; several sizes may be named
    python -m tests.benchmarks.reading --size 0.1 1 4 --write

The log is seeded. The job: from an Asterisk `full` log with 0.25 %
relevant lines, every event that says something of a peer, with its time, peer and kind. polars, DuckDB and pandas look
for the same messages as `read_log`, by the catalogue's own patterns, see `_peers.py`; "polars, three messages" is told
beforehand which three of them this log holds. `rg` and `grep` only count lines, of the strings that an analyst would
search for, or of "every needle" that `read_log` looks for; lnav shows them. Python contenders are timed inside their
process, after their imports; other programs from start to end. Peak memory is the process's own (resident set), which
for `rg` includes the mapped file. Who took more than 20 s is left out of the larger sizes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from tests.benchmarks._logs import KINDS, write_log, zip_of
from tests.benchmarks._peers import BEGAN, PYTHON, UNPACKERS, UNZIPPERS, drain, programs, unpacking_programs

RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- reading -->", "<!-- end of reading -->"
TOO_SLOW: set[str] = set()  # contenders that took more than 20 s; left out of larger sizes
PREFIX: list[str] = []  # put before each measured command, say to raise its priority on a busy machine


@dataclass(frozen=True)
class Measured:
    """Best of several runs."""

    name: str
    seconds: float
    cpu: float
    peak_mib: float
    found: int
    anonymous_mib: float = 0.0


def run(name: str, command: list[str], repeats: int, timeout: float) -> Measured | None:
    """Run a command several times; None where it is not installed or takes too long."""
    if not shutil.which(command[0]):
        return None
    command = [*PREFIX, *command]
    best: Measured | None = None
    for _ in range(repeats):
        began = time.perf_counter()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}
            )
            usage = _wait(process, began + timeout)
            if usage is None:
                print(f"{name}: failed or took longer than {timeout:.0f} s", file=sys.stderr)
                return None
            seconds = time.perf_counter() - began
            output.seek(max(0, output.seek(0, os.SEEK_END) - 200))
            last = (output.read().decode("utf-8", "replace").strip().splitlines() or ["0"])[-1]
        own = 0.0
        if last.startswith("{"):
            report = json.loads(last)
            own = report["own"]
            seconds, cpu, found = report["seconds"], report["cpu"], report["found"]
        else:
            cpu = usage.ru_utime + usage.ru_stime
            found = int(last) if last.isdigit() else -1
        if best is None or seconds < best.seconds:
            best = Measured(name, seconds, cpu, usage.ru_maxrss / 1024, found, own)
        if seconds > 20:
            break
    return best


def _wait(process: subprocess.Popen[bytes], until: float):
    """Return what a process used; None where it failed or took too long."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return None if process.returncode else usage
        if time.perf_counter() > until:
            process.kill()
            os.wait4(process.pid, 0)
            process.returncode = -1
            return None
        time.sleep(0.002)


def _python(name: str, path: Path) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.reading", "--run", name, str(path)]


def measure(size: float, folder: Path, repeats: int, chosen: list[str]) -> Iterator[str]:
    """Yield the lines of a report on one size (in gigabytes)."""
    path, gz, archive = (folder / f"full-{size:g}{ending}" for ending in ("", ".gz", ".zip"))
    if not path.exists():
        write_log(path, int(size * 1e9))
    if not gz.exists():
        with gz.open("wb") as file:
            subprocess.run(
                ["pigz" if shutil.which("pigz") else "gzip", "-6", "-n", "-c", path], stdout=file, check=True
            )
    if not archive.exists():
        zip_of(gz, archive)
    total = path.stat().st_size
    yield f"### {size:g} GB plain\n"
    commands = itertools.chain(((name, _python(name, path)) for name in PYTHON), programs(str(path)))
    yield from _table(_all(commands, path, repeats, chosen), total, "rg -c")
    yield from _packed(f"{size:g} GB as gz", gz, total, [*UNPACKERS, "polars"], repeats, chosen)
    yield from _packed(f"{size:g} GB in a zip", archive, total, UNZIPPERS, repeats, chosen)


def measure_kinds(size: float, folder: Path, repeats: int) -> Iterator[str]:
    """Yield the lines of a report on one size (in gigabytes) of each kind of log: pairs, the median of their ratios."""
    yield "| log | GB | rg -c (s) | read_log (s) | beside rg | own MiB | gz: isal (s) | read_log (s) | beside isal |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for kind in KINDS:
        path, gz = folder / f"full-{kind}-{size:g}", folder / f"full-{kind}-{size:g}.gz"
        if not path.exists():
            write_log(path, int(size * 1e9), kind=kind)
        if not gz.exists():
            with gz.open("wb") as file:
                subprocess.run(["gzip", "-6", "-n", "-c", path], stdout=file, check=True)
        with path.open("rb", buffering=0) as file:
            drain(file)
        rg = next(command for name, command in programs(str(path)) if name == "rg -c")
        plain = _pairs([rg, _python("starface-nb read_log", path)], repeats)
        packed = _pairs([_python("isal (igzip)", gz), _python("starface-nb read_log", gz)], repeats)
        cells = (
            f"{plain[0]:.2f} | {plain[1]:.2f} | {plain[2]:.2f}x | {plain[3]:,.0f}",
            *(f"{x:.2f}" for x in packed[:3]),
        )
        yield f"| {kind} | {path.stat().st_size / 1e9:.2f} | {' | '.join(cells)}x |"


def _pairs(commands: list[list[str]], repeats: int) -> tuple[float, float, float, float]:
    """Return the medians of two commands' times, of their ratio, and of the second one's own (anonymous) memory."""
    rows = []
    for _ in range(repeats):
        first, second = (run("pair", command, 1, timeout=300) for command in commands)
        assert first and second  # noqa: PT018
        rows.append((first.seconds, second.seconds, second.seconds / first.seconds, second.anonymous_mib))
    times, others, ratios, memory = (median(column) for column in zip(*rows, strict=True))
    return times, others, ratios, memory


def _packed(
    title: str, path: Path, total: int, others: Iterable[str], repeats: int, chosen: list[str]
) -> Iterator[str]:
    yield f"\n### {title}: {path.stat().st_size / 1e9:.2f} GB\n"
    commands = [(name, _python(name, path)) for name in ("starface-nb read_log", *others)]
    results = _all([*commands, *(unpacking_programs(str(path)) if path.suffix == ".gz" else ())], path, repeats, chosen)
    alone = [r for r in results if r.name in UNPACKERS | UNZIPPERS or "-dc" in r.name]
    yield from _table(results, total, min(alone, key=lambda r: r.seconds).name if alone else "")


def _all(commands: Iterable[tuple[str, list[str]]], path: Path, repeats: int, chosen: list[str]) -> list[Measured]:
    with path.open("rb", buffering=0) as file:
        drain(file)  # into the page cache
    results = []
    for name, command in commands:
        if name not in TOO_SLOW and (not chosen or any(part in name for part in chosen)):
            measured = run(name, command, repeats, timeout=900)
            results += [measured] if measured else []
            if measured and measured.seconds > 20:
                TOO_SLOW.add(name)
    return results


def _table(results: list[Measured], size: int, yardstick: str) -> Iterator[str]:
    base = next((r.seconds for r in results if r.name == yardstick), None)
    yield f"| | time (s) | GB/s | processor time (s) | peak memory (MiB) | found | beside {yardstick or '-'} |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for r in sorted(results, key=lambda r: r.seconds):
        ratio = f"{r.seconds / base:.2f}x" if base else "-"
        found = f"{r.found:,}" if r.found >= 0 else "-"
        figures = f"{r.seconds:.2f} | {size / r.seconds / 1e9:.2f} | {r.cpu:.2f} | {r.peak_mib:,.0f}"
        yield f"| {r.name} | {figures} | {found} | {ratio} |"


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    rows = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((row.partition(": ")[2] for row in rows if "model name" in row), platform.machine())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {model}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the start"
    )


def _priority() -> str:
    return f"; busy with other work, so each contender ran under `{' '.join(PREFIX)}`" if PREFIX else ""


def _keep(report: str) -> None:
    """Replace this benchmark's section of the results page."""
    old = RESULTS.read_text(encoding="utf-8")
    new = old[: old.index(BEGIN)] + f"{BEGIN}\n{report}\n" + old[old.index(END) :]
    RESULTS.write_text(new, encoding="utf-8")


def main() -> None:
    """Run the benchmark, or one contender of it in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, nargs="+", default=[1.0], help="gigabytes")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--only", nargs="+", default=[], help="contenders whose name has one of these parts")
    parser.add_argument("--folder", type=Path, help="where the logs are kept; default: nowhere")
    parser.add_argument(
        "--prefix", default="", help='put before each measured command, say "chrt -r 5" on a busy machine'
    )
    parser.add_argument("--kinds", action="store_true", help="quiet, busy and SIP debugging on, in pairs beside rg")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        found = (PYTHON | UNPACKERS | UNZIPPERS)[options.run[0]](options.run[1])
        began, used = BEGAN
        ended = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used, "found": found}
        ended["own"] = psutil.Process().memory_info().rss / 2**20 - psutil.Process().memory_info().shared / 2**20
        print(json.dumps(ended))
        return
    PREFIX[:] = options.prefix.split()
    report = [f"## Reading\n\n{__doc__.split(chr(10) * 2, 2)[2].strip()}\n\nMeasured {_machine()}{_priority()}.\n"]
    print(report[0])
    with tempfile.TemporaryDirectory() as temporary:
        for size in options.size:
            kinds = measure_kinds(size, options.folder or Path(temporary), options.repeats) if options.kinds else ()
            for row in kinds:
                print(row, flush=True)
            if options.kinds:
                continue
            for row in measure(size, options.folder or Path(temporary), options.repeats, options.only):
                print(row, flush=True)
                report.append(row)
            report.append("")
    if options.write:
        _keep("\n".join(report))


if __name__ == "__main__":
    main()
