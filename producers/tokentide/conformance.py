"""Whether an event, as it was sent, keeps the event contract: for a service's own tests.

The rules are data that is generated from the event models (`_event_rules.json`), so this needs no
library; a test holds its verdicts equal to those of the models. It is stricter in one thing: a
field that no model knows is a fault here, while the pipeline takes no notice of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from tokentide._contract import DETAILS_OF_TOTALS
from tokentide.delivery.encoding import LEFT_OUT_TAG
from tokentide.delivery.unknown_names import meant

Rule = Mapping[str, Any]

_TYPES = orjson.loads(Path(__file__).with_name("_event_rules.json").read_bytes())
"""By type of event: what is required, and the rules of every field, as in JSON Schema."""
_NO_ANSWER = (None, "provider")
_TARGETS = ("target_event_id", "response_id", "conversation_id")
_SHOWN = 80


def faults(event: Mapping[str, object]) -> list[str]:
    """Return what is wrong with an event that was sent, a sentence each; empty when it is sound."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        return [f"type={_shown(kind)}: give one of {', '.join(_TYPES)}"]
    required, rules = _TYPES[kind]["required"], _TYPES[kind]["properties"]
    found = [f"{name} is missing" for name in required if name not in event]
    for name, value in event.items():
        if name not in rules:
            found.append(f"{name}={_shown(value)}: no field of this type{meant(name, rules)}")
        elif wrong := _wrong(value, rules[name]):
            found.append(f"{name}={_shown(value)}: {wrong}")
    # The rules between fields suppose that each field is sound.
    found = found or list(_between_fields(kind, event))
    return [*found, *_left_out(event)]


def _left_out(event: Mapping[str, object]) -> Iterator[str]:
    tags = event.get("tags")
    names = tags.get(LEFT_OUT_TAG) if isinstance(tags, dict) else None
    if names:
        yield f"{names}: left out, the producer may not or cannot send what was given"


def _between_fields(kind: str, event: Mapping[str, Any]) -> Iterator[str]:
    if kind in ("evaluation", "feedback") and not any(event.get(name) for name in _TARGETS):
        yield f"no target: give {', '.join(_TARGETS[:-1])} or {_TARGETS[-1]} of what is judged"
    if kind != "request":
        return
    for parts, total in DETAILS_OF_TOTALS:
        summed, whole = sum(event.get(part) or 0 for part in parts), event.get(total) or 0
        if summed > whole:
            yield f"{' + '.join(parts)} = {summed} exceeds {total}={whole}"
    units = ("input_tokens", "output_tokens", "other_units")
    is_silent = all(event.get(name) is None for name in units)
    if event["status"] == "ok" and is_silent and event.get("usage_source") in _NO_ANSWER:
        yield "no input_tokens and no output_tokens: report them, or usage_source='missing'"
    ttft_ms = event.get("ttft_ms")
    if ttft_ms is not None and ttft_ms > event["duration_ms"]:
        yield f"ttft_ms={ttft_ms} exceeds duration_ms={event['duration_ms']}"


def _wrong(value: object, rule: Rule) -> str:
    """Return what to give instead; empty when the value keeps the rule."""
    if "anyOf" in rule:
        problems = [_wrong(value, one) for one in rule["anyOf"]]
        return "" if "" in problems else problems[0]
    if "const" in rule and value != rule["const"]:
        return f"give {rule['const']!r}"
    if "enum" in rule and value not in rule["enum"]:
        return f"give one of {', '.join(rule['enum'])}"
    check = _CHECKS[rule.get("type", "string")]
    return check(value, rule)


def _text(value: object, rule: Rule) -> str:
    if not isinstance(value, str):
        return "give a text"
    low, high = rule.get("minLength", 0), rule.get("maxLength", math.inf)
    if not low <= len(value) <= high:
        return f"give {low} to {high} characters" if low else f"give at most {high} characters"
    if "pattern" in rule and not re.fullmatch(rule["pattern"].strip("^$"), value):
        return f"give a text like {rule['pattern']}"
    if "not" in rule and re.search(rule["not"]["pattern"], value):
        return "looks like a key itself, give the id of the key"
    return ""


def _number(value: object, rule: Rule) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "give a number"
    low, high = rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
    if not low <= value <= high:
        return f"give {low:.15g} to {high:.15g}"
    above = rule.get("exclusiveMinimum", -math.inf)
    return "" if value > above else f"give more than {above}"


def _whole(value: object, rule: Rule) -> str:
    is_broken = isinstance(value, float) and not value.is_integer()
    return "give a whole number" if is_broken else _number(value, rule)


def _flag(value: object, _rule: Rule) -> str:
    return "" if isinstance(value, bool) else "give true or false"


def _null(value: object, _rule: Rule) -> str:
    return "" if value is None else "leave it out"


def _list(value: object, rule: Rule) -> str:
    if not isinstance(value, list):
        return "give a list"
    if len(value) > rule["maxItems"]:
        return f"give at most {rule['maxItems']}"
    return next((wrong for item in value if (wrong := _wrong(item, rule["items"]))), "")


def _mapping(value: object, rule: Rule) -> str:
    if not isinstance(value, dict):
        return "give a dict"
    if len(value) > rule["maxProperties"]:
        return f"give at most {rule['maxProperties']}"
    keys = (wrong for key in value if (wrong := _wrong(key, rule["propertyNames"])))
    values = (
        f"{_shown(key)}: {wrong}"
        for key, one in value.items()
        if (wrong := _wrong(one, rule["additionalProperties"]))
    )
    return next(keys, "") or next(values, "")


_CHECKS = {
    "string": _text,
    "number": _number,
    "integer": _whole,
    "boolean": _flag,
    "null": _null,
    "array": _list,
    "object": _mapping,
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
