"""Whether older producers still work: today's contract against the released one.

`released/v1.json` is the contract that producers in the field were built for. A change breaks them
when it removes a field, narrows what a field may hold, requires what was optional, or adds a rule
over fields that they send. Run `python -m tokentide_schemas.compatibility`; exit code 1 names every
break. `--release` writes today's contract as the released one, unless it breaks the old one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tokentide_schemas.events import DISJOINT, EVENT_MODELS, SCHEMA_VERSION, SUBSETS
from tokentide_schemas.export import schema_of

RELEASED: Final = Path(__file__).parent / "released" / f"v{SCHEMA_VERSION}.json"

Schema = dict[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NESTED: Final = ("items", "additionalProperties", "propertyNames")
_HARMLESS: Final = ("title", "description", "default", "$comment")
_KNOWN: Final = frozenset(
    (*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_NESTED, *_HARMLESS, "type", "pattern", "enum", "const")
)


def contract() -> Schema:
    """Return today's contract: all schemas, and the rules that JSON Schema cannot say."""
    return {
        "schema_version": SCHEMA_VERSION,
        "events": {name: schema_of(name) for name in EVENT_MODELS},
        "rules": {
            "subsets": [list(pair) for pair in SUBSETS],
            "disjoint": [[list(parts), total] for parts, total in DISJOINT],
            "validators": {
                name: sorted(model.__pydantic_decorators__.model_validators)
                for name, model in EVENT_MODELS.items()
            },
        },
    }


def breaks(released: Schema, current: Schema) -> list[str]:
    """Return one sentence for everything that breaks a producer of the released contract."""
    found: list[str] = []
    for event_type, old in released["events"].items():
        new = current["events"].get(event_type)
        if new is None:
            found.append(f"{event_type}: the event type was removed")
        else:
            found.extend(_event_breaks(event_type, old, new))
    return found + list(_rule_breaks(released, current))


def _event_breaks(event_type: str, old: Schema, new: Schema) -> Iterator[str]:
    for name, field in old["properties"].items():
        if name not in new["properties"]:
            yield f"{event_type}.{name}: the field was removed"
        else:
            yield from _narrowings(f"{event_type}.{name}", field, new["properties"][name])
    for name in new["required"]:
        if name not in old["required"]:
            yield f"{event_type}.{name}: the field is required now"
    if (new.get("additionalProperties", True), old.get("additionalProperties", True)) == (0, 1):
        yield f"{event_type}: unknown fields are refused now"
    for rule in new.get("allOf", []):
        if rule not in old.get("allOf", []):
            yield f"{event_type}: a rule was added: {rule.get('$comment', rule)}"


def _rule_breaks(released: Schema, current: Schema) -> Iterator[str]:
    """Yield rules over fields that released producers may send."""
    old, new = released["rules"], current["rules"]
    fields = released["events"]["request"]["properties"]
    for part, total in new["subsets"]:
        if [part, total] not in old["subsets"] and part in fields:
            yield f"request.{part}: it must not exceed {total} now"
    for parts, total in new["disjoint"]:
        if [parts, total] not in old["disjoint"] and any(part in fields for part in parts):
            yield f"request.{' + '.join(parts)}: together they must not exceed {total} now"
    for event_type, validators in new["validators"].items():
        for name in sorted(set(validators) - set(old["validators"].get(event_type, validators))):
            yield f"{event_type}: the rule {name} was added"


def _alternatives(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", [schema]))


def _narrowings(where: str, old: Schema, new: Schema) -> Iterator[str]:
    """Yield what the new schema of a value no longer takes."""
    for alternative in _alternatives(old):
        candidates = [list(_tighter(where, alternative, other)) for other in _alternatives(new)]
        # The alternative that comes nearest explains the difference best.
        yield from min(candidates, key=len)


def _tighter(where: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare two plain schemas; sentences for every way in which the new one is tighter."""
    types = (old.get("type"), new.get("type"))
    if types[1] is not None and types[0] != types[1] and types != ("integer", "number"):
        yield f"{where}: the type was {types[0]} and is {types[1]}"
        # Nothing else is comparable; a wrong type is never the nearest alternative.
        yield f"{where}: values of type {types[0]} are refused now"
        return
    for names, is_tighter in ((_LOWER_BOUNDS, float.__gt__), (_UPPER_BOUNDS, float.__lt__)):
        for name in names:
            if name in new and (name not in old or is_tighter(float(new[name]), float(old[name]))):
                yield f"{where}: {name} was {old.get(name, 'unlimited')} and is {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: pattern was {old.get('pattern', 'any')} and is {new['pattern']}"
    yield from _fewer_choices(where, old, new)
    for name in _NESTED:
        if isinstance(new.get(name), dict):
            yield from _narrowings(f"{where}.{name}", old.get(name) or {}, new[name])
    for name in sorted(new.keys() - _KNOWN):
        if new[name] != old.get(name):
            yield f"{where}: {name} was {old.get(name)} and is {new[name]}"


def _fewer_choices(where: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = (
        schema.get("enum") or ([schema["const"]] if "const" in schema else None)
        for schema in (old, new)
    )
    if after is None:
        return
    if before is None:
        yield f"{where}: only {after} are taken now"
    elif removed := [choice for choice in before if choice not in after]:
        yield f"{where}: {removed} are refused now"


def main(arguments: list[str] | None = None) -> int:
    """Check the contract, or release it; 0 when older producers still work, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tokentide_schemas.compatibility")
    parser.add_argument("--release", action="store_true", help="write the contract as released")
    options = parser.parse_args(arguments)
    current = contract()
    found = breaks(json.loads(RELEASED.read_text()), current) if RELEASED.exists() else []
    for sentence in found:
        sys.stderr.write(f"breaks older producers: {sentence}\n")
    if found:
        sys.stderr.write(
            "undo the change, or raise SCHEMA_VERSION and read both versions side by side\n"
        )
        return 1
    if options.release:
        RELEASED.parent.mkdir(exist_ok=True)
        RELEASED.write_text(json.dumps(current, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"producers of contract v{SCHEMA_VERSION} still work\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
