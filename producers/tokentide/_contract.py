"""The event contract, as far as the producer must know it: names, limits, rules between counts.

Generated from the event models by `python -m tokentide_schemas.sdk_contract`; do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

SCHEMA_VERSION = 1
"""Version of the contract."""

EVENTS_TOPIC = "tokentide.events.v1"

CONTENT_TOPIC = "tokentide.content.v1"

CONTROL_TOPIC = "tokentide.control.v1"

TEXT_LIMITS: dict[str, int] = {
    "service": 128,
    "environment": 128,
    "tenant": 128,
    "team": 128,
    "feature": 128,
    "user_hash": 128,
    "sdk_name": 128,
    "sdk_version": 128,
    "host": 256,
    "operation": 128,
    "provider": 128,
    "upstream_provider": 128,
    "server_address": 256,
    "region": 128,
    "request_model": 256,
    "response_model": 256,
    "response_id": 256,
    "system_fingerprint": 128,
    "previous_response_id": 256,
    "conversation_id": 256,
    "agent_id": 256,
    "agent_name": 128,
    "agent_version": 128,
    "parent_agent_name": 128,
    "run_id": 256,
    "parent_run_id": 256,
    "workflow_name": 128,
    "skill": 128,
    "prompt_name": 128,
    "prompt_version": 128,
    "tool_call_id": 256,
    "tool_name": 128,
    "tool_type": 128,
    "mcp_server": 128,
    "key_id": 128,
    "reasoning_level": 128,
    "usage_raw": 2048,
    "service_tier_requested": 128,
    "service_tier": 128,
    "speed": 128,
    "inference_geo": 128,
    "reported_cost_source": 128,
    "error_type": 128,
    "error_code": 128,
    "name": 128,
    "label": 128,
    "explanation": 2048,
    "comment": 2048,
    "subject": 128,
    "from_version": 256,
    "to_version": 256,
    "description": 2048,
    "actor": 128,
    "producer_id": 128,
    "last_error": 2048,
}
"""Longest text of each text field, in characters."""

MAX_LABEL = 128
"""Longest name or label, in characters."""

MAX_IDENTIFIER = 256

MAX_TAGS = 32
"""Tags of one event."""

MAX_TAG_KEY = 64

MAX_TAG_VALUE = 256

MAX_FINISH_REASONS = 128

MAX_TOKENS = 100000000
"""Largest count of tokens of one call."""

MAX_SMALL_COUNT = 1000000
"""Largest count of choices, retries, tool calls or searches."""

MAX_AMOUNT = 1000000000.0
"""Largest amount of a unit that is not a token."""

KEY_PATTERN = "^(sk|gsk|xai|hf|pplx|nvapi|ghp|xoxb)[-_]|^AIza|^eyJ|^Bearer |[A-Za-z0-9]{32}"
"""What looks like a credential itself, where only its id belongs."""

CODE_PATTERN = "^[A-Za-z0-9_.:-]{1,64}$"
"""The shape of an error's code and of its kind."""

REASON_PATTERN = "^([a-z0-9_-]{1,64}|[A-Z0-9_]{1,64})$"
"""The shape of a reason why a model stopped."""

MAX_DURATION_MS = 604800000.0

MAX_PICO_USD = 9000000000000000
"""Most money of one call, in 1e-12 USD."""

MAX_EPOCH_US = 4102444800000000

_COMMON: tuple[str, ...] = (
    "type",
    "schema_version",
    "event_id",
    "started_at_us",
    "service",
    "environment",
    "tenant",
    "team",
    "feature",
    "user_hash",
    "sdk_name",
    "sdk_version",
    "host",
    "pid",
    "trace_id",
    "span_id",
    "parent_span_id",
    "tags",
    "sample_rate",
    "dropped_before",
    "seq",
)

FIELDS: dict[str, tuple[str, ...]] = {
    "request": (
        *_COMMON,
        "duration_ms",
        "operation",
        "provider",
        "status",
        "upstream_provider",
        "server_address",
        "server_port",
        "region",
        "request_model",
        "response_model",
        "response_id",
        "system_fingerprint",
        "previous_response_id",
        "conversation_id",
        "agent_id",
        "agent_name",
        "agent_version",
        "parent_agent_name",
        "run_id",
        "parent_run_id",
        "workflow_name",
        "skill",
        "prompt_name",
        "prompt_version",
        "tool_call_id",
        "tool_name",
        "tool_type",
        "tool_calls_count",
        "mcp_server",
        "key_id",
        "stream",
        "choices",
        "max_tokens",
        "temperature",
        "reasoning_level",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "cache_write_long_tokens",
        "reasoning_tokens",
        "input_audio_tokens",
        "input_image_tokens",
        "input_video_tokens",
        "output_audio_tokens",
        "output_image_tokens",
        "cache_read_audio_tokens",
        "web_searches",
        "other_units",
        "usage_source",
        "usage_raw",
        "service_tier_requested",
        "service_tier",
        "processing",
        "speed",
        "inference_geo",
        "reported_cost_pico_usd",
        "reported_cost_source",
        "error_type",
        "error_code",
        "http_status",
        "retry_count",
        "retry_after_ms",
        "finish_reasons",
        "ttft_ms",
        "chunks",
        "max_chunk_gap_ms",
    ),
    "evaluation": (
        *_COMMON,
        "name",
        "target_event_id",
        "response_id",
        "conversation_id",
        "provider",
        "operation",
        "request_model",
        "response_model",
        "prompt_name",
        "prompt_version",
        "score",
        "label",
        "evaluator",
        "passed",
        "explanation",
        "error_type",
        "duration_ms",
    ),
    "feedback": (
        *_COMMON,
        "name",
        "target_event_id",
        "response_id",
        "conversation_id",
        "provider",
        "operation",
        "request_model",
        "response_model",
        "prompt_name",
        "prompt_version",
        "score",
        "label",
        "comment",
    ),
    "change": (
        *_COMMON,
        "kind",
        "subject",
        "from_version",
        "to_version",
        "description",
        "actor",
    ),
    "stats": (
        *_COMMON,
        "producer_id",
        "uptime_ms",
        "emitted",
        "delivered",
        "dropped",
        "failed",
        "queued",
        "frames",
        "bytes_sent",
        "retries",
        "last_error",
    ),
}
"""Every field of each type of event; the pipeline takes no notice of others."""

USAGE_FIELDS: tuple[str, ...] = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_write_long_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "cache_read_audio_tokens",
    "web_searches",
    "other_units",
)
"""Fields that say what a call consumed."""

DETAILS_OF_TOTALS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
    (("cache_write_1h_tokens", "cache_write_long_tokens"), "cache_write_tokens"),
    (("input_audio_tokens", "input_image_tokens", "input_video_tokens"), "input_tokens"),
    (("cache_read_audio_tokens",), "cache_read_tokens"),
    (("cache_read_audio_tokens",), "input_audio_tokens"),
    (("reasoning_tokens",), "output_tokens"),
    (("output_audio_tokens", "output_image_tokens"), "output_tokens"),
)
"""(details that share a total, the total), totals before what is part of them."""


def details_fit(counts: Mapping[str, int]) -> bool:
    """Return whether no detail exceeds its total; an absent count is 0."""
    get = counts.get
    cache_read_tokens = get("cache_read_tokens", 0)
    cache_write_tokens = get("cache_write_tokens", 0)
    input_tokens = get("input_tokens", 0)
    input_audio_tokens = get("input_audio_tokens", 0)
    cache_read_audio_tokens = get("cache_read_audio_tokens", 0)
    output_tokens = get("output_tokens", 0)
    return (
        cache_read_tokens + cache_write_tokens <= input_tokens
        and get("cache_write_1h_tokens", 0) + get("cache_write_long_tokens", 0)
        <= cache_write_tokens
        and input_audio_tokens + get("input_image_tokens", 0) + get("input_video_tokens", 0)
        <= input_tokens
        and cache_read_audio_tokens <= cache_read_tokens
        and cache_read_audio_tokens <= input_audio_tokens
        and get("reasoning_tokens", 0) <= output_tokens
        and get("output_audio_tokens", 0) + get("output_image_tokens", 0) <= output_tokens
    )


REQUIRED_TEXTS: dict[str, tuple[str, ...]] = {
    "request": ("service", "operation", "provider", "request_model"),
    "evaluation": ("service", "name"),
    "feedback": ("service", "name"),
    "change": ("service", "subject"),
    "stats": ("service",),
}
"""Texts by type of event without which the pipeline refuses it."""

ENUMERATIONS: tuple[str, ...] = (
    "status",
    "usage_source",
    "processing",
    "evaluator",
    "kind",
)
"""Fields whose texts are words of a list."""

UUIDS: tuple[str, ...] = (
    "event_id",
    "target_event_id",
)

HEX_IDS: tuple[str, ...] = (
    "trace_id",
    "span_id",
    "parent_span_id",
)
