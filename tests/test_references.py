"""Modules, functions and files that texts name in backticks are there.

Read are the pages and every docstring: what was moved or deleted takes its mentions along.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

from tests.each import each
from tests.places import ROOT
from tests.sources import source_of

FOLDERS = (
    ".ci",
    "bench",
    "dashboards",
    "docs",
    "examples",
    "producers",
    "schemas",
    "sql",
    "stream_jobs",
    "tests",
)
PACKAGES = ("bench", "producers", "schemas", "stream_jobs")
CODE = re.compile(r"`(?:python -m )?([^`\s]+)[^`\n]*`")
FILE = re.compile(r"[\w./-]*\w\.(?:py|sql|sha256)|(?:[\w-]+/){2,}")
DOTTED = re.compile(r"[a-z_]\w*(?:\.\w+)+")
ROOTS = ("tokentide_jobs", "tokentide_schemas", "core", "io", "jobs", "tasks", "embedded", "cli")
"""What a dotted name of ours begins with; `tokentide.` begins topics and tables too."""

SECTION = re.compile(
    r'"([A-Z][^"\n]*(?:\n *#? *[^"\n]+)?)"\s*(?:#\s*)?in\s+(?:#\s*)?(docs/[\w-]+\.md)'
)
"""A section of a page, as comments of code name it: they may go on in the next line."""

ELSEWHERE = {
    "NNNN_name.sql": "the pattern of a migration's name",
    "by_hand.py": "the reader of docs/first-ten-minutes.md writes it",
    "runaway.py": "the reader of docs/alerts.md writes it",
    "service.py": "the reader of docs/first-ten-minutes.md writes it",
    "llm.request.model_name": "an attribute of spans",
    "llm.response.model_name": "an attribute of spans",
}


@cache
def tree() -> tuple[str, ...]:
    """Return the files of the tree, and its folders with a slash at the end."""
    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("*.*") if path.is_file()]
    for folder in FOLDERS:
        paths = (ROOT / folder).rglob("*")
        files += [str(path.relative_to(ROOT)) for path in paths if path.is_file()]
    folders = {f"{folder}/" for name in files for folder in PurePosixPath(name).parents}
    return (*files, *sorted(folders))


@cache
def endings() -> frozenset[str]:
    """Return every name of a file or folder that a text may use: whole, or from some folder on."""
    parts = [name.split("/") for name in tree()]
    return frozenset("/".join(part[start:]) for part in parts for start in range(len(part)))


def exists(path: str) -> bool:
    return path.removeprefix("./").removeprefix("../") in endings()


@cache
def defined() -> dict[str, frozenset[str]]:
    """Return the names that modules define at their top, by the stem of their files."""
    found: dict[str, set[str]] = {}
    for name in tree():
        if name.endswith(".py") and name.startswith(PACKAGES):
            path = PurePosixPath(name)
            stem = path.parent.name if path.stem == "__init__" else path.stem
            for node in source_of(ROOT / name).outline.body:
                targets = node.targets if isinstance(node, ast.Assign) else [node]
                for target in targets:
                    names = [getattr(target, "name", None), getattr(target, "id", None)]
                    names.append(getattr(getattr(target, "target", None), "id", None))
                    if isinstance(node, ast.ImportFrom) and path.stem == "__init__":
                        names += [alias.asname or alias.name for alias in node.names]
                    found.setdefault(stem, set()).update(one for one in names if one)
    return {stem: frozenset(names) for stem, names in found.items()}


@cache
def functions() -> frozenset[str]:
    """Return every name defined at the top of a module that cannot be taken for a plain word."""
    return frozenset(name for names in defined().values() for name in names if "_" in name)


def is_there(dotted: str) -> bool:
    """Return whether a dotted name is a module, or a name that the module before it defines."""
    *before, last = dotted.split(".")
    whole = "/".join([*before, last])
    if exists(f"{whole}.py") or exists(f"{whole}/"):
        return True
    if dotted.startswith(tuple(f"{root}." for root in ROOTS)) and len(before) > 1:
        path = "/".join(before)
        if not (exists(f"{path}.py") or exists(f"{path}/__init__.py")):
            return False
    return last in defined().get(before[-1], frozenset())


def texts() -> Iterator[tuple[str, str]]:
    for name in tree():
        if name.endswith(".md"):
            yield name, (ROOT / name).read_text(encoding="utf-8")
        elif name.endswith(".py") and name.startswith((*PACKAGES, "tests")):
            for text in source_of(ROOT / name).remarks:
                yield name, text


def is_missing(name: str) -> bool:
    if name in ELSEWHERE:
        return False
    if FILE.fullmatch(name):
        return not exists(name)
    if not DOTTED.fullmatch(name):
        return False
    is_ours = name.startswith(tuple(f"{root}." for root in ROOTS))
    return (is_ours or name.rpartition(".")[2] in functions()) and not is_there(name)


def test_what_texts_name_in_backticks_is_there() -> None:
    missing = {
        f"{place}: `{name}`"
        for place, text in texts()
        for name in CODE.findall(text)
        if is_missing(name)
    }
    assert missing == set()


def test_sections_that_code_names_are_in_their_pages() -> None:
    named = [
        (path, re.sub(r"\s+(?:# )?\s*", " ", section), page)
        for path in (ROOT / "producers").rglob("*.py")
        for section, page in SECTION.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(named) >= 10
    for path, section, page in named:
        titles = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert section in titles, f"{path}: {page} has no section {section!r}"


@each(
    ("name", "expected"),
    [
        ("kafka_lock.py", True),
        ("jar_lock.py", False),
        ("price_usage.leaf_counts", True),
        ("core.price.bill.leaf_counts", False),
        ("tokentide_jobs.core.price.bill.no_such_name", True),
        ("tokentide_jobs.embedded.kafka.jar_lock", False),
        ("jobs/runtime/", False),
        ("jobs/walltime/", True),
        ("orjson.dumps", False),
    ],
)
def test_a_name_that_is_gone_is_seen(name: str, *, expected: bool) -> None:
    assert is_missing(name) is expected
