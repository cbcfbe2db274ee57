"""The rule of the rooms: every module belongs to one, and imports only from rooms below its own.

`ROOMS` is the whole architecture in one ordered tuple, the lowest room first. A room is a folder or
a file; the longest matching name wins. Rooms of one row do not know each other.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.each import each
from tests.places import ROOT
from tests.sources import source_of

SOURCES = {
    "tokentide_schemas": ROOT / "schemas",
    "tokentide": ROOT / "producers",
    "tokentide_jobs": ROOT / "stream_jobs",
    "tokentide_dashboards": ROOT / "dashboards",
    "bench": ROOT,
}

ROOMS: tuple[tuple[str, ...], ...] = (
    ("tokentide_schemas",),
    # the SDK: what it knows, how it sends, what it keeps private, how it records
    ("tokentide._contract", "tokentide.fields"),
    (
        "tokentide._version",
        "tokentide.decorating",
        "tokentide.error_codes",
        "tokentide.event_identity",
        "tokentide.finish",
        "tokentide.ids",
        "tokentide.log",
        "tokentide.seen_calls",
        "tokentide.trace_context",
    ),
    (
        "tokentide.failures",
        "tokentide.key_ids",
        "tokentide.recorded_functions",
        "tokentide.settings",
    ),
    ("tokentide.delivery", "tokentide.usage"),
    (
        "tokentide.check",
        "tokentide.conformance",
        "tokentide.privacy",
        "tokentide.semconv",
        "tokentide.spool",
    ),
    ("tokentide.content", "tokentide.context", "tokentide.control"),
    ("tokentide.assembly", "tokentide.gate", "tokentide.recorder"),
    ("tokentide.engine",),
    ("tokentide.producer",),
    ("tokentide.telemetry",),
    ("tokentide.bridges", "tokentide.testing"),
    ("tokentide.instrument",),
    ("tokentide.automatic", "tokentide.__main__"),
    (
        "tokentide_jobs.errors",
        "tokentide_jobs.backoff",
        "tokentide_jobs.counted",
        "tokentide_jobs.core.digest",
        "tokentide_jobs.disk_space",
        "tokentide_jobs.how_to_install",
        "tokentide_jobs.owner_only",
        "tokentide_jobs.process_name",
        "tokentide_jobs.core.money",
        "tokentide_jobs.core.tables",
        "tokentide_jobs.urls",
        "tokentide_jobs.web_guard",
    ),
    # core: a room a stage, in the order in which an event passes them
    (
        "tokentide_jobs.core.record",
        "tokentide_jobs.core.failing_receiver",
        "tokentide_jobs.core.partition_lag",
        "tokentide_jobs.core.forecast",
        "tokentide_jobs.core.metrics",
    ),
    (
        "tokentide_jobs.core.decode",
        "tokentide_jobs.core.price",
        "tokentide_jobs.core.window",
        "tokentide_jobs.core.detect_metrics",
    ),
    (
        "tokentide_jobs.core.batch",
        "tokentide_jobs.core.change",
        "tokentide_jobs.core.detect",
        "tokentide_jobs.core.guard",
    ),
    (
        "tokentide_jobs.core.outcome",
        "tokentide_jobs.core.status",
        "tokentide_jobs.core.reprice",
        "tokentide_jobs.core.simulate",
        "tokentide_jobs.core.budget",
        "tokentide_jobs.core.slo",
    ),
    ("tokentide_jobs.core.alert", "tokentide_jobs.core.merge"),
    ("tokentide_jobs.core.decide", "tokentide_jobs.core.verify"),
    ("tokentide_jobs.settings",),
    # io: a room an outside system; the SQL that ClickHouse runs is below the client that runs it
    (
        "tokentide_jobs.io.grafana",
        "tokentide_jobs.io.kafka",
        "tokentide_jobs.io.notify",
        "tokentide_jobs.io.schema",
    ),
    ("tokentide_jobs.io.files",),
    ("tokentide_jobs.io.clickhouse",),
    ("tokentide_jobs.jobs.runtime",),
    ("tokentide_jobs.jobs.alert",),
    ("tokentide_jobs.jobs.ingest", "tokentide_jobs.jobs.detect", "tokentide_jobs.tasks"),
    ("tokentide_jobs.embedded.processes", "tokentide_jobs.embedded.artifacts"),
    # the embedded ClickHouse: the way of a request
    (
        "tokentide_jobs.embedded.kafka",
        "tokentide_jobs.embedded.clickhouse.exceptions",
        "tokentide_jobs.embedded.clickhouse.literals",
        "tokentide_jobs.embedded.clickhouse.log_rate",
    ),
    ("tokentide_jobs.embedded.clickhouse.wire",),
    ("tokentide_jobs.embedded.clickhouse.engine",),
    ("tokentide_jobs.embedded.clickhouse.access",),
    ("tokentide_jobs.embedded.clickhouse.request",),
    ("tokentide_jobs.embedded.clickhouse.response",),
    ("tokentide_jobs.embedded.clickhouse.run",),
    ("tokentide_jobs.embedded.clickhouse.endpoint",),
    (
        "tokentide_jobs.embedded.clickhouse.__main__",
        "tokentide_jobs.embedded.clickhouse.process",
    ),
    ("tokentide_jobs.embedded.stack",),
    ("tokentide_jobs.replay.formats",),
    ("tokentide_jobs.replay",),
    # boards and alert rules as code: below the cli, which serves them
    ("tokentide_dashboards.kit",),
    ("tokentide_dashboards.boards", "tokentide_dashboards.check"),
    ("tokentide_dashboards.rules",),
    ("tokentide_dashboards.generated", "tokentide_dashboards.live"),
    ("tokentide_dashboards.__main__", "tokentide_dashboards.viewer"),
    ("tokentide_jobs.cli",),
    ("tokentide_jobs.__main__",),
    ("bench",),
)

KEPT_APART = (
    ("tokentide", "tokentide_schemas"),
    ("tokentide_jobs.embedded", "tokentide_jobs.jobs"),
    ("tokentide_jobs.embedded", "tokentide_jobs.tasks"),
    ("tokentide_jobs.embedded", "tokentide_jobs.core"),
    ("tokentide_jobs.replay", "tokentide_jobs.core"),
    ("tokentide_jobs.replay", "tokentide_jobs.io"),
    ("tokentide_jobs.replay", "tokentide_jobs.jobs"),
    ("tokentide_jobs.replay", "tokentide_jobs.tasks"),
    ("tokentide_jobs.tasks", "tokentide_jobs.jobs"),
    ("tokentide_dashboards", "tokentide_jobs.embedded"),
    ("tokentide_dashboards", "tokentide_jobs.jobs"),
    ("tokentide_dashboards", "tokentide_jobs.tasks"),
)
"""Rooms that may not know each other although one is above: the first never imports the second."""

TAKEN_FROM_THE_SDK = {
    "tokentide_jobs.core.record.otlp": {"tokentide.semconv"},
    "tokentide_jobs.core.record.agent_logs": {
        "tokentide.failures",
        "tokentide.semconv",
        "tokentide.usage",
    },
    "tokentide_jobs.core.record.coding_agents": {"tokentide.semconv", "tokentide.usage"},
}
"""What the pure core takes from the SDK: what a span means is decided in one place."""

CORE_FORBIDDEN = {
    "aiohttp",
    "aiokafka",
    "asyncio",
    "chdb",
    "clickhouse_connect",
    "faust",
    "os",
    "pathlib",
    "prometheus_client",
    "requests",
    "socket",
    "threading",
    "time",
}
"""Modules that would give the core an edge to the world or a clock."""


def module_name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package, source in SOURCES.items():
        for path in sorted((source / package).rglob("*.py")):
            found[module_name(path, source)] = path
    return found


def absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    """Resolve `from ..x import y` to the module it names."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


@cache
def imports_of(module: str) -> frozenset[str]:
    """Every module that `module` imports, relative imports resolved, submodules by their name."""
    path = modules()[module]
    found: set[str] = set()
    for node in source_of(path).imports:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        else:
            source = absolute(module, path, node)
            for alias in node.names:
                submodule = f"{source}.{alias.name}"
                found.add(submodule if submodule in modules() else source)
    return frozenset(found)


def ours(module: str) -> set[str]:
    return {name for name in imports_of(module) if name in modules()}


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@cache
def room_of(module: str) -> tuple[int, str]:
    """Floor and room of a module; a package's own `__init__` belongs to no floor of its rooms."""
    fitting = [
        (floor, room)
        for floor, rooms in enumerate(ROOMS)
        for room in rooms
        if is_within(module, room)
    ]
    assert fitting, f"{module} is in no room: add it to ROOMS where it belongs"
    return max(fitting, key=lambda place: len(place[1]))


def placed() -> list[str]:
    """Every module but the packages that only hold rooms."""
    holders = {room.rsplit(".", 1)[0] for rooms in ROOMS for room in rooms if "." in room}
    holders |= {holder.rsplit(".", 1)[0] for holder in holders if "." in holder}
    listed = {room for rooms in ROOMS for room in rooms}
    return [module for module in modules() if module not in holders - listed]


def test_every_module_is_in_a_room_and_every_room_holds_something() -> None:
    inhabited = {room_of(module)[1] for module in placed()}
    assert inhabited == {room for rooms in ROOMS for room in rooms}


def test_no_import_goes_up_or_across() -> None:
    wrong, known = [], frozenset(placed())
    for module in placed():
        floor, room = room_of(module)
        for name in sorted(ours(module) & known):
            other_floor, other_room = room_of(name)
            if other_room != room and other_floor >= floor:
                wrong.append(f"{module} ({room}) imports {name} ({other_room})")
    assert wrong == []


@each(("room", "other"), KEPT_APART)
def test_rooms_that_are_kept_apart_do_not_import_each_other(room: str, other: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if is_within(module, room)
        for name in imports_of(module)
        if is_within(name, other)
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for name in sorted(ours(module)):
                if name != module:
                    visit(name, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())


def test_the_core_touches_neither_the_world_nor_a_clock() -> None:
    for module in modules():
        if is_within(module, "tokentide_jobs.core"):
            roots = {name.split(".")[0] for name in imports_of(module)}
            assert not roots & CORE_FORBIDDEN, f"{module}: {roots & CORE_FORBIDDEN}"


def test_core_and_io_take_of_the_sdk_only_what_a_span_means() -> None:
    for module in modules():
        if is_within(module, "tokentide_jobs.core") or is_within(module, "tokentide_jobs.io"):
            taken = {name for name in imports_of(module) if is_within(name, "tokentide")}
            allowed = TAKEN_FROM_THE_SDK.get(module, set())
            assert all(any(is_within(name, room) for room in allowed) for name in taken), module


def test_packages_hold_no_logic_in_their_init() -> None:
    for module, path in modules().items():
        if path.name != "__init__.py":
            continue
        for node in source_of(path).outline.body:
            is_plain = (
                isinstance(node, ast.Import | ast.ImportFrom)
                or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
                or (
                    isinstance(node, ast.Assign | ast.AnnAssign)
                    and "__all__" in ast.unparse(node).split("=")[0]
                )
                or (isinstance(node, ast.Assign) and ast.unparse(node).startswith("__version__"))
            )
            assert is_plain, f"{module}/__init__.py holds logic: {ast.unparse(node)[:80]}"


def test_modules_stay_small_and_say_what_they_are_for() -> None:
    for path in [*modules().values(), *(ROOT / "tests").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path} has over 400 lines"
        if text.strip():
            assert ast.get_docstring(source_of(path).outline), f"{path} has no docstring"
