"""Facts that are data: the TOML files that lie beside the code of their rooms, each explained at its head."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of the package, such as `reading/forms`; it is not to be changed."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8"))
