"""No number of the model hides in its code: what was judged or measured stands in `priors.toml`, with its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import starface_nb.model as model
import starface_nb.observations as observations

ROOMS = [Path(room.__file__).parent for room in (model, observations)]
STRUCTURE = {0, 1, 2}
UNITS = {24, 60, 1000, 3600, 86_400, 10**6, 10**9, 10**12}
ROUNDS = ("round",)
GUARD = 1e-9
"""From here down a number only keeps a logarithm or a division from failing."""


def literals(source: str) -> list[tuple[int, str, str]]:
    """Return line, the literal and the statement around it, of every number that may have been tuned.

    Not counted: 0, 1 and 2, conversions of units, positions in a subscript, decimals of a rounding, the half of a
    normal density's square and of a majority, guards against overflow and against the logarithm of zero.
    """
    tree = ast.parse(source)
    allowed = {id(node) for found in map(_harmless, ast.walk(tree)) for node in found}
    lines = source.splitlines()
    return sorted(
        (node.lineno, ast.unparse(node), lines[node.lineno - 1].strip())
        for node in ast.walk(tree)
        if _tuned(node) and id(node) not in allowed
    )


def _tuned(node: ast.AST) -> bool:
    number = isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return number and node.value not in STRUCTURE | UNITS and abs(node.value) > GUARD


def _harmless(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the literals that this node explains."""
    if isinstance(node, ast.Subscript):
        yield from _whole(node.slice)
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in ROUNDS:
            yield from node.args[1:]
        elif name == "clip" and len(node.args) == 3 and ast.unparse(node.args[1]) == f"-{ast.unparse(node.args[2])}":
            yield from ast.walk(node)
    elif isinstance(node, ast.Compare):
        yield from (side for side in node.comparators if _is_half(side))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_square(node.right):
        yield from (part for part in ast.walk(node.left) if _is_half(part))


def _whole(index: ast.AST) -> Iterator[ast.AST]:
    """Yield the whole numbers of an index; a number in a condition inside it is not one of them."""
    if isinstance(index, ast.Constant):
        yield index
    elif isinstance(index, ast.Slice | ast.Tuple | ast.UnaryOp | ast.List):
        for part in ast.iter_child_nodes(index):
            yield from _whole(part)


def _is_half(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0.5


def _is_square(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "2"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("LIMIT_S = 70.0", ["70.0"]),
        ("if share > 0.3: pass", ["0.3"]),
        ("if share > 0.5: pass", []),
        ("x = 0.5 * np.exp(-0.5 * z**2)", ["0.5"]),
        ("x = np.log(0.6) + y[:, 3] + days * 86400 / 2", ["0.6"]),
        ("y = x[x > 7.0]", ["7.0"]),
        ("def f(limit: float = 2.5) -> None: pass", ["2.5"]),
        ("y = np.clip(x, -50, 50), np.clip(x, -4.0, 3.0)", ["3.0", "4.0"]),
        ("y = round(x, 3) + np.maximum(x, 1e-12) + 1e-6", ["1e-06"]),
        ("ok = True", []),
    ],
)
def test_the_search_finds_what_was_tuned_and_nothing_else(code: str, found: list[str]) -> None:
    assert sorted(literal for _, literal, _ in literals(code)) == found


def hidden() -> list[str]:
    """Return the tuned numbers in code: room/file:line, number, statement."""
    return [
        f"{path.parent.name}/{path.name}:{line}: {literal}   {statement}"
        for room in ROOMS
        for path in sorted(room.glob("*.py"))
        for line, literal, statement in literals(path.read_text("utf-8"))
    ]


LEFT = 225
"""How many still stand in code; the aim is none, and each that goes into the file lowers this."""


def test_no_further_tuned_number_stands_in_code() -> None:
    found = hidden()
    assert len(found) <= LEFT, "\n".join(found)


if __name__ == "__main__":
    print("\n".join(hidden()))
