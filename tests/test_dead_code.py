"""Whatever the packages define is used by the packages, not by tests alone."""

from __future__ import annotations

import ast
from collections import Counter

from tests.places import ROOT

FOLDERS = ("stream_jobs", "schemas", "bench", "dashboards", "examples", "producers")
CHECKED = ("stream_jobs/tokentide_jobs", "schemas/tokentide_schemas", "bench")

FOR_OTHERS = {
    "load_examples": "the examples of events are published for other producers' tests",
}


def trees() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }


def uses(found: dict[str, ast.Module]) -> Counter[str]:
    """Count references by name; imports do not count, re-exports are no use."""
    counts: Counter[str] = Counter()
    for tree in found.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                counts[node.id] += 1
            elif isinstance(node, ast.Attribute):
                counts[node.attr] += 1
            elif isinstance(node, ast.ImportFrom):
                # `import a as b`: b is what is counted above.
                counts.update(alias.name for alias in node.names if alias.asname)
    return counts


def is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Tell whether a decorator of click hands the function to the program."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(".command(" in text or ".group(" in text for text in decorators)


def test_every_function_and_class_is_used_outside_the_tests() -> None:
    found = trees()
    counts = uses(found)
    unused = [
        f"{path}: {node.name}"
        for path, tree in found.items()
        if path.startswith(CHECKED)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not is_registered(node)
        and not counts[node.name]
        and node.name not in FOR_OTHERS
    ]
    assert unused == []
