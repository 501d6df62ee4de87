"""Answers are kept at once, merged between notebooks, and never overwritten unseen or lost by a kill."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from starface_nb.cases import AnswerConflictError, AnswerStore, CaseError


def test_answers_survive_closing_and_reopening(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    store = AnswerStore(path)
    entry = store.set("ports", {"5060": True}, note="asked by phone: \u201eja\u201c", who="analyst")
    assert store.get("ports") == entry
    again = AnswerStore(path)
    assert again.get("ports") == entry
    assert again.get("never asked") is None
    assert set(again.all()) == {"ports"}
    assert entry["who"] == "analyst"
    assert entry["when"].endswith("+00:00")


def test_answers_in_memory_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = AnswerStore()
    store.set("one_or_all", "all")
    found = store.get("one_or_all")
    assert found is not None
    assert found["answer"] == "all"
    assert list(tmp_path.iterdir()) == []


def test_two_notebooks_merge_answers_to_different_steps(tmp_path: Path) -> None:
    first, second = AnswerStore(tmp_path / "a.json"), AnswerStore(tmp_path / "a.json")
    first.set("status", "offline")
    second.set("changes", "new router")
    assert set(AnswerStore(tmp_path / "a.json").all()) == {"status", "changes"}
    assert set(second.all()) == {"status", "changes"}


def test_two_notebooks_do_not_overwrite_each_other_unseen(tmp_path: Path) -> None:
    first, second = AnswerStore(tmp_path / "a.json"), AnswerStore(tmp_path / "a.json")
    first.set("status", "online", who="first")
    with pytest.raises(
        AnswerConflictError, match=r"'online' by first .* Your answer 'offline' was not saved"
    ) as caught:
        second.set("status", "offline", who="second")
    assert caught.value.theirs["answer"] == "online"
    assert caught.value.mine["answer"] == "offline"
    assert AnswerStore(tmp_path / "a.json").all()["status"]["answer"] == "online"
    second.set("status", "offline", who="second")  # now seen, so it is replaced knowingly
    assert AnswerStore(tmp_path / "a.json").all()["status"]["answer"] == "offline"


def test_tuples_come_back_as_lists_without_a_false_conflict(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a.json")
    store.set("ports", ("5060", "5061"))
    assert store.set("ports", ("5060",))["answer"] == ["5060"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{half", "damaged"),
        ("[1]", "no answers file"),
        ('{"kind": "case", "format": 1}', "no answers file"),
        ('{"kind": "answers", "format": 99}', "newer version"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(CaseError, match=says):
        AnswerStore(path)
    assert path.read_text() == content


if sys.platform != "win32":  # file modes are POSIX

    def test_only_the_owner_can_read_answers(tmp_path: Path) -> None:
        AnswerStore(tmp_path / "a.json").set("status", "offline")
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from starface_nb.cases.answers import AnswerStore

path, rounds = Path(sys.argv[1]), int(sys.argv[2])
chance, lost = random.Random(7), 0
for turn in range(rounds):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        store = AnswerStore(path)
        for n in range(100_000):
            store.set(f"step{n % 7}", [turn, n], note="x" * (n % 5000), who="saver")
            os.write(writer, b"%d %d\\n" % (turn, n))  # said to be saved
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        pipe.peek(1)  # one answer at least is saved
        time.sleep(chance.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = [tuple(map(int, line.split())) for line in pipe.read().splitlines()]
    kept = {step: tuple(entry["answer"]) for step, entry in AnswerStore(path).all().items()}
    newest = {f"step{n % 7}": (t, n) for t, n in said}
    lost += sum(kept.get(step, (-1, -1)) < entry for step, entry in newest.items())
print(lost, sum(1 for p in path.parent.iterdir() if p.name.endswith(".saving")))
"""


if hasattr(os, "fork"):  # the killed process is a fork

    def test_killing_a_saving_process_200_times_loses_no_saved_answer(tmp_path: Path) -> None:
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_KILLER), str(tmp_path / "answers.json"), "200"],
            capture_output=True,
            text=True,
            check=True,
        )
        lost, strays = map(int, run.stdout.split())
        assert lost == 0
        assert strays <= 1
        assert json.loads((tmp_path / "answers.json").read_bytes())["version"] >= 200
