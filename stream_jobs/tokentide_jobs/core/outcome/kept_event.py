"""What a dead letter keeps of its event: what a row would keep, and of all else only the form.

The contract has no place for prompts, answers and messages of providers, but what is refused may
hold them: in a field of its own, where a number belongs, in a line that is no JSON. Such texts are
masked. Where that changes what ingest would read, the dead letter says so and is never sent again.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from tokentide_jobs.core.decode.columns import COLUMNS, Column
from tokentide_jobs.core.outcome.codes import CLEARED, stored_words
from tokentide_jobs.core.record.lenient import with_replacements
from tokentide_jobs.core.record.masked import masked_bytes, masked_value
from tokentide_jobs.core.record.split import BOM, JSON_WHITESPACE
from tokentide_schemas.fields import MAX_EVENT_BYTES

__all__ = ["KeptEvent", "kept_event"]

_COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {
    event_type: {column.name: column for column in columns}
    for event_type, columns in COLUMNS.items()
}
"""Fields of every type of event by name."""
_OF_ALL_TYPES: Final[Mapping[str, Column]] = {
    name: column
    for name, column in next(iter(_COLUMNS.values())).items()
    if all(columns.get(name) == column for columns in _COLUMNS.values())
}
"""Fields that events of all types have, within the same bounds: those of an unknown type."""
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class KeptEvent(NamedTuple):
    """Bytes of an event as they are kept."""

    value: bytes
    is_whole: bool
    """Whether ingest would read the same in them as in the event."""
    fields: Mapping[str, Any]
    """What could be read of it; empty where that is nothing."""


def kept_event(value: bytes) -> KeptEvent:
    """Return what to keep of a refused event; never raises, whatever it holds."""
    try:
        event = _read(value)
        if event is not None:
            return _kept(value, event)
    except RecursionError:
        pass
    kept = masked_bytes(value)
    return KeptEvent(kept, kept == value, {})


def _read(value: bytes) -> dict[str, Any] | None:
    if len(value) > MAX_EVENT_BYTES:
        return None
    body = value.removeprefix(BOM).strip(JSON_WHITESPACE)
    if body[:1] != b"{":
        return None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = with_replacements(body)
        content = None if found is None else found.content
    return content if isinstance(content, dict) else None


def _kept(value: bytes, event: dict[str, Any]) -> KeptEvent:
    kept: dict[str, Any] = {}
    is_whole = True
    event_type = event.get("type")
    known = _COLUMNS.get(event_type) if isinstance(event_type, str) else None
    columns = _OF_ALL_TYPES if known is None else known
    for name, held in event.items():
        column = columns.get(name)
        if column is not None and _fits(column, held):
            kept[name] = stored_words(name, held) if name in CLEARED else held
            continue
        masked = masked_value({name: held})
        kept |= masked
        # Ingest reads over fields that a type does not have; those of a type to come are unknown.
        is_read_over = column is None and known is not None
        is_whole = is_whole and (is_read_over or masked == {name: held})
    # A name that stands twice hides the value at its first place from every reader.
    if kept == event and len(_STRING.findall(value)) == _texts_in(event):
        return KeptEvent(value, is_whole, event)
    try:
        dumped = orjson.dumps(kept)
    except orjson.JSONEncodeError:
        signs = masked_bytes(value)
        return KeptEvent(signs, signs == value, {})
    # NaN and what is beyond all doubles is written as null, which is no number that was refused.
    return KeptEvent(dumped, is_whole and orjson.loads(dumped) == kept, kept)


def _fits(column: Column | None, held: Any) -> bool:
    """Tell whether a row could keep every text of a value."""
    if column is None or not isinstance(held, str | list | dict):
        return True
    longest = column.max_length
    if isinstance(held, str):
        is_text = column.kind == "text" and (longest is None or len(held) <= longest)
        if is_text and column.choices:
            return held in column.choices
        if is_text and column.pattern:
            return re.search(column.pattern, held) is not None
        return is_text and not (column.forbidden and re.search(column.forbidden, held))
    if longest is not None and len(held) > longest:
        return False
    if isinstance(held, list):
        return column.kind == "texts" and all(
            isinstance(each, str) and _fits(column.item, each) for each in held
        )
    return column.kind in ("text_map", "number_map") and all(
        _fits_text(column.key, name) and _fits_text(column.item, each)
        for name, each in held.items()
    )


def _fits_text(column: Column | None, held: Any) -> bool:
    return not isinstance(held, list | dict) and _fits(column, held)


def _texts_in(value: Any) -> int:
    """Count the texts of a JSON value, names of fields among them."""
    if isinstance(value, str):
        return 1
    if isinstance(value, list):
        return sum(map(_texts_in, value))
    if isinstance(value, dict):
        return len(value) + sum(map(_texts_in, value.values()))
    return 0
