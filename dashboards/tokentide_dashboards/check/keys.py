"""Keys and values of a board, held against Grafana's types: what it does not know it drops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentide_dashboards.check.tables import DATA_LINK, FIELD, TARGET, tables
from tokentide_dashboards.kit.json_value import Object

__all__ = ["wrong_keys"]

PLAIN: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def wrong_keys(board: Object) -> Iterator[str]:
    """Yield what Grafana does not know on a board, each with its place."""
    known = tables()
    parts = {"panels": "any", "annotations": "any"}
    spec = {**known["board"], "keys": {**known["board"]["keys"], **parts}}
    yield from _wrong(board, spec, "")
    layer = known["board"]["keys"]["annotations"]["keys"]["list"]["items"]
    spec = {**layer, "keys": {**layer["keys"], "target": TARGET}}
    for one in board["annotations"]["list"]:
        yield from _wrong(one, spec, f"annotation {one.get('name')}")
    for panel in board["panels"]:
        for problem in _wrong_panel(panel):
            yield f"panel {panel.get('title')!r}: {problem}"


def _wrong_panel(panel: Object) -> Iterator[str]:
    known = tables()
    kind = panel.get("type")
    if kind == "row":
        yield from _wrong(panel, known["row"], "")
        return
    if kind not in known["options"]:
        kinds = ", ".join(sorted(known["options"]))
        yield f"type {kind!r} is none that boards use: {kinds}"
        return
    custom = known["custom"].get(kind, {"keys": {}, "required": []})
    whole = known["panel"]
    field = whole["keys"]["fieldConfig"]["keys"]["defaults"]
    defaults = {**field["keys"], "custom": custom, "links": {"items": DATA_LINK}}
    config = {"keys": {"defaults": {**field, "keys": defaults}, "overrides": "any"}, "required": []}
    parts = {
        "options": known["options"][kind],
        "targets": {"items": TARGET},
        "fieldConfig": config,
    }
    yield from _wrong(panel, {**whole, "keys": {**whole["keys"], **parts}}, "")
    for override in panel["fieldConfig"]["overrides"]:
        yield from _wrong_override(override, defaults, custom)


def _wrong_override(override: Object, field: Object, custom: Object) -> Iterator[str]:
    name = override["matcher"].get("options")
    if override["matcher"].get("id") != "byName":
        yield f"override {name!r}: only the matcher byName is checked"
    for one in override["properties"]:
        key = one["id"]
        if key.startswith("custom.") and key.removeprefix("custom.") in custom["keys"]:
            spec = custom["keys"][key.removeprefix("custom.")]
        elif key in (*FIELD, "links", "mappings"):
            spec = field[key]
        else:
            yield f"override {name!r}: the property {key} is not known to this type of panel"
            continue
        yield from _wrong(one["value"], spec, f"override {name!r} {key}")


def _wrong(value: Any, spec: Any, place: str) -> Iterator[str]:
    """Yield where a value is not as its type says."""
    if spec == "any":
        return
    if isinstance(spec, str):
        is_plain = isinstance(value, PLAIN[spec])
        if not is_plain or (spec == "number" and isinstance(value, bool)):
            yield f"{place} is {value!r}, not a {spec}"
    elif "values" in spec:
        if value not in spec["values"]:
            yield f"{place} is {value!r}, not one of {', '.join(map(str, spec['values']))}"
    elif "any_of" in spec:
        answers = [list(_wrong(value, one, place)) for one in spec["any_of"]]
        if all(answers):
            yield min(answers, key=len)[0]
    elif "items" in spec:
        if not isinstance(value, list):
            yield f"{place} is {value!r}, not a list"
            return
        for number, one in enumerate(value):
            yield from _wrong(one, spec["items"], f"{place}[{number}]")
    elif not isinstance(value, dict):
        yield f"{place} is {value!r}, not an object"
    else:
        for key, one in value.items():
            where = f"{place}.{key}".lstrip(".")
            if key not in spec["keys"]:
                yield f"key {where} is not known"
            else:
                yield from _wrong(one, spec["keys"][key], where)
        for key in spec["required"]:
            if key not in value:
                yield f"key {f'{place}.{key}'.lstrip('.')} is missing"
