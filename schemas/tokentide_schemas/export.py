"""The contract as JSON Schemas (draft 2020-12), for services in other languages.

Run `python -m tokentide_schemas.export` to write `json/`, with `--check` to fail when the files are
not what the models state. Rules between fields are in the schemas as far as JSON Schema can express
them; that details never exceed totals it cannot, so that is stated in words.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from tokentide_schemas.control import CONTROL_MODELS
from tokentide_schemas.descriptions import DESCRIPTIONS
from tokentide_schemas.events import DISJOINT, EVENT_MODELS, SCHEMA_VERSION, SUBSETS

JSON_DIR: Final = Path(__file__).parent / "json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_PRESENT: Final = {"not": {"type": "null"}}

_HAS_TARGET: Final[Schema] = {
    "$comment": "A judgement names what it judges.",
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
        for name in ("target_event_id", "response_id", "conversation_id")
    ],
}

_SAYS_WHAT_IT_USED: Final[Schema] = {
    "$comment": "A successful call reports its usage, or says that usage is missing.",
    "if": {
        "properties": {"status": {"const": "ok"}, "usage_source": {"enum": ["provider", None]}},
        "required": ["status"],
    },
    "then": {
        "anyOf": [
            {"required": [name], "properties": {name: _PRESENT}}
            for name in ("input_tokens", "output_tokens", "other_units")
        ]
    },
}

_RULES: Final[dict[str, list[Schema]]] = {
    "request": [_SAYS_WHAT_IT_USED],
    "evaluation": [_HAS_TARGET],
    "feedback": [_HAS_TARGET],
}


def schema_of(event_type: str) -> Schema:
    """Return the JSON Schema of one event type."""
    model = EVENT_MODELS[event_type]
    schema = model.model_json_schema(mode="validation")
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["description"] = DESCRIPTIONS[name]
    described: Schema = {
        "$schema": _DIALECT,
        "$id": f"urn:tokentide:event:{event_type}:v{SCHEMA_VERSION}",
        "title": f"Tokentide {event_type} event",
        "description": (model.__doc__ or "").strip(),
        "type": "object",
        "required": schema["required"],
        "properties": schema["properties"],
        "additionalProperties": True,
    }
    if rules := _RULES.get(event_type):
        described["allOf"] = rules
    if event_type == "request":
        described["$comment"] = _beyond_json_schema()
    return described


def _beyond_json_schema() -> str:
    subsets = [f"{part} <= {total}" for part, total in SUBSETS]
    sums = [f"{' + '.join(parts)} <= {total}" for parts, total in DISJOINT]
    return "Checked besides this schema: " + "; ".join([*subsets, *sums, "ttft_ms <= duration_ms"])


def control_schema_of(name: str) -> Schema:
    """Return the JSON Schema of one state of the control topic."""
    schema = CONTROL_MODELS[name].model_json_schema(mode="validation")
    return {
        "$schema": _DIALECT,
        "$id": f"urn:tokentide:control:{name}:v1",
        **schema,
        "additionalProperties": True,
    }


def event_schema() -> Schema:
    """Return the JSON Schema of any event: the one of its type."""
    return {
        "$schema": _DIALECT,
        "$id": f"urn:tokentide:event:v{SCHEMA_VERSION}",
        "title": "Tokentide event",
        "description": "Any event; `type` names which. Unknown fields are ignored.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(EVENT_MODELS)}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"urn:tokentide:event:{name}:v{SCHEMA_VERSION}"},
            }
            for name in EVENT_MODELS
        ],
    }


def files() -> dict[str, str]:
    """Return the name and the text of every schema file."""
    schemas = {name: schema_of(name) for name in EVENT_MODELS} | {"event": event_schema()}
    schemas |= {name: control_schema_of(name) for name in CONTROL_MODELS}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def stale_files(folder: Path = JSON_DIR) -> list[str]:
    """Return the files that are missing, superfluous or not what the models say."""
    current = files()
    present = {path.name: path.read_text() for path in folder.glob("*.schema.json")}
    names = current.keys() | present.keys()
    return sorted(name for name in names if current.get(name) != present.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Write or check the schema files; 0 when all is well, 1 when the check fails."""
    parser = argparse.ArgumentParser(prog="python -m tokentide_schemas.export")
    parser.add_argument("--check", action="store_true", help="only compare, fail on a difference")
    options = parser.parse_args(arguments)
    stale = stale_files()
    if not options.check:
        JSON_DIR.mkdir(exist_ok=True)
        for path in JSON_DIR.glob("*.schema.json"):
            path.unlink()
        for name, text in files().items():
            (JSON_DIR / name).write_text(text)
        sys.stdout.write(f"{len(files())} schemas written, {len(stale)} of them changed\n")
        return 0
    for name in stale:
        sys.stderr.write(
            f"{JSON_DIR / name} is not what the models say:"
            " run python -m tokentide_schemas.export and commit the result\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
