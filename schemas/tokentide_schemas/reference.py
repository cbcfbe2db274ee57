"""docs/events.md: every field of every event, generated from the models.

Run `python -m tokentide_schemas.reference docs/events.md`, with `--check` to fail when the file is
not current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tokentide_schemas.descriptions import DESCRIPTIONS
from tokentide_schemas.events import DISJOINT, EVENT_MODELS, SUBSETS, BaseEvent
from tokentide_schemas.export import schema_of
from tokentide_schemas.fields import MAX_EVENT_BYTES

_HEAD = f"""\
# Events

Generated from the models by `python -m tokentide_schemas.reference docs/events.md`; do not edit.

A producer needs a Kafka client and JSON. A record value is one event, or many separated by newlines
(a frame), or a JSON array of events; objects that follow each other on one line are events too. A
record holds at most 100,000 events and 32 MiB. `type` names the kind. Unknown fields are
ignored, so a newer producer can talk to an older pipeline. An event is at most
{MAX_EVENT_BYTES:,} bytes long.
JSON Schemas are in `schemas/tokentide_schemas/json/`, examples beside them in `examples/`.

- Absent and null mean *not reported*, 0 means *reported zero*. Empty text is the same as absent.
- Times are integer microseconds since 1970-01-01 UTC, durations are milliseconds.
- `input_tokens` and `output_tokens` are inclusive totals; other token counts are parts of them.
- A call belongs to one *run*: `run_id`, else `conversation_id`, else `trace_id`.
- `key_id` is the id of a key. A key itself is refused (`bad_value`): one of the prefixes that
  providers give their keys (`sk-`, `gsk_`, `AIza`, …), or 32 letters and digits in a row. Cut a
  digest to 16 characters.
- Of duplicate keys the last one counts, as in JavaScript and Python.
- Numbers are JSON numbers: `5.0` is read as the integer 5, `5.5` and `"5"` are not.
- Text is UTF-8, with or without a byte order mark. What is none (other bytes, half a surrogate
  pair) becomes U+FFFD, is counted (`tokentide_ingest_mended_texts_total`) and costs nothing else.
- `error_code` and `error_type` are codes, words or names of classes: at most 64 letters, digits and
  `_ . : -`. Other text there is not stored, and an `error_type` becomes `unknown`; the event is.
- `finish_reasons` are words of at most 64 letters of one case, digits and `_` (small letters: `-`,
  too). Other text there is not stored; where nothing is left, the reason is `other`.
- `NaN` and `Infinity` are accepted where they are not read, and out of range where a number is. In
  a tag, whose value is text, they are of the wrong type, as every number is: write `"NaN"`.

What is refused goes to the dead letters with one of these reasons: `empty`, `not_utf8`,
`malformed_json`, `not_an_object`, `not_otlp` (a record of an OTLP topic that is no export request),
`too_large`, `too_many_events` (what follows the first events of a record), `unreadable` (an error
of the reader itself), `unknown_type`, `missing_field`, `wrong_type`,
`out_of_range`, `too_long`, `bad_value`, `inconsistent` (a rule between fields), `too_old`,
`too_far_ahead` (`started_at_us` outside the accepted window), `refused_by_store` (an accepted event
whose row the table cannot hold), `voided` (an event that was
[taken out](operations.md#taking-a-wrong-row-out) and came again). Its neighbours in the record
land.
A line that is not JSON is refused alone, wherever it stands; so is what follows several objects on
their line. An array that is broken as a whole is read by its lines: an object with a comma behind
it and an array of objects are taken.
"""


def _limits(schema: dict[str, Any]) -> str:
    """Return the type and bounds of a field in words."""
    plain = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    if "const" in plain:
        return f"`{plain['const']}`"
    if "enum" in plain:
        return ", ".join(f"`{choice}`" for choice in plain["enum"])
    kind = {"string": "text", "object": "map", "array": "list"}.get(plain["type"], plain["type"])
    parts = [kind]
    low, high = plain.get("minimum", plain.get("exclusiveMinimum")), plain.get("maximum")
    if low is not None and high is not None:
        above = "above " if "exclusiveMinimum" in plain else ""
        parts.append(f"{above}{low:,.15g} to {high:,.15g}")
    if plain.get("minLength"):
        parts.append("not empty")
    for name in ("maxLength", "maxItems", "maxProperties"):
        if name in plain:
            unit = {"maxLength": "characters", "maxItems": "items"}.get(name, "entries")
            parts.append(f"at most {plain[name]:,} {unit}")
    for name, what in (("propertyNames", "keys"), ("additionalProperties", "values")):
        if isinstance(plain.get(name), dict):
            parts.append(f"{what}: {_limits({'type': 'string'} | plain[name])}")
    if "pattern" in plain:
        parts.append("a UUID" if "}-" in plain["pattern"] else "lower-case hex")
    return ", ".join(parts)


def _table(event_type: str, names: list[str]) -> str:
    schema = schema_of(event_type)
    rows = ["| field | required | holds | meaning |", "|---|---|---|---|"]
    for name in names:
        required = "yes" if name in schema["required"] else ""
        holds = _limits(schema["properties"][name])
        rows.append(f"| `{name}` | {required} | {holds} | {DESCRIPTIONS[name]} |")
    return "\n".join(rows)


def page() -> str:
    """Return the page."""
    common = list(BaseEvent.model_fields)
    parts = [_HEAD, "## Every event\n", _table("request", common), ""]
    for event_type, model in EVENT_MODELS.items():
        own = [name for name in model.model_fields if name not in common]
        parts += [f"## {event_type}\n", f"{model.__doc__}\n", _table(event_type, own), ""]
        if event_type == "request":
            subsets = "; ".join(f"`{part}` ≤ `{total}`" for part, total in SUBSETS)
            sums = "; ".join(
                f"{' + '.join(f'`{p}`' for p in parts)} ≤ `{t}`" for parts, t in DISJOINT
            )
            parts += [
                f"Parts never exceed their total: {subsets}. Parts that do not overlap: {sums}.",
                "A call with status `ok` reports tokens or other units, unless `usage_source` is"
                " `estimated` or `missing`; `ttft_ms` ≤ `duration_ms`.",
                "",
            ]
        elif event_type in ("evaluation", "feedback"):
            names = "`target_event_id`, `response_id` or `conversation_id`"
            parts += [f"At least one of {names} names what is judged.", ""]
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; 0 when all is well, 1 when it is not current."""
    parser = argparse.ArgumentParser(prog="python -m tokentide_schemas.reference")
    parser.add_argument("path", type=Path)
    parser.add_argument("--check", action="store_true", help="only compare, fail on a difference")
    options = parser.parse_args(arguments)
    if not options.check:
        options.path.write_text(page())
        return 0
    if options.path.exists() and options.path.read_text() == page():
        return 0
    sys.stderr.write(
        f"{options.path} is not current: run python -m tokentide_schemas.reference {options.path}\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
