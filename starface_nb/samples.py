"""The logs and notebooks that come with the package, found in a checkout and in an installed wheel alike."""

import json
from pathlib import Path
from typing import Any

from starface_nb.errors import SettingError, SetupError

_PACKAGE = Path(__file__).parent
_SAMPLE = "sample/debuginfo-sample.zip"


def _home(name: str) -> Path:
    """Return the folder of `data` or `notebooks`: inside the wheel, or beside the package in a checkout."""
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    cause = f"The folder {name!r} that belongs to starface_nb is missing."
    raise SetupError(cause, next_step="Install the package again.")


def path(name: str = "sample") -> Path:
    """Return a bundled log: `sample` is a support bundle, any other name is a recorded log's.

    Raises
    ------
    SettingError
        There is no bundled log of that name.
    """
    return _home("data") / _SAMPLE if name == "sample" else recorded(name)


def names() -> list[str]:
    """Return the names of the recorded logs."""
    return sorted(folder.name for folder in (_home("data") / "recorded").iterdir() if (folder / "pbx.log").is_file())


def recorded(name: str = "mixed") -> Path:
    """Return the log file of a recorded run (`clean`, `mixed`, `fixed-router` ...).

    Raises
    ------
    SettingError
        There is no recorded log of that name.
    """
    if name not in names():
        raise SettingError(f"There is no bundled log {name!r}.", next_step=f"Choose one of {', '.join(names())}.")
    return _home("data") / "recorded" / name / "pbx.log"


def truth(name: str = "mixed") -> Any:
    """Return what really happened in a recorded run: sites with their NAT timeout, faults, intervals and causes."""
    return json.loads((recorded(name).parent / "truth.json").read_text(encoding="utf-8"))


def calibration() -> Any:
    """Return how often the model's answers were right, by the confidence told, and how that was measured."""
    return json.loads((_home("data") / "calibration.json").read_text(encoding="utf-8"))


def notebooks() -> Path:
    """Return the folder of the curated notebooks; work on copies, never in it."""
    return _home("notebooks")
