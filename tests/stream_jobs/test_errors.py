"""The tree of errors in the docstring of `errors.py` is the tree of the classes."""

from __future__ import annotations

import ast
import re

from tests.places import ROOT
from tests.sources import source_of
from tokentide_jobs import errors

PACKAGE = ROOT / "stream_jobs" / "tokentide_jobs"


def documented() -> dict[str, str]:
    """Return the parent of every error by its name, as the indented tree shows it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)( {2,}|$)", line)
        if found is not None:
            depth = len(found.group(1)) // 4
            path[depth:] = [found.group(2)]
            parents[path[depth]] = path[depth - 1] if depth else "Exception"
    return parents


def defined() -> dict[str, str]:
    """Return the parent of every public error class of the package that is a PipelineError."""
    bases = {
        node.name: ast.unparse(node.bases[0]).rpartition(".")[2]
        for path in PACKAGE.rglob("*.py")
        for node in source_of(path).outline.body
        if isinstance(node, ast.ClassDef) and node.bases and not node.name.startswith("_")
    }

    def is_ours(name: str) -> bool:
        return name == "PipelineError" or (name in bases and is_ours(bases[name]))

    return {name: base for name, base in bases.items() if is_ours(name)}


def test_the_documented_tree_of_errors_is_the_real_one() -> None:
    assert len(documented()) > 5
    assert documented() == defined()


def test_every_error_class_is_raised_or_has_subclasses_that_are() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    for name in set(defined()) - set(defined().values()):
        raised = re.compile(rf"(raise|return) {name}\(")
        assert any(raised.search(text) for text in texts), name
