"""What is known of Asterisk's log and of the forms it is handed over in, as it stands in the room's TOML files."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of this room, not to be changed; each explains itself at its head."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text("utf-8"))
