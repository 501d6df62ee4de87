"""`starface-nb run`: executed copies and the report in the case's folder; the same parameters through papermill."""

from __future__ import annotations

import html
import os
import re
import shutil
from pathlib import Path

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter
from nbformat import v4

from starface_nb import samples
from starface_nb.cases import open_case
from starface_nb.cases.runner import run_notebooks
from starface_nb.cli import main
from starface_nb.errors import SetupError
from starface_nb.files import house_ipython
from starface_nb.guide import checklist, headline


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A customer's log: a phone that loses power again and again behind a healthy router."""
    path = tmp_path / "downloads" / "customer.log"
    path.parent.mkdir()
    shutil.copy(samples.recorded("one-bad-phone"), path)
    return path


def shown(path: Path) -> str:
    """All text that an executed notebook shows."""
    outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    return "\n".join(
        o.get("text", "") + str(o.get("data", {}).get("text/html", o.get("data", {}).get("text/plain", "")))
        for o in outputs
    )


def test_a_kernel_that_dies_on_the_way_is_said_with_what_to_do(tmp_path: Path) -> None:
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("import os\nos._exit(9)")]), path := tmp_path / "a.ipynb")
    (done,) = run_notebooks([path])
    assert done.cell == 1
    assert "Kernel died" in done.error
    assert done.error.endswith("close other programs, and run it again.")


def test_a_kernel_that_is_killed_while_it_writes_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = """
import os, signal
from pathlib import Path
from starface_nb.files import new_folder, replacing
Path("results").mkdir()
with new_folder(Path("results/folder")) as folder, replacing(folder / "inside"), replacing(Path("results/file")):
    Path("seen").write_text(str(len(list(Path("results").rglob(".*")))))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(code)]), path := tmp_path / "a.ipynb")
    (tmp_path / "results-of-others").mkdir()
    (others := tmp_path / "results-of-others" / ".starface-nb-1-now").write_text("half")
    (done,) = run_notebooks([path])
    assert "Kernel died" in done.error
    assert (tmp_path / "seen").read_text() == "3"
    assert not list((tmp_path / "results").iterdir())
    assert others.exists()  # its process may be at it


@pytest.mark.parametrize("home", [".", "missing"])
def test_where_the_home_takes_nothing_ipython_gets_a_folder_that_passes(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": tmp_path / home, "USERPROFILE": tmp_path / home, "IPYTHONDIR": ""}.items():
        monkeypatch.setenv(name, str(value))
    house_ipython()
    given = os.environ["IPYTHONDIR"]
    assert bool(given) == (home == "missing")
    assert list(Path(given or tmp_path).iterdir()) == []


def test_run_writes_executed_copies_of_every_notebook_that_reads_a_log_and_the_report(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in samples.notebooks().iterdir() if path.is_file()}
    folder, numbers = tmp_path / "case", ("00", "05", "06", "10")  # 90 is on its own logs alone
    asked = ["run", str(log), "-o", str(folder), "--language", "de", "--keepalive", "30m"]
    status = main([*asked, "--notebooks", ",".join(numbers)])
    told = capsys.readouterr()
    assert status == 1, told.err
    assert told.err == ""
    assert "00_case.ipynb: done in" in told.out
    assert f"report: {folder / 'report.html'}" in told.out
    texts = {path.name[:2]: shown(path) for path in folder.glob("*.ipynb")}
    assert sorted(texts) == [*numbers]
    assert not folder.stat().st_mode & 0o1000  # as Jupyter leaves a folder with a kernel's connection file
    for number, mark in {"00": "51104.snomd345", "05": "203.0.113.51"}.items():
        assert mark in texts[number]
        assert "203.0.113.21" not in texts[number]  # the sample's
    prose = [c.source for c in nbformat.read(folder / "00_case.ipynb", as_version=4).cells if c.cell_type == "markdown"]
    assert prose[0] == "# case"
    assert "Darunter" in prose[1]
    assert 'lang="de"' in (folder / "report.html").read_text("utf-8")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("name", "language"), [("one-bad-phone", "en"), ("clean", "de"), ("pjsip-clean", "fr")], ids=lambda one: one
)
def test_by_papermill_and_nbconvert_a_case_is_a_readable_page(tmp_path: Path, name: str, language: str) -> None:
    copy, folder = tmp_path / "executed.ipynb", tmp_path / "case"
    given = {"log": str(samples.recorded(name)), "case_folder": str(folder), "language": language}
    papermill.execute_notebook(
        samples.notebooks() / "00_case.ipynb",
        copy,
        parameters=given | {"keepalive_minutes": 30 if name == "one-bad-phone" else 60},
        kernel_name="python3",
        progress_bar=False,
    )
    case = open_case(folder=folder)
    found, tr = case.diagnosis, case.translator
    assert case.language == language
    shown(copy)  # no error and no warning
    page, _ = HTMLExporter().from_filename(str(copy))
    (frame,) = re.findall(r'srcdoc="([^"]*)"', page)
    words, told = text_of(page.replace(frame, "")), text_of(html.unescape(frame))
    parts = [headline(found, tr), tr("What happened"), tr("The checklist of the guide"), tr("The NAT timeout")]
    places = [*(words.find(part) for part in parts), words.rfind(tr("The report"))]
    assert places == sorted(places)  # as a reader meets them
    assert places[0] > 0
    assert "open_case" not in words  # code is folded
    incidents = tr.count("{n} incident", "{n} incidents", found.incidents.height)
    assert f"{incidents}, {tr.count('{n} loss', '{n} losses', found.intervals.height)}" in words
    assert [
        step.title for step in checklist(tr) if f"{step.number} · {step.title}".replace("\xa0", " ") not in words
    ] == []
    assert all(words.count(site) > 3 for site in found.sites["site"])
    pictures = re.findall(r'<svg [^>]*aria-label="([^"]*)"', page)
    for title in ("When each phone was unreachable", "How long after its phone's last renewal each loss came"):
        assert any(html.unescape(one).startswith(tr(title)) for one in pictures)
    assert headline(found, tr) in told
    assert tr("How to verify it afterwards" if "too_short" in found.sites["verdict"] else "What to set") in told
    hint = tr("Shown as it was saved: run the notebook to use it.")
    assert words.count(hint.replace("\xa0", " ")) == 5  # once for each panel


def text_of(page: str) -> str:
    """Return what a page says, its spaces made one."""
    words = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(words).replace("\xa0", " ").split())


def test_a_failing_notebook_is_named_with_its_cell_and_the_others_still_run(tmp_path: Path) -> None:
    for name, sources in (("first", ["a = 1", "1 / 0", "b = 2"]), ("second", ["print('ran')"])):
        cells = [v4.new_markdown_cell("# Text"), *map(v4.new_code_cell, sources)]
        nbformat.write(v4.new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    first, second = run_notebooks([tmp_path / "first.ipynb", tmp_path / "second.ipynb"])
    assert (first.cell, first.error) == (2, "ZeroDivisionError: division by zero")
    assert (second.cell, second.error) == (None, "")
    assert "ran" in shown(second.path)
    kept = nbformat.read(first.path, as_version=4)
    assert [cell.get("execution_count") for cell in kept.cells] == [None, 1, 2, None]


def test_a_second_run_keeps_what_an_analyst_wrote(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["run", str(log), "-o", str(tmp_path / "case"), "--notebooks", "10, "]
    notebook = tmp_path / "case" / "10_free_work.ipynb"
    main(asked)
    mine = nbformat.read(notebook, as_version=4)
    mine.cells += [v4.new_markdown_cell("a note of mine"), v4.new_code_cell("print('counted by me')")]
    nbformat.write(mine, notebook)
    (tmp_path / "case" / "losses.csv").write_text("counted by hand")
    monkeypatch.setattr("starface_nb.errors.find_spec", lambda _: None)  # without the extra for a PDF
    assert main(asked) == 1
    assert capsys.readouterr().err == "starface-nb: Changed since it was written, and kept: losses-changed-1.csv\n"
    assert (tmp_path / "case" / "losses-changed-1.csv").read_text() == "counted by hand"
    assert main(asked) == 1  # what was not changed since is replaced
    assert capsys.readouterr().err == ""
    assert "a note of mine" in notebook.read_text("utf-8")
    assert "counted by me" in shown(notebook)
    for damaged in ("{", "[]", '{"cells": 3}', '{"cells": [{}]}'):
        notebook.write_text(damaged)
        capsys.readouterr()
        assert main(asked) == 2
        assert "10_free_work.ipynb: This is no notebook" in capsys.readouterr().err
        assert notebook.read_text() == damaged


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os; os.write(2, b'no licence'); os._exit(1)", "no licence"),
        ("import os; os._exit(0)", "Kernel died"),
    ],
)
def test_a_kernel_that_does_not_start_is_told_with_what_to_do(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (startup := tmp_path / "ipython" / "profile_default" / "startup").mkdir(parents=True)
    (startup / "mine.py").write_text(text)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1")]), tmp_path / "one.ipynb")
    with pytest.raises(SetupError, match=rf"did not start: {said}.*Move away"):
        run_notebooks([tmp_path / "one.ipynb"])
    assert {path.name for path in tmp_path.iterdir()} == {"one.ipynb", "ipython"}


def test_a_file_in_the_cases_folder_is_no_module_of_the_notebooks(tmp_path: Path) -> None:
    cells = [v4.new_code_cell("import html, polars, starface_nb, types")]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    for name in ("html", "polars", "starface_nb", "types"):
        (tmp_path / f"{name}.py").write_text("raise ValueError('a file of the case')")
    (done,) = run_notebooks([tmp_path / "one.ipynb"])
    assert done.error == ""


def test_wrong_notebooks_and_logs_are_said_before_anything_runs(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(log), "-o", str(tmp_path / "case"), "--notebooks", "77"]) == 2
    assert "There is no notebook 77. Choose among 00_case" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "nowhere.log"), "-o", str(tmp_path / "case")]) == 2
    assert "nowhere.log" in capsys.readouterr().err
    assert not (tmp_path / "case").exists()
