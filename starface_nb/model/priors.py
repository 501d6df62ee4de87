"""The model's numbers: read once from `priors.toml`, each with its unit and its source there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROWS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PRIORS = SimpleNamespace(**{name: row["value"] for name, row in ROWS.items()})
"""Name to value; a list where the number is one per cause, ending or kind, as its row says."""

DAY_S, HOUR_S = 86_400.0, 3600.0
ROOT = float(np.sqrt(2 * np.pi))
"""What the height of a normal density is divided by."""
HALF = -float(np.log(2.0))
"""Logarithm of one half."""
NEVER = -20.0
"""Log-probability of what does not happen, but for what nobody thought of."""
