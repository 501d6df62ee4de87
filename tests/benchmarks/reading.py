"""How fast and how large reading a log is, beside other tools doing the same job, in one run on the same warm file.

    python -m tests.benchmarks.reading --size 1            # gigabytes; several sizes may be named
    python -m tests.benchmarks.reading --size 0.1 1 4 --write

A seeded log is generated in a temporary folder and deleted afterwards. The job: from an Asterisk `full` log with 0.25 %
relevant lines, every reachability and registration event with its time, peer and kind. `rg` and `grep` only count the
lines, of the strings of this job or of "every needle" that `read_log` looks for. "Again" is a log that was read before
and has not changed. Python contenders are timed inside their process, after their imports; other programs from start to
end. Peak memory is the process's own (resident set), which for `rg` includes the mapped file. Who took more than 20 s
is left out of the larger sizes.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

RELEVANT = 0.0025
DUMPS = 0.002  # share of entries that are dumps of a SIP message, each with two marks
LITERALS = (
    " is now UNREACHABLE",
    " is now Reachable",
    " is now Lagged",
    "Registered SIP '",
    "Registration from '",
    "Retransmission timeout reached",
    "Asterisk Dynamic Loader Starting",
    "Added contact '",
    "Removed contact '",
)
RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- reading -->", "<!-- end of reading -->"
TOO_SLOW: set[str] = set()  # contenders that took more than 20 s; left out of larger sizes
PREFIX: list[str] = []  # put before each measured command, say to raise its priority on a busy machine
_PATTERN = r"(?:Peer '(.*)' is now (UNREACHABLE|Reachable|Lagged)|(Registered) SIP '(.*)' at )"
_WANTED = r"Peer '.*' is now (?:UNREACHABLE|Reachable|Lagged)|Registered SIP '.*' at "


# ---- the log ----


def _noise(draw: random.Random) -> str:
    channel = f"SIP/{draw.randrange(1000, 4000)}.snomd345-{draw.getrandbits(32):08x}"
    call, thread, number = f"C-{draw.getrandbits(32):08x}", draw.randrange(1000, 30000), draw.randrange(10**9)
    if draw.random() < DUMPS:
        return (
            f"VERBOSE[2211] chan_sip.c: \n<--- SIP read from UDP:203.0.113.{number % 250}:5060 --->\n"
            f"OPTIONS sip:pbx SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.{number % 250}:5060;branch=z9hG4bK{number:x};rport\n"
            f"From: <sip:{number}@10.0.0.1>;tag={number}\nTo: <sip:pbx>\nCall-ID: {number}@10.0.0.1\n"
            "CSeq: 102 OPTIONS\nContent-Length: 0\n\n<------------->\n"
        )
    kinds = (
        f'pbx.c: Executing [s@macro-dial:{number % 50}] Set("{channel}", "__DIALEDPEER={number}") in new stack',
        f'pbx.c: Executing [{number}@from-internal:7] GotoIf("{channel}", "1?done") in new stack',
        f"pbx_builtins.c: Goto (macro-dial,s,{number % 90})",
        f"app_dial.c: {channel} is ringing",
        f"app_dial.c: Called SIP/{number % 4000}.snomd345",
        f"bridge_channel.c: Channel {channel} joined 'simple_bridge' basic-bridge <{number:032x}>",
        f"func_db.c: DB_RESULT={number:x} for key 'user/{number % 900}/state'",
        f"manager.c: Manager 'ucd' logged on from 127.0.0.1 ({number:x})",
        f"chan_sip.c: Checking SIP call limits for device {number % 4000}.yealinkt46s",
        f"rtp_engine.c: Locally bridged {channel} and SIP/trunk-{number:08x}, sequence {number}",
    )
    level = draw.choice(("VERBOSE", "VERBOSE", "VERBOSE", "DEBUG"))
    return f"{level}[{thread}][{call}] {draw.choice(kinds)}\n"


def _event(draw: random.Random) -> str:
    peer, rtt = f"{draw.randrange(1000, 1500)}.snomd345", draw.randrange(9, 90)
    texts = (
        f"NOTICE[2211] chan_sip.c: Peer '{peer}' is now UNREACHABLE!  Last qualify: {rtt}\n",
        f"NOTICE[2211] chan_sip.c: Peer '{peer}' is now Reachable. ({rtt}ms / 2000ms)\n",
        f"VERBOSE[2211] chan_sip.c: Registered SIP '{peer}' at 203.0.113.{rtt}:{draw.randrange(1024, 65536)}\n",
    )
    return draw.choice(texts)


def write_log(path: Path, size: int, seed: int = 1) -> int:
    """Write a log of about `size` bytes and return its number of lines."""
    draw = random.Random(seed)  # noqa: S311
    pool = [_noise(draw).encode() for _ in range(200_000)]
    per_entry = sum(body.count(b"\n") for body in pool) / len(pool)
    share = RELEVANT * per_entry / (1 - RELEVANT + RELEVANT * per_entry)
    now, written, lines = datetime(2026, 3, 4), 0, 0
    with path.open("wb") as file:
        while written < size:
            at, count = draw.randrange(len(pool)), draw.randrange(5, 40)
            now += timedelta(milliseconds=draw.randrange(2000))
            stamp = f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] ".encode()
            bodies = pool[at : at + count]
            bodies += [_event(draw).encode() for _ in range(int(len(bodies) * share + draw.random()))]
            text = stamp + stamp.join(bodies)
            written += file.write(text)
            lines += text.count(b"\n")
    return lines


# ---- the contenders ----


def _read_log(path: str) -> int:
    from starface_nb.reading import read_log

    yield_ready()
    return read_log(path, progress=False).events.height


def _again(path: str) -> int:
    from starface_nb.reading import read_log

    with tempfile.TemporaryDirectory() as folder:
        read_log(path, progress=False, cache=Path(folder))
        yield_ready()
        return read_log(path, progress=False, cache=Path(folder)).events.height


def _pandas(path: str) -> int:
    import pandas as pd

    yield_ready()
    chunks = pd.read_csv(
        path,
        sep="\x1f",
        header=None,
        names=["line"],
        quoting=3,
        chunksize=1_000_000,
        encoding_errors="replace",
        engine="c",
    )
    found = []
    for chunk in chunks:
        lines = chunk["line"].astype(str)
        lines = lines[lines.str.contains(_WANTED, regex=True)]
        found.append(lines.str.extract(r"^\[(?P<time>[^\]]+)\].*?" + _PATTERN))
    frame = pd.concat(found)
    frame["time"] = pd.to_datetime(frame["time"], format="%Y-%m-%d %H:%M:%S,%f")
    return len(frame)


def _polars(path: str) -> int:
    import polars as pl

    yield_ready()
    lines = pl.scan_csv(
        path, separator="\x1f", quote_char=None, has_header=False, encoding="utf8-lossy", schema={"line": pl.String}
    )
    wanted = lines.filter(pl.col("line").str.contains(_PATTERN))
    groups = pl.col("line").str.extract_groups(r"^\[(?P<time>[^\]]+)\].*?" + _PATTERN).alias("g")
    frame = wanted.select(groups).unnest("g").with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S,%3f"))
    return frame.collect().height


def _duckdb(path: str) -> int:
    import duckdb

    yield_ready()
    query = f"""
        SELECT strptime(regexp_extract(line, '^\\[([^\\]]+)\\]', 1), '%Y-%m-%d %H:%M:%S,%g') AS time,
               regexp_extract(line, $1, ['peer', 'kind', 'registered', 'who']) AS parts
        FROM read_csv('{path}', delim='\x1f', header=false, quote='', escape='', columns={{'line': 'VARCHAR'}},
                      auto_detect=false, max_line_size=10000000, strict_mode=false, null_padding=true)
        WHERE regexp_matches(line, $1)
    """  # noqa: S608
    return len(duckdb.execute(query, [_PATTERN]).fetchall())


def _isal(path: str) -> int:
    from isal import igzip

    yield_ready()
    return _drain(igzip.open(path, "rb"))


def _rapidgzip(path: str) -> int:
    import rapidgzip

    yield_ready()
    return _drain(rapidgzip.open(path, parallelization=len(os.sched_getaffinity(0))))


def _drain(file) -> int:
    view, size = memoryview(bytearray(1 << 20)), 0
    while count := file.readinto(view):
        size += count
    return size


def yield_ready() -> None:
    """Begin the time: imports are done."""
    globals()["_BEGAN"] = time.perf_counter(), time.process_time()


PYTHON: dict[str, Callable[[str], int]] = {
    "starface-nb read_log": _read_log,
    "starface-nb again": _again,
    "polars": _polars,
    "DuckDB": _duckdb,
    "pandas": _pandas,
}
UNPACKERS: dict[str, Callable[[str], int]] = {"isal (igzip)": _isal, "rapidgzip": _rapidgzip}


def _programs(path: str) -> Iterator[tuple[str, list[str]]]:
    from starface_nb.reading.catalogue import NEEDLES
    from starface_nb.reading.lines import MARKS

    each = [part for literal in LITERALS for part in ("-e", literal)]
    yield "rg -c", ["rg", "-c", "-F", *each, path]
    every = [part for needle in (*NEEDLES, *MARKS) for part in ("-e", needle.decode())]
    yield "rg -c, every needle", ["rg", "-c", "-F", *every, path]
    yield "grep -c", ["grep", "-c", "-F", *each, path]
    lines = "|".join(literal.replace("'", ".") for literal in LITERALS)
    yield "lnav (headless)", ["lnav", "-n", "-c", f":filter-in {lines}", path]


def _unpacking_programs(path: str) -> Iterator[tuple[str, list[str]]]:
    yield "pigz -dc", ["pigz", "-dc", path]
    yield "gzip -dc", ["gzip", "-dc", path]


# ---- measuring ----


@dataclass(frozen=True)
class Measured:
    """Best of several runs."""

    name: str
    seconds: float
    cpu: float
    peak_mib: float
    found: int


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
        if last.startswith("{"):
            report = json.loads(last)
            seconds, cpu, found = report["seconds"], report["cpu"], report["found"]
        else:
            cpu = usage.ru_utime + usage.ru_stime
            found = int(last) if last.isdigit() else -1
        if best is None or seconds < best.seconds:
            best = Measured(name, seconds, cpu, usage.ru_maxrss / 1024, found)
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
    path = folder / "full"
    lines = write_log(path, int(size * 1e9))
    yield f"### {size:g} GB plain: {path.stat().st_size / 1e9:.2f} GB, {lines:,} lines\n"
    commands = itertools.chain(((name, _python(name, path)) for name in PYTHON), _programs(str(path)))
    results = _all(commands, path, repeats, chosen)
    yield from _table(results, path.stat().st_size, "rg -c")
    packed = folder / "full.gz"
    with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as out:
        shutil.copyfileobj(plain, out, 1 << 20)
    total = path.stat().st_size
    path.unlink()
    yield f"\n### {size:g} GB as gz: {packed.stat().st_size / 1e9:.2f} GB\n"
    names = ["starface-nb read_log", *UNPACKERS, "polars"]
    commands = itertools.chain(((name, _python(name, packed)) for name in names), _unpacking_programs(str(packed)))
    results = _all(commands, packed, repeats, chosen)
    alone = [r for r in results if r.name in UNPACKERS or "-dc" in r.name]
    yield from _table(results, total, min(alone, key=lambda r: r.seconds).name if alone else "")
    packed.unlink()


def _all(commands: Iterator[tuple[str, list[str]]], path: Path, repeats: int, chosen: list[str]) -> list[Measured]:
    with path.open("rb", buffering=0) as file:
        _drain(file)  # into the page cache
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
    parser.add_argument("--folder", type=Path, help="where the temporary files go")
    parser.add_argument(
        "--prefix", default="", help='put before each measured command, say "chrt -r 5" on a busy machine'
    )
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        found = (PYTHON | UNPACKERS)[options.run[0]](options.run[1])
        began, used = globals()["_BEGAN"]
        ended = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used, "found": found}
        print(json.dumps(ended))
        return
    PREFIX[:] = options.prefix.split()
    report = [f"## Reading\n\n{__doc__.split(chr(10) * 2, 2)[2].strip()}\n\nMeasured {_machine()}{_priority()}.\n"]
    print(report[0])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for size in options.size:
            for row in measure(size, Path(folder), options.repeats, options.only):
                print(row, flush=True)
                report.append(row)
            report.append("")
    if options.write:
        _keep("\n".join(report))


if __name__ == "__main__":
    main()
