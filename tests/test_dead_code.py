"""Whatever the packages define is used by the packages, not by tests alone."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache

from tests.places import ROOT
from tests.sources import Source, source_of

FOLDERS = ("stream_jobs", "schemas", "bench", "dashboards", "examples", "producers")
CHECKED = (
    "stream_jobs/tokentide_jobs",
    "schemas/tokentide_schemas",
    "bench",
    "producers/tokentide",
    "dashboards/tokentide_dashboards",
)

FOR_OTHERS = {
    "load_examples": "the examples of events are published for other producers' tests",
    "beyond_json_schema": "says to the readers of the examples what the models alone refuse",
    "EVENT_ADAPTER": "validates one event in other producers' tests",
    "REASONS": "the reference of events is held against it",
    "purpose": "says what a topic is for, where it is declared",
    "first_started_at_us": "a column of the ledger, read by queries",
    "capabilities": "tests ask for the ability and not for the name of a broker",
    "persistent": "likewise",
    "idempotent_producer": "likewise",
    "retention": "likewise",
    "API_KEY": "the wire protocol's name, which aiokafka reads",
    "on_broken_pipe": "rich calls it where the output has no reader any more",
    "CONTROL_ADAPTER": "validates one state in tests of services",
    # What docs/dashboards.md offers to authors of boards and rules, for tests of their own.
    "BarChart": "a panel for boards of one's own",
    "unfit": "says which columns do not fit their panel",
    "rule_problems": "says why a rule could never fire",
    # Words of the SDK that hosts use.
    "carry": "context for threads of the host's",
    "first_token": "hosts record streams of their own",
    "record_response": "likewise",
    "record_content": "likewise",
    "record_error": "likewise",
    "current_request": "likewise",
    "must_stop": "hosts ask before they go on",
    "spend_usd": "likewise",
    "TokentideSpanProcessor": "hosts add it to their tracer",
    "TokentideSpanExporter": "likewise",
    "read_fetched": "reads answers that a host fetched later",
    "capture": "texts beside an event that a host builds itself",
}
OVERRIDES = frozenset(
    {
        "faust.App",
        "Monitor",
        "Worker",
        "driver.AIOKafkaConsumerThread",
        "driver.Consumer",
        "EnvSettingsSource",
        "click.Group",
        "SpanExporter",
        "SpanProcessor",
        "BaseCallbackHandler",
        "CustomLogger",
        "httpx2.BaseTransport",
        "RenderHook",
        "yaml.SafeDumper",
    }
)
"""Classes of others whose methods they call by themselves."""
BY_NAME = frozenset({"BaseModel", "BaseEvent", "_Judgement", "_State", "TypedDict"})
"""Classes whose fields are read by their names, as columns or keys."""


@cache
def sources() -> dict[str, Source]:
    return {
        str(path.relative_to(ROOT)): source_of(path)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }


@cache
def uses() -> Counter[str]:
    """Count references by name; imports do not count, re-exports are no use."""
    counts: Counter[str] = Counter()
    for source in sources().values():
        counts.update(source.read)
        for node in source.imports:
            if isinstance(node, ast.ImportFrom):
                # `import a as b`: b is what is counted above.
                counts.update(alias.name for alias in node.names if alias.asname)
    return counts


@cache
def texts() -> frozenset[str]:
    """Return every text constant: fields of rows are read as columns and keys, too."""
    return frozenset(
        text
        for source in sources().values()
        for text in (*source.remarks, *(text for text, _line in source.texts))
    )


def is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Return whether a decorator hands the function to click or pydantic."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    registering = (".command(", ".group(", "field_validator(", "model_validator(")
    return any(word in text for text in decorators for word in registering)


def defined_at_the_top(tree: ast.Module) -> Iterator[str]:
    """Yield functions, classes and constants of a module."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not is_registered(node):
                    yield node.name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def defined_in_classes(tree: ast.Module, words: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (class, method or field), but for those that are called or read by their names."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {ast.unparse(base) for base in node.bases}
        for member in node.body:
            match member:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    is_called = is_registered(member) or bool(bases & OVERRIDES)
                    if not is_called and member.name != "settings_customise_sources":
                        yield node.name, member.name
                case ast.AnnAssign(target=ast.Name(id=name)) if not bases & BY_NAME | (
                    words & {name}
                ):
                    yield node.name, name


def is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def test_every_function_class_and_constant_is_used_outside_the_tests() -> None:
    counts = uses()
    unused = [
        f"{path}: {name}"
        for path, source in sources().items()
        if path.startswith(CHECKED)
        for name in defined_at_the_top(source.outline)
        if not counts[name] and name not in FOR_OTHERS and not is_special(name)
    ]
    assert unused == []


def test_every_method_and_field_is_used_outside_the_tests() -> None:
    counts, words = uses(), texts()
    unused = [
        f"{path}: {owner}.{name}"
        for path, source in sources().items()
        if path.startswith(CHECKED)
        for owner, name in defined_in_classes(source.outline, words)
        if not counts[name] and name not in FOR_OTHERS and not is_special(name)
    ]
    assert unused == []


def test_what_is_allowed_is_there_and_needs_it() -> None:
    counts = uses()
    outlines = [source.outline for source in sources().values()]
    names = {name for outline in outlines for name in defined_at_the_top(outline)}
    names |= {
        name for outline in outlines for _owner, name in defined_in_classes(outline, frozenset())
    }
    assert {name for name in FOR_OTHERS if name not in names or counts[name]} == set()
