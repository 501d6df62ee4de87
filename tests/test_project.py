"""The house itself: what it is made of, what it says of itself, and that it stays light."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "data",
    "environment.yml",
    "notebooks",
    "pyproject.toml",
    "starface_nb",
    "tests",
}
BY_PRODUCTS = {"__pycache__", "build", "dist", "cases", "inbox"}


def tracked() -> list[Path]:
    """The project's files, relative to its top: as git knows them, or as they lie there where there is no git."""
    if (ROOT / ".git").exists():
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        return [Path(name) for name in names.split("\0") if name and (ROOT / name).exists()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(p for p in found if p.parts[0] in TOP_LEVEL | {".ci", ".github"} and "__pycache__" not in p.parts)


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def requirements(*extras: str) -> set[str]:
    project = pyproject()["project"]
    lines = project["dependencies"] + [line for e in extras for line in project["optional-dependencies"][e]]
    return {re.sub(r"\s", "", line).lower() for line in lines}


def readme_commands() -> dict[str, str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return dict(re.findall(r"<!-- command: (\w+) -->\n```bash\n(.+)\n```", text))


def test_the_readme_quotes_what_check_says_of_the_sample(capsys):
    from starface_nb.cli import main

    quoted = re.findall(r"^ {4}([!*] .+\n(?: {6}.+\n)*)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(quoted) == 2
    assert main(["check", "--exit-zero", str(ROOT / "data/sample/debuginfo-sample.zip")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert not {" ".join(one.split()) for one in quoted} - set(said)


def test_environment_yml_asks_for_what_pyproject_asks_for():
    lines = (ROOT / "environment.yml").read_text("utf-8").splitlines()
    items = {re.sub(r"\s", "", line.strip()[2:]).lower() for line in lines if re.match(r"\s+- [a-z]", line)}
    python = f"python{pyproject()['project']['requires-python']}"
    assert items - {"conda-forge", "nodefaults", "pip", "pip:", python} == requirements("test")
    assert python in items


def test_constraints_name_an_exact_version_of_every_requirement_and_no_index():
    lines = (ROOT / ".ci/constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in pins)
    names = {re.sub(r"[-_.]+", "-", pin.split("==")[0].lower()) for pin in pins}
    asked = {re.match(r"[a-z0-9._-]+", line)[0].replace("_", "-") for line in requirements("test")}
    asked |= {re.match(r"[a-z0-9._-]+", line)[0] for line in pyproject()["build-system"]["requires"]}
    assert asked <= names


def test_readme_has_its_two_commands_on_its_first_screen_for_every_system():
    commands = readme_commands()
    assert set(commands) == {"check", "test"}
    assert "starface-nb check --exit-zero" in commands["check"]
    assert "-m pytest" in commands["test"]
    assert "--nbval" in commands["test"]
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text[: text.index(commands["test"])].splitlines()) < 50
    windows = [line.replace("\\", "/") for line in re.findall(r"```powershell\n(py .+)\n```", text)]
    translated = [
        c.replace("python3 -m venv", "py -m venv").replace(".venv/bin/", ".venv/Scripts/").replace(" && ", "; ")
        for c in commands.values()
    ]
    assert windows == translated


def test_ci_runs_the_commands_of_the_readme_itself():
    script = (ROOT / ".ci/run").read_text("utf-8")
    for name in readme_commands():
        assert f"readme_command {name}" in script
    assert "STARFACE_NB_REQUIRE_BROWSER=1" in script


def test_links_and_pictures_of_the_pages_exist():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text("utf-8")):
            assert (ROOT / target).exists(), f"{page} points to {target}"


def test_top_level_is_clean():
    tops = {path.parts[0] for path in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


def test_nothing_points_to_a_machine_or_a_package_index():
    words = (
        "/wo" + "rk/",
        "/fa" + "rm/",
        "/ro" + "ot/.",
        "/op" + "t/",
        "index-" + "url",
        "find-" + "links",
        "/sim" + "ple/",
    )
    bad = []
    for path in tracked():
        if path.suffix in {".zip", ".gz", ".png", ".svg"} or path.parts[:2] == ("data", "recorded"):
            continue
        text = (ROOT / path).read_text("utf-8", errors="replace")
        bad += [f"{path}: {word}" for word in words if word in text]
    assert bad == []


def test_package_files_stay_short():
    sizes = {str(p): len(p.read_text("utf-8").splitlines()) for p in (ROOT / "starface_nb").rglob("*.py")}
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


@pytest.mark.parametrize("statement", ["import starface_nb", "import starface_nb.cli"])
def test_importing_the_package_loads_nothing_heavy(statement):
    heavy = (
        "altair",
        "babel",
        "distributed",
        "ipywidgets",
        "jinja2",
        "jupyterlab",
        "numpy",
        "polars",
        "ahocorasick_rs",
    )
    code = f"{statement}\nimport sys\nprint([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"


SAMPLE = str(ROOT / "data/sample/debuginfo-sample.zip")
NOT_NEEDED = [
    *["altair", "vl_convert", "ipywidgets", "jupyterlab", "nbformat", "nbclient", "jsonschema", "distributed", "dask"],
    *["plutoprint", "IPython", "starface_nb.report", "starface_nb.charts", "starface_nb.panels"],
]


@pytest.mark.parametrize(
    ("command", "besides"),
    [
        (["check", "--exit-zero", SAMPLE], ["jinja2", "babel", "numpy.random"]),
        (["check", "--exit-zero", "--json", SAMPLE], ["jinja2", "babel", "numpy.random"]),
        (["events", SAMPLE], ["jinja2", "babel"]),
        (["compare", SAMPLE], ["jinja2", "babel"]),
        (["anonymise", SAMPLE, "-o", "out.zip"], ["jinja2", "babel"]),
        (["fleet", SAMPLE, "-o", "out"], []),
    ],
    ids=lambda value: value[0] if value else "",
)
def test_a_command_loads_only_what_it_needs(command, besides, tmp_path):
    code = (
        "import sys; from starface_nb.cli import main; status = main(sys.argv[1:]); "
        f"sys.exit(status > 1 or str([name for name in {[*NOT_NEEDED, *besides]!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_polars_has_numpy_before_any_thread_needs_it():
    code = "import polars; import starface_nb.frames as _; print('ndarray' in vars(polars.series.series.np))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "True\n"


def test_help_and_version_answer(capsys):
    from starface_nb import __version__
    from starface_nb.cli import COMMANDS, main

    for arguments, expected in ((["--help"], COMMANDS), (["--version"], [__version__])):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in expected)


def test_the_first_command_finds_something_in_the_sample_and_can_still_end_with_zero(capsys):
    from starface_nb.cli import main

    sample = str(ROOT / "data/sample/debuginfo-sample.zip")
    assert sample.endswith(readme_commands()["check"].split()[-1])
    assert main(["check", sample]) == 1
    said = capsys.readouterr().out
    assert "too short" in said
    assert main(["check", "--exit-zero", sample]) == 0
    assert capsys.readouterr().out == said


def test_changelog_names_the_current_version():
    from starface_nb import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
