"""The secret that decides the replacements, kept in a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from starface_nb.errors import SettingError

_LEAST = 16
_NEW = 32


def load_key(path: Path) -> bytes:
    """Return the key in a file; make the file, readable for its owner alone, where there is none.

    Raises
    ------
    SettingError
        The file cannot be read or written, or holds too little to be a secret.
    """
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_NEW) + "\n")
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(
            f"The key cannot be read or made: {error.strerror or error}.",
            place=str(path),
            next_step="Choose a file in a folder you may write to.",
        ) from None
    if len(key) < _LEAST:
        raise SettingError(
            f"The key has only {len(key)} bytes.",
            place=str(path),
            next_step="Name a file that does not exist yet; a key is made for it.",
        )
    return key
