"""Finds every English text that is a key of a translation: in code, in templates and in the guide's data files."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import jinja2
from jinja2 import nodes

import starface_nb
from starface_nb.cases.copies import prose
from starface_nb.guide import words
from starface_nb.sources import foreign
from starface_nb.sources.archives import ENCRYPTED
from starface_nb.tables import table

PACKAGE = Path(starface_nb.__file__).parent
_CSV_TEXTS = {"routers.csv": ("remark",), "ports.csv": ("purpose", "scope", "direction")}


def csv_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of the guide as they stand there."""
    with (words.HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Key:
    """One key: singular text, plural text where it is counted, and where it stands."""

    text: str
    plural: str | None
    place: str


def used_keys() -> list[Key]:
    """Return every key that the package uses."""
    written = (Key(text, None, "notebooks") for text in prose())
    return [*_in_code(), *_in_templates(), *(Key(text, None, name) for name, text in texts()), *written]


def _in_code() -> Iterator[Key]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                yield from _keys(node, place)


def _keys(call: ast.Call, place: str) -> Iterator[Key]:
    if _is_count(call):
        singular, plural = (argument.value for argument in call.args[:2])
        yield Key(singular, plural, place)
    elif _is_translator(call.func) and call.args:
        for text in _texts(call.args[0], place):
            yield Key(text, None, place)


def _is_count(call: ast.Call) -> bool:
    """`tr.count(singular, plural, n)`, told from `"...".count(x)` by its arguments."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "count" and len(call.args) >= 3):
        return False
    return all(isinstance(argument, ast.Constant) and isinstance(argument.value, str) for argument in call.args[:2])


def _is_translator(func: ast.expr) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    called = isinstance(func, ast.Call) and isinstance(func.func, ast.Name) and func.func.id == "translator"
    return called or name in {"tr", "_tr"}


def _texts(argument: ast.expr, place: str) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.IfExp):
        yield from _texts(argument.body, place)
        yield from _texts(argument.orelse, place)
    elif isinstance(argument, ast.JoinedStr):
        raise AssertionError(f"{place}: an f-string cannot be translated; use {{names}} and values")
    else:
        yield from _constants_of(argument, place)


def _constants_of(argument: ast.expr, place: str) -> Iterator[str]:
    """`tr(TEXTS[key])` and `tr(TEXT)`: the strings of that module-level constant."""
    base = argument.value if isinstance(argument, ast.Subscript) else argument
    if not (isinstance(base, ast.Name) and base.id.lstrip("_").isupper()):
        return  # from the guide's data files, which are read in full
    tree = ast.parse((PACKAGE / place.rpartition(":")[0]).read_text(encoding="utf-8"))
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if node and any(isinstance(target, ast.Name) and target.id == base.id for target in targets):
            yield from _strings(node.value)


def _strings(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Dict):
        for value in node.values:
            yield from _strings(value)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for value in node.elts:
            yield from _strings(value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _in_templates() -> Iterator[Key]:
    environment = jinja2.Environment(autoescape=True)
    for path in sorted([*PACKAGE.rglob("*.html"), *PACKAGE.rglob("*.txt")]):
        for call in environment.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
            texts = [argument.value for argument in call.args if isinstance(argument, nodes.Const)]
            called = call.node
            if isinstance(called, nodes.Name) and called.name == "tr":
                yield Key(texts[0], None, place)
            elif isinstance(called, nodes.Getattr) and called.attr == "count" and _is_tr(called.node):
                yield Key(texts[0], texts[1], place)


def _is_tr(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "tr"


def texts() -> Iterator[tuple[str, str]]:
    """Yield (file name, English text) for every text of the data files that is shown to people."""
    for path in sorted(words.HERE.glob("*.toml")):
        for key, text in _leaves(table(f"guide/{path.stem}")):
            if path.name == "texts.toml" or key in words.TEXTS:
                yield path.name, text
    yield from (("foreign.toml", text) for text in foreign.texts())
    for name, columns in _CSV_TEXTS.items():
        yield from ((name, row[column]) for row in csv_rows(name) for column in columns if row[column])


def _leaves(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    elif isinstance(node, str):
        yield key, node


_PASSED_ON = {"skipped: {}", "skipped: {}: {}.", "{}: {}.", "{}: {}: the clock goes back by {} s."}
"""What these hold is a note, a place or an error itself."""


def notes_of_reading() -> list[str]:
    """Return every note that the rooms up to reading write about a log, with 1 for each value in it."""
    found = []
    for room in ("bundle", "sources", "reading"):
        for path in sorted((PACKAGE / room).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [note for node in ast.walk(tree) for note in _notes(node)]
    return [note.replace("{}", "1") for note in found if note not in _PASSED_ON]


def _notes(node: ast.AST) -> Iterator[str]:
    """Yield the texts that a statement adds to notes, or that a function whose name says note returns."""
    told: list[ast.expr] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "insert"):
        told = node.args[-1:] if ast.unparse(node.func.value).endswith("notes") or _is_own(node) else []
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("note", "NOTHING_RELEVANT"):
        told = [node.value]
    elif isinstance(node, ast.FunctionDef) and (node.name.endswith("_note") or node.name == "zone_of"):
        returns = [value.value for value in ast.walk(node) if isinstance(value, ast.Return) and value.value]
        told = [text for value in returns for text in ast.walk(value) if isinstance(text, ast.JoinedStr)]
    for value in told:
        if isinstance(value, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in value.values)
        elif isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _is_own(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "own"


_ERRORS = {"InputError", "RefusedError", "ExhaustedError", "DamagedError", "error", "__init__"}
_REFUSE = {"sources": _ERRORS, "reading": _ERRORS, "bundle": _ERRORS, "analysis": _ERRORS, "fleet": {"failed"}}
_HOLD_TEXTS = {"cause", "step", "what", "got"}


def reasons_of_refusal() -> list[str]:
    """Return every sentence on why a file or a customer's log is not read, and what to do, with 1 for each value."""
    found = [str(foreign.refusal(kind, "")) for kind in foreign.kinds()]
    for room, names in _REFUSE.items():
        for path in {*(PACKAGE / room).glob("*.py")} - {PACKAGE / "sources" / "apart.py"}:  # that is on what is written
            tree = ast.parse(path.read_text(encoding="utf-8"))
            held = _held(tree)
            found += [text for node in ast.walk(tree) for told in _refusals(node, names) for text in _read(told, held)]
    return sorted({text for text in found if text.strip("1 ")} - {ENCRYPTED})


def _refusals(node: ast.AST, names: set[str]) -> Iterator[ast.expr]:
    """Yield what an error, or a function that says why a member of an archive is refused, is given to say."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in names:
            yield from node.args[: name != "__init__"]
            yield from (one.value for one in node.keywords if one.arg == "next_step")
    elif isinstance(node, ast.FunctionDef) and node.name.endswith(("_refusal", "_outside")):
        yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)


def _held(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return what constants, and the variables that hold such texts, are set to."""
    held: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            apart = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            values = node.value.elts if apart and isinstance(node.value, ast.Tuple) else [node.value] * len(names)
            for name, value in zip(names, values, strict=True):
                if isinstance(name, ast.Name) and (name.id in _HOLD_TEXTS or name.id.lstrip("_").isupper()):
                    held.setdefault(name.id, []).append(value)
    return held


def _read(node: ast.expr, held: dict[str, list[ast.expr]]) -> list[str]:
    """Return the texts that an expression may be, with 1 for what is not known before."""
    match node:
        case ast.Constant(str(text)):
            return [text.replace("{:,}", "1")]
        case ast.JoinedStr(parts):
            told = [part.value if isinstance(part, ast.FormattedValue) else part for part in parts]
            return ["".join(way) for way in product(*(_read(part, held) or ["1"] for part in told))]
        case ast.BinOp(left, ast.Add(), right):
            return ["".join(way) for way in product(_read(left, held), _read(right, held))]
        case ast.Call(ast.Name("next_step")):
            return [foreign.next_step(None)]
        case ast.Name(name):
            several = held.get(name, [])
        case ast.IfExp(_, body, other):
            several = [body, other]
        case ast.Dict(_, values) | ast.BoolOp(_, values) | ast.Tuple(values):
            several = values
        case ast.Subscript(value) | ast.Call(ast.Attribute(value, "format")):
            several = [value]
        case ast.Call(ast.Attribute(value, "get"), [_, otherwise]):
            several = [value, otherwise]
        case _:
            several = []
    return [text for one in several for text in _read(one, held)]
