"""What the producer SDK must know of the contract, as files of its own without any model.

The SDK may import neither pydantic nor this package, so it carries generated copies: names and
limits (here), types (`sdk_types`) and rules (`sdk_rules`). In a checkout
`python -m tokentide_schemas.sdk_contract` writes them; with `--check` it fails when a file is not
what the models say.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from annotated_types import Le, MaxLen
from pydantic import BaseModel, StringConstraints, TypeAdapter
from pydantic.fields import FieldInfo

from tokentide_schemas import fields as kinds
from tokentide_schemas import sdk_rules, sdk_types
from tokentide_schemas.events import (
    DISJOINT,
    EVENT_MODELS,
    SCHEMA_VERSION,
    SUBSETS,
    USAGE_FIELDS,
    BaseEvent,
)
from tokentide_schemas.topics import CONTENT, CONTROL, EVENTS

SDK_DIR: Final = Path(__file__).parents[2] / "producers" / "tokentide"

_HEAD: Final = '''\
"""The event contract, as far as the producer must know it: names, limits, rules between counts.

Generated from the event models by `python -m tokentide_schemas.sdk_contract`; do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping
'''


def files() -> dict[str, str]:
    """Return the name and the text of every file that the SDK carries."""
    return {
        "_contract.py": text(),
        "fields.py": sdk_types.text(),
        "_event_rules.json": sdk_rules.text(),
    }


def text() -> str:
    """Return the text of the module of names and limits."""
    fields = dict(_fields())
    limits = {name: limit for name, field in fields.items() if (limit := _text_limit(field))}
    sections = (
        _constant("SCHEMA_VERSION", SCHEMA_VERSION, "Version of the contract."),
        _constant("EVENTS_TOPIC", EVENTS.name),
        _constant("CONTENT_TOPIC", CONTENT.name),
        _constant("CONTROL_TOPIC", CONTROL.name),
        _mapping("TEXT_LIMITS", limits, "Longest text of each text field, in characters."),
        _constant("MAX_LABEL", _max_length(kinds.Label), "Longest name or label, in characters."),
        _constant("MAX_IDENTIFIER", _max_length(kinds.Identifier)),
        _constant("MAX_TAGS", kinds.MAX_TAGS, "Tags of one event."),
        _constant("MAX_TAG_KEY", _max_length(kinds.TagKey)),
        _constant("MAX_TAG_VALUE", _max_length(kinds.TagValue)),
        _constant("MAX_FINISH_REASONS", _max_length(kinds.FinishReasons)),
        _constant("MAX_TOKENS", kinds.MAX_TOKENS, "Largest count of tokens of one call."),
        _constant(
            "MAX_SMALL_COUNT",
            _bound(kinds.SmallCount),
            "Largest count of choices, retries, tool calls or searches.",
        ),
        _constant(
            "MAX_AMOUNT", _bound(kinds.UnitAmount), "Largest amount of a unit that is not a token."
        ),
        _constant(
            "KEY_PATTERN",
            kinds.KEY_PATTERN,
            "What looks like a credential itself, where only its id belongs.",
        ),
        _constant(
            "CODE_PATTERN", kinds.CODE_PATTERN, "The shape of an error's code and of its kind."
        ),
        _constant(
            "REASON_PATTERN", kinds.REASON_PATTERN, "The shape of a reason why a model stopped."
        ),
        _constant("MAX_DURATION_MS", kinds.MAX_DURATION_MS),
        _constant("MAX_PICO_USD", kinds.MAX_PICO_USD, "Most money of one call, in 1e-12 USD."),
        _constant("MAX_EPOCH_US", kinds.MAX_EPOCH_US),
        _event_fields(),
        _names("USAGE_FIELDS", USAGE_FIELDS, "Fields that say what a call consumed."),
        _detail_groups(),
        _details_fit(),
        _required_texts(),
        _names("ENUMERATIONS", _enumerations(fields), "Fields whose texts are words of a list."),
        _names("UUIDS", _of_pattern(fields, kinds.UUID_PATTERN)),
        _names("HEX_IDS", _of_pattern(fields, kinds.HEX32_PATTERN, kinds.HEX16_PATTERN)),
    )
    return "\n".join((_HEAD, *sections))


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every field of every event type, the common ones first; a name may come twice."""
    models: tuple[type[BaseModel], ...] = (BaseEvent, *EVENT_MODELS.values())
    for model in models:
        yield from ((name, info) for name, info in model.model_fields.items() if name != "type")


def _event_fields() -> str:
    """Return the names that each type of event has, beside those that all of them have."""
    common = ("type", *BaseEvent.model_fields)
    shown = "".join(f"    {_quoted(name)},\n" for name in common)
    lines = []
    for event_type, model in EVENT_MODELS.items():
        own = (name for name in model.model_fields if name not in common)
        names = "".join(f"        {_quoted(name)},\n" for name in own)
        lines.append(f"    {_quoted(event_type)}: (\n        *_COMMON,\n{names}    ),\n")
    return f"_COMMON: tuple[str, ...] = (\n{shown})\n\n" + _documented(
        f"FIELDS: dict[str, tuple[str, ...]] = {{\n{''.join(lines)}}}\n",
        "Every field of each type of event; the pipeline takes no notice of others.",
    )


def _constraints(annotation: object) -> Iterator[object]:
    """Yield the constraints of an annotation, those of its union members among them."""
    for metadata in getattr(annotation, "__metadata__", ()):
        yield metadata
        yield from getattr(metadata, "metadata", ())
    for member in get_args(annotation):
        yield from _constraints(member)


def _rules_of(field: FieldInfo) -> list[object]:
    return [*field.metadata, *_constraints(field.annotation)]


def _text_limit(field: FieldInfo) -> int | None:
    if str not in (field.annotation, *_members(field)):
        return None
    found = [
        rule.max_length
        for rule in _rules_of(field)
        if isinstance(rule, StringConstraints | MaxLen) and rule.max_length is not None
    ]
    return found[0] if found else None


def _members(field: FieldInfo) -> Iterator[object]:
    for member in get_args(field.annotation):
        yield get_args(member)[0] if hasattr(member, "__metadata__") else member


def _of_pattern(fields: dict[str, FieldInfo], *patterns: str) -> list[str]:
    return [
        name
        for name, field in fields.items()
        if any(getattr(rule, "pattern", None) in patterns for rule in _rules_of(field))
    ]


def _enumerations(fields: dict[str, FieldInfo]) -> list[str]:
    return [name for name, field in fields.items() if _is_enumeration(field.annotation)]


def _is_enumeration(annotation: object) -> bool:
    members = (annotation, *get_args(annotation))
    return any(get_origin(member) is Literal for member in members)


def _max_length(kind: Any) -> int:
    schema = TypeAdapter(kind).json_schema()
    return int(schema.get("maxLength") or schema["maxItems"])


def _bound(kind: Any) -> int | float:
    return next(rule.le for rule in _constraints(kind) if isinstance(rule, Le))  # type: ignore[return-value]


def _detail_groups() -> str:
    """Return the groups of details that share a total, in the order of the subset rules."""
    lines = [f"    ({_tuple(parts)}, {_quoted(total)}),\n" for parts, total in _groups()]
    return _documented(
        f"DETAILS_OF_TOTALS: tuple[tuple[tuple[str, ...], str], ...] = (\n{''.join(lines)})\n",
        "(details that share a total, the total), totals before what is part of them.",
    )


def _groups() -> list[tuple[tuple[str, ...], str]]:
    groups: dict[tuple[tuple[str, ...], str], None] = {}
    for detail, total in SUBSETS:
        shared = (parts for parts, whole in DISJOINT if whole == total and detail in parts)
        groups[next(shared, (detail,)), total] = None
    return list(groups)


def _details_fit() -> str:
    """Return the subset rules as one expression: it runs on every call, a loop costs five times."""
    uses = Counter(name for parts, total in _groups() for name in (*parts, total))
    often = [name for name, times in uses.items() if times > 1]

    def value(name: str) -> str:
        return name if name in often else f"get({_quoted(name)}, 0)"

    def rule(parts: Sequence[str], total: str) -> str:
        left, right = " + ".join(map(value, parts)), value(total)
        is_long = len(f"        and {left} <= {right}") > 100
        return f"{left}\n        <= {right}" if is_long else f"{left} <= {right}"

    rules = [rule(parts, total) for parts, total in _groups()]
    reads = "".join(f"    {name} = get({_quoted(name)}, 0)\n" for name in often)
    return (
        "\ndef details_fit(counts: Mapping[str, int]) -> bool:\n"
        '    """Return whether no detail exceeds its total; an absent count is 0."""\n'
        f"    get = counts.get\n{reads}"
        f"    return (\n        {f'{chr(10)}        and '.join(rules)}\n    )\n\n"
    )


def _required_texts() -> str:
    required = {
        event_type: [
            name
            for name, field in model.model_fields.items()
            if field.is_required() and field.annotation is str and _text_limit(field)
        ]
        for event_type, model in EVENT_MODELS.items()
    }
    lines = [f"    {_quoted(name)}: {_tuple(texts)},\n" for name, texts in required.items()]
    return _documented(
        f"REQUIRED_TEXTS: dict[str, tuple[str, ...]] = {{\n{''.join(lines)}}}\n",
        "Texts by type of event without which the pipeline refuses it.",
    )


def _constant(name: str, value: object, doc: str = "") -> str:
    shown = _quoted(value) if isinstance(value, str) else repr(value)
    return _documented(f"{name} = {shown}\n", doc)


def _names(name: str, values: Iterable[str], doc: str = "") -> str:
    lines = "".join(f"    {_quoted(value)},\n" for value in values)
    return _documented(f"{name}: tuple[str, ...] = (\n{lines})\n", doc)


def _mapping(name: str, values: dict[str, int], doc: str) -> str:
    lines = "".join(f"    {_quoted(key)}: {value},\n" for key, value in values.items())
    return _documented(f"{name}: dict[str, int] = {{\n{lines}}}\n", doc)


def _documented(code: str, doc: str) -> str:
    return f'{code}"""{doc}"""\n' if doc else code


def _tuple(values: Sequence[str]) -> str:
    comma = "," if len(values) == 1 else ""
    return f"({', '.join(map(_quoted, values))}{comma})"


def _quoted(value: str) -> str:
    return f'"{value}"'


def stale_files() -> list[str]:
    """Return the files of the SDK that are not what the models state."""
    return [
        name
        for name, current in files().items()
        if not (SDK_DIR / name).exists() or (SDK_DIR / name).read_text(encoding="utf-8") != current
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write or check the SDK's files; 0 when all is well, 1 when the check fails."""
    parser = argparse.ArgumentParser(prog="python -m tokentide_schemas.sdk_contract")
    parser.add_argument("--check", action="store_true", help="only compare, fail on a difference")
    options = parser.parse_args(arguments)
    if not options.check:
        for name, current in files().items():
            (SDK_DIR / name).write_text(current, encoding="utf-8")
        return 0
    stale = stale_files()
    for name in stale:
        sys.stderr.write(
            f"{SDK_DIR / name} is not what the models say:"
            " run python -m tokentide_schemas.sdk_contract and commit the result\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
