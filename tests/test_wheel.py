"""The wheel that users install holds the package with its data and notebooks, nothing else, and works by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PARTS = {"starface_nb": "starface_nb", "notebooks": "starface_nb/_notebooks", "data": "starface_nb/_data"}
NOT_OURS = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a copy of what the wheel is built from, beside something that must stay out of it."""
    folder = tmp_path_factory.mktemp("project")
    for part in (*PARTS, "tests/reading"):
        shutil.copytree(ROOT / part, folder / part, ignore=NOT_OURS)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(project, tmp_path_factory):
    builder = WheelBuilder(str(project))
    return Path(next(builder.build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])))


def test_the_wheel_holds_the_package_its_data_and_notebooks_and_nothing_else(project, wheel):
    expected = {
        f"{inside}/{path.relative_to(project / part).as_posix()}"
        for part, inside in PARTS.items()
        for path in (project / part).rglob("*")
        if path.is_file()
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected
    assert {"starface_nb/guide/texts.toml", "starface_nb/_notebooks/00_case.ipynb"} <= held
    assert {Path(name).suffix for name in held} >= {".py", ".toml", ".po", ".css", ".js", ".ipynb", ".zip"}


def test_what_was_unpacked_from_the_wheel_works_without_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = (
        "import sys, starface_nb as sf; from starface_nb import samples, cli;"
        "assert sf.__file__.startswith(sys.argv[1]), sf.__file__;"
        "status = cli.main(['report', str(samples.path()), '--language', 'de', '-o', 'page.html']);"
        "assert 'lark' not in sys.modules;"  # what builds jsonschema's grammar, for seconds
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "installed")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr  # the sample needs action
    assert "203.0.113.23" in (tmp_path / "page.html").read_text(encoding="utf-8")
