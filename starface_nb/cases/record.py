"""A small JSON document on disk that survives a kill at any point and two writers at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starface_nb.errors import StarfaceError
from starface_nb.files import locked, write

_FORMAT = 1


class CaseError(StarfaceError):
    """A case cannot be opened or saved: another customer's, damaged, or changed by somebody else."""


class Record:
    """One JSON object in a file, or only in memory where there is no file.

    Parameters
    ----------
    path : Path or None
        The file; its lock lies beside it. None keeps the object in memory.
    kind : str
        What the file says it is; a file of another kind is refused.
    """

    def __init__(self, path: Path | None, kind: str) -> None:
        self.path, self.kind = path, kind
        self._memory: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the object, empty where the file does not exist yet.

        Raises
        ------
        CaseError
            The file is damaged, of another kind or from a newer version.
        """
        if self.path is None:
            return self._memory
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise CaseError(
                "The file is damaged.", place=str(self.path), next_step="Restore it from a backup, or move it away."
            ) from None
        if not isinstance(content, dict) or content.pop("kind", None) != self.kind:
            raise CaseError(f"This is no {self.kind} file of starface_nb.", place=str(self.path))
        if content.pop("format", 0) > _FORMAT:
            raise CaseError(
                "A newer version of starface_nb wrote this file.", place=str(self.path), next_step="Update starface_nb."
            )
        return content

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Yield the object as it is now and save it when the block ends without an error."""
        if self.path is None:
            yield self._memory
            return
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            content = self.read()
            yield content
            whole = {"kind": self.kind, "format": _FORMAT, **content}
            text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
            write(self.path, text.encode("utf-8") + b"\n", alone=True)
