"""What source files contain, read once for all tests of a process that read the code itself.

Kept is what tests ask for and not the trees: a million nodes would be looked at again by every
collection of garbage in this process.
"""

from __future__ import annotations

import ast
import gc
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """What a source file contains, in no order."""

    outline: ast.Module
    """The tree, without what functions do."""
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    names: list[tuple[str, int]] = field(default_factory=list)
    """Every name that is given or used, imported ones aside, and its line."""
    read: list[str] = field(default_factory=list)
    """The names and attributes whose value is taken, one entry each time."""
    texts: list[tuple[str, int]] = field(default_factory=list)
    """Texts that are values, parts of formatted ones too, and their lines."""
    remarks: list[str] = field(default_factory=list)
    """Texts that stand alone: docstrings, and those of constants and fields."""
    docstrings: list[tuple[str, int]] = field(default_factory=list)
    """Those of functions that are no properties, and the lines of these."""


@cache
def source_of(path: Path) -> Source:
    """Return what a source file contains: read it, never change it."""
    is_collecting = gc.isenabled()
    gc.disable()  # nothing of a growing tree is garbage; looking takes three times the parsing
    try:
        source = Source(ast.parse(path.read_text(encoding="utf-8")))
        _take(source)
        _shorten(source.outline)
    finally:
        if is_collecting:
            gc.enable()
    return source


def _take(source: Source) -> None:
    waiting: list[ast.AST] = [source.outline]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                source.names.append((name, node.lineno))
                if isinstance(node.ctx, ast.Load):
                    source.read.append(name)
            case ast.Expr(value=ast.Constant(value=str(text))):
                source.remarks.append(text)
                continue
            case ast.Constant(value=str(text)):
                source.texts.append((text, node.lineno))
            case ast.arg(arg=name):
                source.names.append((name, node.lineno))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                source.names.append((name, node.lineno))
                is_property = any("property" in ast.unparse(one) for one in node.decorator_list)
                if not is_property and (docstring := ast.get_docstring(node)):
                    source.docstrings.append((docstring, node.lineno))
            case ast.ClassDef(name=name):
                source.names.append((name, node.lineno))
            case ast.Import() | ast.ImportFrom():
                source.imports.append(node)
        waiting.extend(ast.iter_child_nodes(node))


def _shorten(tree: ast.Module | ast.ClassDef) -> None:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                node.body = []
            case ast.ClassDef():
                _shorten(node)
