"""One event of each kind in which every text that could be private says so."""

from __future__ import annotations

from typing import Any, get_args

from tokentide._contract import TEXT_LIMITS
from tokentide_schemas import EVENT_MODELS

_REQUIRED: dict[str, dict[str, Any]] = {
    "request": {
        "provider": "openai", "request_model": "gpt-5", "operation": "chat", "status": "ok",
        "duration_ms": 1.5, "input_tokens": 3, "output_tokens": 4, "usage_source": "provider",
        "finish_reasons": ["stop"], "stream": True, "retry_count": 2,
    },
    "evaluation": {"name": "faithful", "score": 0.5, "passed": True},
    "feedback": {"name": "thumb", "score": 1.0},
    "change": {"kind": "deploy", "subject": "search-api"},
}  # fmt: skip
_EVENT_ID = "01a205ed-f98a-7004-b8ea-7d6c6a08000f"


def full_event(kind: str) -> dict[str, Any]:
    """Return a valid event with `PRIVATE` in each optional text and in its tags."""
    model = EVENT_MODELS[kind]
    texts = {
        name: f"PRIVATE {name}"
        for name, field in model.model_fields.items()
        if name in TEXT_LIMITS and not field.is_required() and str not in get_args(field.default)
    }
    event: dict[str, Any] = {
        **texts,
        "type": kind,
        "event_id": _EVENT_ID,
        "started_at_us": 1_763_856_000_000_000,
        "service": "search-api",
        "tags": {"who": "PRIVATE"},
        "not_in_the_contract": "PRIVATE",
        **_REQUIRED[kind],
    }
    if kind in ("evaluation", "feedback"):
        event["target_event_id"] = _EVENT_ID
    return event
