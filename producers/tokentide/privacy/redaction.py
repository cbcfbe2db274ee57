"""The host's redact hook: it sees every event before it is queued, and it fails closed.

Invariant: an event that the hook did not return as an event leaves without its optional texts. What
stays are numbers, what the contract requires, enumerations, and the identifiers that the price is
found by, each only in the shape of an identifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import cast

from tokentide._contract import ENUMERATIONS, HEX_IDS, REQUIRED_TEXTS, UUIDS
from tokentide.delivery.tally import Tally
from tokentide.log import RateLimitedLog

Event = dict[str, object]

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\Z", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?\Z", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", re.ASCII)
_WORD = re.compile(r"[a-z0-9_]{1,32}\Z", re.ASCII)

_SHAPES = {
    **dict.fromkeys(UUIDS, _UUID),
    **dict.fromkeys(HEX_IDS, _HEX),
    **dict.fromkeys(ENUMERATIONS, _WORD),
    **dict.fromkeys(("error_type", "sdk_name"), _WORD),
    # The provider wrote these, and the price or the target of a verdict depends on them.
    **dict.fromkeys(
        ("response_model", "response_id", "service_tier", "speed", "inference_geo"), _IDENTIFIER
    ),
}

_ALWAYS_KEPT = ("type", "service")

_is_inside: ContextVar[bool] = ContextVar("tokentide_redacting", default=False)


class Redactor:
    """Calls the hook and judges what it returned; never raises.

    Args:
        hook: Takes an event, returns it (or another) to be sent, or None to drop it.
        log: Where a failing hook is named, by the type of its error only: the text of the error
            may quote the event.
    """

    def __init__(self, hook: Callable[..., object], log: RateLimitedLog) -> None:
        self._hook = hook
        self._log = log
        self.failures = Tally()
        """Events that left without their texts because the hook failed on them."""

    def __call__(self, event: Event) -> tuple[Event | None, bool]:
        """Return the event to queue, None to drop it, and whether the hook decided so itself."""
        if _is_inside.get():
            # The hook itself emits; to call it again would never end.
            return self._closed(event, "the hook emitted an event itself")
        token = _is_inside.set(True)
        try:
            found = self._hook(event)
        except Exception as exc:
            return self._closed(event, f"it raised {type(exc).__name__}")
        finally:
            _is_inside.reset(token)
        if found is None:
            return None, True
        if type(found) is dict:
            return cast("Event", found), True
        _discard(found)
        return self._closed(event, f"it returned {type(found).__name__} instead of a dict")

    def _closed(self, event: Event, why: str) -> tuple[Event, bool]:
        self.failures.add()
        self._log.report(
            "redact", "the redact hook failed, events leave without their texts: %s", why
        )
        return without_texts(event), False


def without_texts(event: Event) -> Event:
    """Return the event without its optional texts."""
    kind = event.get("type")
    required = REQUIRED_TEXTS.get(kind, ()) if type(kind) is str else ()
    kept: Event = {}
    for name, value in event.copy().items():
        if type(name) is not str:
            continue
        if value is None or type(value) in (int, float, bool):
            kept[name] = value
        elif name == "other_units" and type(value) is dict:
            kept[name] = _numbers(value)
        elif name == "tags" and type(value) is dict:
            kept[name] = _counts(value)
        elif name == "finish_reasons" and type(value) is list:
            kept[name] = [word for word in value if type(word) is str and _WORD.match(word)]
        elif type(value) is str and (
            name in _ALWAYS_KEPT or name in required or _has_shape(name, value)
        ):
            kept[name] = value
    return kept


def _has_shape(name: str, value: str) -> bool:
    shape = _SHAPES.get(name)
    return shape is not None and shape.match(value) is not None


def _numbers(units: dict[object, object]) -> dict[object, object]:
    return {
        name: amount
        for name, amount in units.copy().items()
        if type(name) is str and _WORD.match(name) and type(amount) in (int, float)
    }


def _counts(tags: dict[object, object]) -> dict[str, str]:
    """Return the tags that are ours and hold a number: classes of sensitive text."""
    return {
        key: value
        for key, value in tags.copy().items()
        if type(key) is str
        and key.startswith("sensitive.")
        and type(value) is str
        and value.isdigit()
    }


def _discard(found: object) -> None:
    """Close a coroutine, which Python would otherwise complain about later."""
    try:
        if type(found).__name__ == "coroutine":
            found.close()  # type: ignore[attr-defined]
    except Exception:  # noqa: S110
        pass
