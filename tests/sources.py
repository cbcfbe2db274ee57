"""Source files as trees, parsed once for all tests of a process that read the code itself."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the tree of a source file: read it, never change it."""
    return ast.parse(path.read_text(encoding="utf-8"))
