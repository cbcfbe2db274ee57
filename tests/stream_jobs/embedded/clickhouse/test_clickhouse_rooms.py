"""The embedded ClickHouse is a product of its own; its rooms are in tests/test_architecture.py."""

from __future__ import annotations

import ast
from pathlib import Path

from tokentide_jobs.embedded import clickhouse

ROOT = Path(clickhouse.__file__).parent
PACKAGE = clickhouse.__name__
LEAVES = ("errors", "owner_only", "urls", "web_guard")


def imports_of(path: Path) -> set[str]:
    """Return the full names of the modules a file imports, relative ones resolved."""
    folder = [*PACKAGE.split("."), *path.relative_to(ROOT).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else []
            base = [*above, *(node.module or "").split(".")] if node.module else above
            found.update(".".join([*base, alias.name]) for alias in node.names)
    return found


def test_the_product_needs_nothing_of_the_project_but_leaves() -> None:
    for path in ROOT.rglob("*.py"):
        ours = {name for name in imports_of(path) if name.startswith("tokentide")}
        outside = {name for name in ours if not name.startswith(PACKAGE)}
        leaves = tuple(f"tokentide_jobs.{name}." for name in LEAVES)
        assert all(name.startswith(leaves) for name in outside), f"{path}"
