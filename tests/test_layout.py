"""Names stand once in a package, functions stay small, and tests lie as the packages do."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.places import ROOT
from tests.sources import source_of
from tests.test_architecture import SOURCES, modules

SAME_IDEA = {
    "cohere.py": "Cohere's API, its client recorded and its answers read",
    "explain.py": "how a cost came about, computed and shown",
    "litellm.py": "litellm's callback, registered and answered",
    "repair.py": "repairing, done and asked for",
    "reprice.py": "repricing, done and asked for",
    "runs.py": "runs of agents, read and shown",
    "status.py": "the state of the pipeline, judged, read and shown",
    "stack.py": "the embedded stack, run and asked for",
    "summary.py": "spend and latency, read and shown",
    "verify.py": "the proof, made and asked for",
    "void.py": "taking events out, done and asked for",
    "worker.py": "the worker process, run and asked for",
}
"""File names that stand twice within a package because they mean the same thing."""


def test_a_file_name_stands_once_in_a_package_unless_it_means_the_same() -> None:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, path in modules().items():
        package = module.split(".")[0]
        if package != "bench" and not path.name.startswith("__"):
            places[package, path.name].append(module)
    twice = {name: found for (_package, name), found in places.items() if len(found) > 1}
    assert twice.keys() == SAME_IDEA.keys(), twice


def test_a_class_name_stands_once_in_a_package() -> None:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, path in modules().items():
        for node in source_of(path).outline.body:
            if isinstance(node, ast.ClassDef):
                places[module.split(".")[0], node.name].append(module)
    twice = {name: found for (_package, name), found in places.items() if len(found) > 1}
    assert twice == {}


def test_functions_stay_small() -> None:
    wrong = [
        f"{module}: {node.name} has {lines} lines"
        for module, path in modules().items()
        for node in ast.walk(source_of(path).outline)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert wrong == []


BY_TOPIC = {
    "producers/real_clients": "published clients, each in an interpreter of its own",
    "producers/safety": "what the SDK may not do to its host, whatever part would do it",
}
"""Folders of tests that no folder of a package answers to."""


def test_tests_lie_where_the_packages_lie() -> None:
    holders = {source.name: source / package for package, source in SOURCES.items()}
    wrong = [
        str(path.parent.relative_to(ROOT))
        for name in ("schemas", "producers", "stream_jobs", "dashboards")
        for path in (ROOT / "tests" / name).rglob("test_*.py")
        if str(path.parent.relative_to(ROOT / "tests")) not in BY_TOPIC
        and not (holders[name] / path.parent.relative_to(ROOT / "tests" / name)).is_dir()
    ]
    assert wrong == []


def test_the_tests_of_a_module_lie_in_its_folder() -> None:
    wrong = []
    for name in ("schemas", "producers", "stream_jobs", "dashboards"):
        package = next(package for package, source in SOURCES.items() if source.name == name)
        for path in (ROOT / "tests" / name).rglob("test_*.py"):
            folder = path.parent.relative_to(ROOT / "tests" / name)
            tested = {
                module
                for node in source_of(path).imports
                for module in imported(node)
                if module in modules() and module.endswith(f".{path.stem[5:]}")
            }
            room = ".".join([package, *folder.parts])
            if (
                tested
                and not tested & {room, f"{room}.{path.stem[5:]}"}
                and f"{name}/{folder}" not in BY_TOPIC
            ):
                wrong.append(f"{path}: {sorted(tested)}")
    assert wrong == []


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return what an absolute import may name: modules, and what is taken of them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
