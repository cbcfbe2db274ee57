"""From an event as the host gave it to one line of JSON, in the background thread.

The host may put anything into an event. Invariant: whatever it put, the event either becomes a line
or is counted as dropped, no code of the host's objects runs here, and every field that had to be
left out or altered is counted (a left-out field is also named in the event's tags).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Protocol, cast

import orjson

from tokentide._contract import (
    MAX_FINISH_REASONS,
    MAX_TAG_KEY,
    MAX_TAG_VALUE,
    MAX_TAGS,
    TEXT_LIMITS,
)
from tokentide.delivery.buffer import Entry
from tokentide.delivery.counters import Counters
from tokentide.delivery.unknown_names import KNOWN, UnknownNames
from tokentide.error_codes import is_code
from tokentide.finish import OTHER, is_reason
from tokentide.key_ids import looks_like_a_key
from tokentide.log import RateLimitedLog

_SHORT = min(TEXT_LIMITS.values())
"""Text no longer than this fits into every field."""

_UNLIMITED = 1 << 62
_log = RateLimitedLog()

LEFT_OUT_TAG = "tokentide.left_out"
"""Tag that names the fields an event lost because no JSON can hold their values."""

_INSTEAD_OF_ERROR_TEXTS = (("error_type", "unknown"), ("error_code", None))

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_SUBCLASS
# Subclasses are passed through so that a host's own str or dict subclass is taken apart below, by
# rules that are stated, instead of by whatever its methods do.


class NewIds(Protocol):
    """Makes the identity of an event that came without one."""

    def new(self, epoch_ns: int) -> str:
        """Return a UUIDv7 for an event at `epoch_ns`."""


class Encoder:
    """Turns queued events into JSON lines.

    Args:
        base: Fields every event carries unless it has its own: service, environment, host, ...
        ids: Source of event ids.
        counters: Where alterations are counted.
    """

    def __init__(self, base: Mapping[str, object], ids: NewIds, counters: Counters) -> None:
        self._base = dict(base)
        self._ids = ids
        self._counters = counters
        self._fit(self._base)
        self._base_json = orjson.dumps(self._base, option=_OPTIONS)[1:-1] + b"," if base else b""
        # Fields that are written beside the event's own: an event that has one of them is merged.
        self._written = frozenset((*self._base, "seq", "dropped_before"))
        self._own = {kind: names - self._written for kind, names in KNOWN.items()}
        self._unknown = UnknownNames(RateLimitedLog())

    def encode(self, entry: Entry, dropped_before: int) -> bytes | None:
        """Return one line without newline, or None when nothing of the event can be encoded.

        Args:
            entry: The event; it is not modified.
            dropped_before: Events this producer has dropped so far, all reasons together.
        """
        given = entry[2]
        if "tags" in given:
            given = {**given, "tags": self._tags(given["tags"])}
        if "key_id" in given and looks_like_a_key(as_text(given["key_id"])):
            given = self._without_key(given)
        if "error_type" in given or "error_code" in given:
            given = self._without_error_texts(given)
        if "finish_reasons" in given and given["finish_reasons"] is not None:
            given = self._without_reason_texts(given)
        kind = given.get("type")
        own = self._own.get(kind) if type(kind) is str else None
        # One look at the names serves two questions.
        is_plain = own is not None and own.issuperset(given)
        if not is_plain:
            self._unknown.look_at(given)
            is_plain = bool(given) and self._written.isdisjoint(given)
        if is_plain:
            line = self._encode_as_it_is(entry[0], entry[1], dropped_before, given)
            if line is not None:
                return line
        return self._encode_fitted(entry[0], entry[1], dropped_before, given)

    def _encode_as_it_is(
        self, emitted_ns: int, seq: int, dropped_before: int, event: dict[str, object]
    ) -> bytes | None:
        """Return the line of an event of which nothing has to be altered, None for any other.

        The fields that every event carries are encoded once and for all, and the event is neither
        merged nor fitted. One function without calls, because it is most of what an event costs.
        """
        limits = TEXT_LIMITS
        for name, value in event.items():
            kind = type(value)
            if kind is str:
                if len(value) > _SHORT and len(value) > limits.get(name, _UNLIMITED):  # type: ignore[arg-type]
                    return None
            elif value is None or kind is bool:
                continue
            elif name in limits or (kind is float and value - value != 0.0):  # type: ignore[operator]
                return None  # the difference is zero for finite numbers only
        try:
            own = orjson.dumps(event, option=_OPTIONS)
        except Exception:
            return None
        if "event_id" in event and "started_at_us" in event:
            if not event["event_id"] or event["started_at_us"] is None:
                return None
            stamp = f'{{"seq":{seq},"dropped_before":{dropped_before},'
        elif "event_id" in event or "started_at_us" in event:
            return None
        else:
            event_id = self._ids.new(emitted_ns)
            duration_ms = event.get("duration_ms")
            if type(duration_ms) is float and 0.0 <= duration_ms < 1e9:
                started_us = emitted_ns // 1000 - int(duration_ms * 1000.0)
            else:
                started_us = _start_us(emitted_ns, duration_ms)
            stamp = (
                f'{{"seq":{seq},"dropped_before":{dropped_before},'
                f'"event_id":"{event_id}","started_at_us":{started_us},'
            )
        return stamp.encode() + self._base_json + own[1:]

    def _encode_fitted(
        self, emitted_ns: int, seq: int, dropped_before: int, given: dict[str, object]
    ) -> bytes | None:
        event: dict[str, object] = {**self._base, **given}
        event["seq"] = seq
        event["dropped_before"] = dropped_before
        if not event.get("event_id"):
            event["event_id"] = self._ids.new(emitted_ns)
        if event.get("started_at_us") is None:
            event["started_at_us"] = _start_us(emitted_ns, event.get("duration_ms"))
        self._fit(event)
        try:
            return orjson.dumps(event, option=_OPTIONS)
        except Exception:
            return self._encode_by_field(event)

    def _fit(self, event: dict[str, object]) -> None:
        """Make text fields text of bounded length, in place; tags are fitted apart."""
        limits = TEXT_LIMITS
        for name, value in event.items():
            kind = type(value)
            if kind is str:
                limit = limits.get(name, 0)
                if limit and len(value) > limit:  # type: ignore[arg-type]
                    event[name] = value[:limit]  # type: ignore[index]
                    self._counters.fields_altered += 1
            elif value is None or kind is bool:
                continue
            elif name in limits:
                event[name] = as_text(value)[: limits[name]]
                self._counters.fields_altered += 1
            elif kind is float and not math.isfinite(value):  # type: ignore[arg-type]
                # JSON has no such number. Null says "not reported", which is what it means.
                event[name] = None
                self._counters.fields_dropped += 1

    def _tags(self, value: object) -> dict[str, str] | None:
        if value is None:
            return None
        if not issubclass(type(value), dict):
            self._counters.fields_dropped += 1
            return None
        fitted: dict[str, str] = {}
        try:
            for key, tag in dict.items(cast("dict[object, object]", value)):
                text = tag if type(tag) is str else as_text(tag)
                name = key if type(key) is str else as_text(key)
                if len(fitted) >= MAX_TAGS or not name:
                    self._counters.fields_dropped += 1
                    continue
                if len(text) > MAX_TAG_VALUE or len(name) > MAX_TAG_KEY:
                    text, name = text[:MAX_TAG_VALUE], name[:MAX_TAG_KEY]
                    self._counters.fields_altered += 1
                fitted[name] = text
        except RuntimeError:  # the host changes its dict while it is read here
            self._counters.fields_dropped += 1
        return fitted

    def _without_key(self, given: Mapping[str, object]) -> dict[str, object]:
        """Leave out a key that was given as the id of a key, and name the field in the tags."""
        self._counters.fields_dropped += 1
        _log.report("key_id", "key_id looks like a key itself and was left out: give the key's id")
        tags = given.get("tags")
        named = {**(tags if isinstance(tags, dict) else {}), LEFT_OUT_TAG: "key_id"}
        return {**given, "key_id": None, "tags": named}

    def _without_error_texts(self, given: dict[str, object]) -> dict[str, object]:
        """Replace what is no code where a code belongs: it may quote a prompt."""
        cleared: dict[str, object] = {}
        for name, instead in _INSTEAD_OF_ERROR_TEXTS:
            value = given.get(name)
            if value is not None and value != "" and not is_code(as_text(value)):
                cleared[name] = instead
                self._counters.fields_altered += 1
                _log.report(name, "%s holds a text instead of a code and was replaced", name)
        return {**given, **cleared} if cleared else given

    def _without_reason_texts(self, given: dict[str, object]) -> dict[str, object]:
        """Leave out what is no word where reasons belong, as `_without_error_texts` does."""
        value = given["finish_reasons"]
        is_list = type(value) in (list, tuple, set, frozenset)
        items = list(cast("list[object]", value)) if is_list else [value]
        words = [word for word in map(as_text, items[:MAX_FINISH_REASONS]) if is_reason(word)]
        if is_list and len(words) == len(items):
            return given
        self._counters.fields_altered += 1
        _log.report(
            "finish_reasons", "finish_reasons holds a text that is no word; it was left out"
        )
        return {**given, "finish_reasons": words or [OTHER]}

    def _encode_by_field(self, event: dict[str, object]) -> bytes | None:
        """Encode what can be encoded, field by field; the slow way, for the rare event."""
        sound: dict[str, object] = {}
        left_out: list[str] = []
        for name, value in event.items():
            if type(name) is not str:
                left_out.append(as_text(name))
                continue
            try:
                candidate = _plain(name, value)
                orjson.dumps({name: candidate}, option=_OPTIONS)
            except Exception:
                left_out.append(name)
                continue
            if candidate is not value:
                self._counters.fields_altered += 1
            sound[name] = candidate
        if left_out:
            self._counters.fields_dropped += len(left_out)
            names = _valid_text(",".join(sorted(left_out)))[:MAX_TAG_VALUE]
            tags = sound.get("tags")
            sound["tags"] = {**(tags if isinstance(tags, dict) else {}), LEFT_OUT_TAG: names}
        try:
            return orjson.dumps(sound, option=_OPTIONS)
        except Exception:
            return None


def as_text(value: object) -> str:
    """Return a short text for any value, its type's name when it has no text of its own."""
    try:
        return _text(value)
    except Exception:  # a metaclass or an `__class__` that raises: the host's code, not ours
        return "<object>"


def _text(value: object) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if issubclass(kind, Enum):
        # `_value_` is where the enum machinery keeps it; `value` may be overridden.
        return as_text(vars(value).get("_value_", kind.__name__))
    if issubclass(kind, str):
        return str.__str__(cast("str", value))
    if kind in (int, float, bool, Decimal):
        try:
            return str(value)
        except ValueError:  # an integer of more digits than the interpreter prints
            return f"<{kind.__name__}>"
    if kind is bytes:
        return cast("bytes", value).decode("utf-8", "replace")
    if kind.__module__ in ("uuid", "datetime", "pathlib", "ipaddress"):
        return str(value)
    return f"<{kind.__qualname__}>"


def _plain(name: str, value: object) -> object:
    """Return the nearest value JSON can hold; the value itself when there is none."""
    kind = type(value)
    if issubclass(kind, Enum):
        value = vars(value).get("_value_", value)
        kind = type(value)
    if issubclass(kind, str):
        text = _valid_text(_text(value))
        return value if kind is str and text == value else text
    if name in ("tags", "other_units") and issubclass(kind, dict):
        items = dict.items(cast("dict[object, object]", value))
        return {
            _valid_text(as_text(key)): _valid_text(item) if type(item) is str else item
            for key, item in items
            if name == "tags" or type(item) in (int, float)
        }
    if name == "finish_reasons" and kind in (list, tuple, set, frozenset):
        items = list(value)[:MAX_FINISH_REASONS]  # type: ignore[call-overload]
        return [_valid_text(as_text(item)) for item in items]
    if kind is Decimal:
        number = float(value)  # type: ignore[arg-type]
        return number if math.isfinite(number) else value
    if issubclass(kind, int) and kind is not bool:
        return int.__int__(value)  # type: ignore[arg-type]
    if issubclass(kind, float):
        return float.__float__(value)  # type: ignore[arg-type]
    return value


def _valid_text(text: str) -> str:
    """Return the text with lone surrogates, which UTF-8 cannot hold, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _start_us(emitted_ns: int, duration_ms: object) -> int:
    """Return when a call began that ended when it was emitted."""
    now_us = emitted_ns // 1000
    if type(duration_ms) in (int, float) and 0 <= duration_ms < 1e9:  # type: ignore[operator]
        return now_us - int(duration_ms * 1000)  # type: ignore[operator]
    return now_us
