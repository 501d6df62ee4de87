"""What a case keeps as JSON, safe from a kill and a second writer: answers above all, never overwritten unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from starface_nb.errors import StarfaceError
from starface_nb.files import locked, write

_FORMAT = 1
_RESTORE = "Restore it from a backup, or move it away."

Shape = type | tuple[type, ...] | dict[str, "Shape"] | list["Shape"]
CASE: Shape = {
    "log": {"paths": [str], "fingerprint": str, "events": int, "peers": [str]},
    "settings": {"time_zone": str, "keepalive_s": (int, float), "language": str},
}
ANSWERS: Shape = {"answers": {"*": {"answer": object, "note": str, "who": str, "when": str}}}


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
    shape : Shape
        What it must hold; more may be there, and stays.
    """

    def __init__(self, path: Path | None, kind: str, shape: Shape = object) -> None:
        self.path, self.kind, self._shape = path, kind, shape
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
        refused = partial(CaseError, place=self.path, next_step=_RESTORE)
        try:
            if self.path.exists() and not self.path.is_file():
                raise ValueError("a folder, a pipe, a device: who opened it might wait for ever")
            content = json.loads(self.path.read_bytes(), parse_constant=_no_number)
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            raise refused("The file is damaged.") from None
        if not isinstance(content, dict) or content.pop("kind", None) != self.kind:
            raise refused(f"This is no {self.kind} file of starface_nb.")
        number = content.pop("format", 0)
        if isinstance(number, int) and number > _FORMAT:
            raise refused("A newer version of starface_nb wrote this file.", next_step="Update starface_nb.")
        if not isinstance(number, int) or not _fits(content, self._shape):
            raise refused("The file is damaged: something in it is missing or of another kind.")
        return content

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Yield the object as it is now and save it when the block ends without an error."""
        if self.path is None:
            yield self._memory
            return
        try:
            with locked(self.path.with_name(f".{self.path.name}.lock")):
                content = self.read()
                yield content
                whole = {"kind": self.kind, "format": _FORMAT, **content}
                text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
                # what is no text, such as a file's name in another encoding, becomes JSON's own escape
                write(self.path, text.encode("utf-8", "backslashreplace") + b"\n", alone=True)
        except OSError as error:
            step = "Make its folder writable, or make room there."
            cause = f"The case cannot be saved: {error.strerror or error}."
            raise CaseError(cause, place=self.path, next_step=step) from None

    def put(self, results: Mapping[str, bytes]) -> list[str]:
        """Write results beside the file, which remembers them; return under which names changed ones were kept."""
        assert self.path is not None  # noqa: S101
        known, kept = self.read().get("results", {}), []
        for name, made in results.items():
            path = self.path.with_name(name)
            if path.is_file() and (before := path.read_bytes()) != made and _digest(before) != known.get(name):
                free = (path.with_stem(f"{path.stem}-changed-{n}") for n in count(1))
                aside = next(other for other in free if not other.exists())
                path.rename(aside)
                kept.append(aside.name)
            write(path, made)
        with self.change() as content:
            content["results"] = known | {name: _digest(made) for name, made in results.items()}
        return kept


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _fits(value: object, shape: Shape) -> bool:
    """Say whether a value from JSON has a shape: a type, a list of one shape, or keys with theirs (`*` is any key)."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        keys = value.keys() if isinstance(value, dict) and "*" in shape else shape.keys()
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], shape.get(key, shape.get("*", object))) for key in keys
        )
    return isinstance(value, shape)


class AnswerConflictError(CaseError):
    """Somebody else answered the same step since this store last looked.

    Attributes
    ----------
    mine, theirs : dict
        Both entries: `answer`, `note`, `who`, `when`. `theirs` is what is kept.
    """

    def __init__(self, step_id: str, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
        self.step_id, self.mine, self.theirs = step_id, mine, theirs
        super().__init__(
            f"Step {step_id!r} was answered elsewhere in the meantime: {theirs['answer']!r} by "
            f"{theirs['who'] or 'somebody'} at {theirs['when']}. Your answer {mine['answer']!r} was not saved.",
            next_step="Look at both; answer again to replace theirs.",
        )


class AnswerStore:
    """Answers by step, saved when they are given.

    A store remembers what it has shown. `set` compares that with what is kept now: where another notebook answered the
    same step in between, nothing is written and `AnswerConflictError` names both. Answers to other steps are merged.

    Parameters
    ----------
    path : Path or None
        The answers' file; None keeps them in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._record = Record(path, "answers", ANSWERS)
        self._seen: dict[str, dict[str, Any]] = {}
        self.reload()

    def reload(self) -> AnswerStore:
        """Look at what is kept now, answers given in other notebooks included."""
        self._seen = dict(self._record.read().get("answers", {}))
        return self

    def get(self, step_id: str) -> dict[str, Any] | None:
        """Return a step's entry (`answer`, `note`, `who`, `when`) as last seen, or None."""
        return self.all().get(step_id)

    def all(self) -> dict[str, dict[str, Any]]:
        """Return every entry as last seen, by step."""
        return {step: dict(entry) for step, entry in self._seen.items()}

    def set(self, step_id: str, answer: object, note: str = "", who: str = "") -> dict[str, Any]:
        """Keep an answer and return its entry.

        Parameters
        ----------
        step_id : str
        answer : str, bool, int, float, list, dict or None
            Anything JSON holds; None takes the answer back.
        note : str
        who : str
            Empty where nobody gave a name; the login name is nobody's business.

        Raises
        ------
        AnswerConflictError
            The step was answered elsewhere since; the store has seen that answer now, so that a second `set` replaces
            it knowingly.
        """
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        given = {"answer": answer, "note": note, "who": who, "when": when}
        mine: dict[str, Any] = json.loads(json.dumps(given))  # as it will be read back: tuples are lists
        with self._record.change() as content:
            answers = content.setdefault("answers", {})
            theirs, seen = answers.get(step_id), self._seen.get(step_id)
            if theirs == seen:
                answers[step_id] = mine
                content["version"] = content.get("version", 0) + 1
            self._seen = dict(answers)
        if theirs is not None and theirs != seen:
            raise AnswerConflictError(step_id, mine, theirs)
        return dict(mine)

    def __repr__(self) -> str:
        return f"AnswerStore({len(self._seen)} answered)"
