"""What is left when a command is killed at a random moment of its work: nothing half, nothing lost, nobody behind.

python -m tests.benchmarks.kills --times 20     # of each command with -9, and with TERM
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl

from starface_nb import samples
from starface_nb.cases.answers import AnswerStore

# Start-up, which holds nothing of the user's, is over when this is said.
BEGIN = """
import sys
import starface_nb.cases.runner, starface_nb.fleet, starface_nb.privacy, starface_nb.report, starface_nb.reading
from starface_nb.cli import main
print("begun", flush=True)
"""
RUN = "sys.argv[1:] and sys.exit(main())"
SAVE = """
from pathlib import Path
from starface_nb.cases.answers import AnswerStore
store = AnswerStore(Path("out/answers.json"))
first = (store.get("step") or {"answer": 0})["answer"]
for n in range(first + 1, first + 400):
    store.set("step", n, note="x" * 20_000)
    print(n, flush=True)
"""
COMMANDS = {
    "report": (RUN, ["report", "in/a.log", "-o", "out/report.html", "--pdf"]),
    "anonymise": (RUN, ["anonymise", "in/a.log", "-o", "out/anonymous.zip", "--key", "key"]),
    "fleet": (RUN, ["fleet", "in", "-o", "out", "--workers", "2"]),
    "run": (RUN, ["run", "in/a.log", "-o", "out", "--notebooks", "00"]),
    "saving": (SAVE, []),
}
FORGOTTEN = {"fleet": ("**/*.parquet", "fleet.html"), "anonymise": ("*.zip",)}  # before each round
WHOLE: dict[str, Callable[[Path], object]] = {
    ".html": lambda path: path.read_bytes().rstrip().endswith(b"</html>") or 1 / 0,
    ".pdf": lambda path: path.read_bytes().rstrip().endswith(b"%%EOF") or 1 / 0,
    ".json": lambda path: json.loads(path.read_bytes()),
    ".ipynb": lambda path: json.loads(path.read_bytes())["cells"][0],
    ".parquet": pl.read_parquet,
    ".zip": lambda path: zipfile.ZipFile(path).testzip() is None or 1 / 0,
}


def processes(mark: str) -> list[int]:
    """Return the processes that have this in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if mark.encode() in (entry / "environ").read_bytes() and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def begin(code: str, arguments: list[str], folder: Path, mark: str) -> subprocess.Popen[str]:
    """Start a command, and return once its start-up is over."""
    environment = os.environ | {"KILLS": mark, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", BEGIN + code, *arguments]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n", (folder / "said").read_text()
    return process


def half_written(folder: Path) -> list[str]:
    """Return the results that are not whole; what has no name of a result yet (`.x`) is none."""
    wrong = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.suffix in WHOLE:
            try:
                WHOLE[path.suffix](path)
            except Exception as error:  # whatever shows that it is half
                wrong.append(f"{path.name}: {type(error).__name__}")
    return wrong


def forget(name: str, out: Path) -> None:
    """Remove what a fleet has written, or nothing would be left to do, and an anonymous log, which is not replaced."""
    for pattern in FORGOTTEN.get(name, ()):
        for path in out.glob(pattern):
            path.unlink()


def told_fault(folder: Path, status: int) -> bool:
    """Say whether a command that was killed told a fault of its own; show it."""
    said = (folder / "said").read_text()
    is_fault = status == 3 or "Traceback" in said
    if is_fault:
        print(f"exit {status}: {said}", file=sys.stderr)
    return is_fault


def measure(name: str, sent: signal.Signals, times: int, chance: random.Random) -> Counter[str]:
    """Kill one command again and again, each time in the state that the kill before it left."""
    code, arguments = COMMANDS[name]
    with tempfile.TemporaryDirectory() as made:
        folder, found = Path(made), Counter[str]()
        for part in ("in", "out", "tmp"):
            (folder / part).mkdir()
        log = samples.recorded("one-bad-phone").read_bytes()
        for n in range(6):
            (folder / "in" / f"{'abcdef'[n]}.log").write_bytes(log)
        mark = f"{os.getpid()}-{name}-{sent}"
        whole = begin(code, arguments, folder, mark)
        since = time.monotonic()
        whole.communicate()
        lasts, key = time.monotonic() - since, (folder / "key").read_bytes() if name == "anonymise" else b""
        there = {path.relative_to(folder) for path in (folder / "out").rglob("*") if not path.name.startswith(".")}
        while found["kills"] < times:
            forget(name, folder / "out")
            process = begin(code, arguments, folder, mark)
            since = time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.random() * lasts)
                lasts = time.monotonic() - since  # it was over before: no kill, and shorter than the run before it
                found["ended before"] += 1
            alive = process.poll() is None
            process.send_signal(sent)
            told = process.communicate()[0].split()
            found["kills"] += (killed := process.returncode in (-sent, 128 + sent))
            found["ended all the same"] += alive and not killed  # past its last line, or the signal got lost
            found["faults told"] += told_fault(folder, process.returncode)
            late = time.monotonic() + 60
            while (left := processes(mark)) and time.monotonic() < late:
                time.sleep(0.1)
            found["processes left"] += len(left)
            found["half-written"] += len(half_written(folder / "out"))
            found["inputs changed"] += any(path.read_bytes() != log for path in (folder / "in").iterdir())
            found["hidden files left"] += sum(1 for path in folder.rglob(".starface-nb-*"))
            found["temporary folders left"] += len(list((folder / "tmp").iterdir()))
            if name == "anonymise":
                found["keys lost"] += (folder / "key").read_bytes() != key
            if name == "saving":
                kept = (AnswerStore(folder / "out/answers.json").get("step") or {"answer": 0})["answer"]
                found["answers lost"] += kept < int(told[-1]) if told else 0
            if name not in FORGOTTEN:
                found["results lost"] += any(not (folder / path).exists() for path in there)
            for path in (*folder.rglob(".starface-nb-*"), *(folder / "tmp").iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        forget(name, folder / "out")
        again = begin(code, arguments, folder, mark)
        again.communicate()
        found["locks that block"] += again.returncode not in (0, 1) or bool(half_written(folder / "out"))
        return found


def main() -> None:
    """Measure, and print one line per command and signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", default=[*COMMANDS])
    options = parser.parse_args()
    for sent in (signal.SIGKILL, signal.SIGTERM):
        total = Counter[str]()
        for name in options.names:
            found = measure(name, sent, options.times, random.Random(f"{options.seed} {name} {sent}"))  # noqa: S311  repeatable, not secret
            print(f"{sent.name} {name}: {dict(+found)}", flush=True)
            total.update(found)
        print(f"{sent.name}: {dict(total)}", flush=True)


if __name__ == "__main__":
    main()
