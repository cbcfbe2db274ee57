"""The rooms of the embedded ClickHouse stand in the order of a request and import no way back."""

from __future__ import annotations

import ast
from pathlib import Path

from tokentide_jobs.embedded import clickhouse

ROOT = Path(clickhouse.__file__).parent
PACKAGE = clickhouse.__name__
ORDER = (
    ("exceptions", "literals", "log_rate"),
    ("wire",),
    ("engine",),
    ("access",),
    ("request",),
    ("response",),
    ("run",),
    ("endpoint",),
    ("__main__", "process"),
)
"""A part imports from those before it; parts of one line know nothing of each other."""

LEAVES = ("errors", "owner_only", "urls", "web_guard")
FLOOR = {part: floor for floor, parts in enumerate(ORDER) for part in parts}


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


def test_every_part_imports_only_from_the_parts_before_it() -> None:
    files = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py"]
    assert len(files) > 15
    seen = set()
    for path in files:
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        seen.add(part)
        for name in imports_of(path):
            if not name.startswith(f"{PACKAGE}."):
                continue
            other = name.removeprefix(f"{PACKAGE}.").split(".")[0]
            assert other == part or FLOOR[other] < FLOOR[part], f"{path}: {name}"
    assert seen == set(FLOOR)


def test_the_product_needs_nothing_of_the_project_but_leaves() -> None:
    for path in ROOT.rglob("*.py"):
        ours = {name for name in imports_of(path) if name.startswith("tokentide")}
        outside = {name for name in ours if not name.startswith(PACKAGE)}
        leaves = tuple(
            f"tokentide_jobs.{name}." for name in ("errors", "owner_only", "urls", "web_guard")
        )
        assert all(name.startswith(leaves) for name in outside), f"{path}"
