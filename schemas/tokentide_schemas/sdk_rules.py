"""The rules for single fields as data: the SDK's `_event_rules.json`.

They are the parts of the JSON Schemas that a check without any library can follow, so that a
service's own tests find what the pipeline would refuse. Invariant: a keyword that the SDK's check
does not know is an error here, and never a rule that is left out.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tokentide_schemas.events import EVENT_MODELS
from tokentide_schemas.export import schema_of

KEYWORDS: Final = frozenset(
    {
        "additionalProperties",
        "anyOf",
        "const",
        "enum",
        "exclusiveMinimum",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minLength",
        "minimum",
        "not",
        "pattern",
        "propertyNames",
        "type",
    }
)
"""Words of JSON Schema that `tokentide.conformance` follows."""
_FOR_PEOPLE: Final = frozenset({"default", "description", "title"})


def text() -> str:
    """Return the text of the SDK's file: by type of event, what is required and every rule."""
    types = ",\n".join(f"{json.dumps(name)}: {_event(name)}" for name in EVENT_MODELS)
    return f"{{\n{types}\n}}\n"


def _event(event_type: str) -> str:
    schema = schema_of(event_type)
    rules = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(_known(name, rule))}"
        for name, rule in schema["properties"].items()
    )
    return f'{{"required": {json.dumps(schema["required"])},\n "properties": {{\n{rules}\n }}}}'


def _known(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule without words for people; refuse one that the check would not follow."""
    found = {word: value for word, value in rule.items() if word not in _FOR_PEOPLE}
    if unexpected := found.keys() - KEYWORDS:
        raise ValueError(f"{name}: tokentide.conformance does not follow {sorted(unexpected)}")
    if "anyOf" in found:
        found["anyOf"] = [_known(name, one) for one in found["anyOf"]]
    return found
