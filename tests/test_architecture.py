"""The dependency rule: schemas <- core <- io <- jobs and embedded <- cli, and a light SDK."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.places import ROOT

JOBS = ROOT / "stream_jobs" / "tokentide_jobs"

LAYERS = {
    "core": {"tokentide_schemas", "core", "errors"},
    "io": {"tokentide_schemas", "core", "io", "errors", "settings"},
}
"""What a layer may import of ours; the outer layers may import inwards."""

SDK_IN_CORE = {"stream_jobs/tokentide_jobs/core/record/otlp.py": {"tokentide.semconv"}}
"""The one thing the pipeline takes from the SDK: what a span means is decided in one place."""

OUTER = {"jobs", "embedded", "replay"}

CORE_FORBIDDEN = {
    "aiohttp",
    "aiokafka",
    "asyncio",
    "chdb",
    "clickhouse_connect",
    "faust",
    "os",
    "pathlib",
    "requests",
    "socket",
    "threading",
    "time",
}
"""Modules that would give the core an edge to the world or a clock."""


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_core_touches_neither_the_world_nor_a_clock() -> None:
    for path in files_of(JOBS / "core"):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & CORE_FORBIDDEN, f"{path.relative_to(ROOT)}: {roots & CORE_FORBIDDEN}"


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_inner_layers_import_only_inwards(layer: str) -> None:
    for path in files_of(JOBS / layer):
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] == "tokentide_jobs" and len(parts) > 1:
                assert parts[1] in LAYERS[layer], f"{path.relative_to(ROOT)} imports {name}"
            allowed = SDK_IN_CORE.get(str(path.relative_to(ROOT)), set())
            assert parts[0] != "tokentide" or name in allowed, (
                f"{path.relative_to(ROOT)} imports the SDK"
            )


def test_nothing_but_the_command_line_imports_the_command_line() -> None:
    for folder in OUTER | set(LAYERS):
        for path in files_of(JOBS / folder):
            offenders = {n for n in imports_of(path) if n.startswith("tokentide_jobs.cli")}
            assert not offenders, f"{path.relative_to(ROOT)}: {offenders}"


def test_the_contract_and_the_sdk_depend_on_nothing_of_ours() -> None:
    for folder, own in (("schemas", "tokentide_schemas"), ("producers", "tokentide")):
        for path in files_of(ROOT / folder):
            for name in imports_of(path):
                root = name.split(".")[0]
                assert not root.startswith("tokentide") or root == own, f"{path} imports {name}"


def test_modules_stay_small_and_say_what_they_are_for() -> None:
    code = [*files_of(ROOT / "schemas"), *files_of(ROOT / "producers"), *files_of(JOBS)]
    for path in [*code, *files_of(ROOT / "bench")]:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path.relative_to(ROOT)} has over 400 lines"
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"
