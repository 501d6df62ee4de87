"""Code lines of the package, room by room: no blank lines, no comments, no docstrings.

Run as ``python -m tests.count_lines [FOLDER]``.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "starface_nb"
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Return how many lines of a Python text hold code."""
    held = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - _docstring_lines(ast.parse(source)))


def _docstring_lines(tree: ast.Module) -> set[int]:
    """Return the lines of texts that stand alone: docstrings, and what explains a constant below it."""
    alone = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    return {line for node in alone for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def rooms(package: Path = PACKAGE) -> Counter[str]:
    """Return the code lines of each folder of the package; files beside the folders count as ``top level``."""
    counted: Counter[str] = Counter()
    for path in sorted(package.rglob("*.py")):
        inner = path.relative_to(package).parts
        counted[inner[0] if len(inner) > 1 else "top level"] += code_lines(path.read_text("utf-8"))
    return counted


if __name__ == "__main__":
    found = rooms(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    for room, lines in found.most_common():
        print(f"{room:15}{lines:7,}")
    print(f"{'all':15}{sum(found.values()):7,}")
