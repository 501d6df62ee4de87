"""The model's numbers: read once from `priors.toml`, each with its unit and its source there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

ROWS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PRIORS = SimpleNamespace(**{name: row["value"] for name, row in ROWS.items()})
"""Name to value; a list where the number is one per cause, ending or kind, as its row says."""
