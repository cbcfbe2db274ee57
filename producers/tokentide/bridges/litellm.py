"""A LiteLLM callback: one event per attempt at a provider, in the library and in the proxy.

    litellm.callbacks = [TokentideLogger(telemetry)]

LiteLLM calls it when an attempt has ended, in threads and tasks of its own. Each attempt of its
router is an event, and `retry_count` says how many came before. An answer from LiteLLM's own cache
is an event that consumed nothing. Nothing here raises into LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from litellm.integrations.custom_logger import CustomLogger

from tokentide._contract import MAX_IDENTIFIER
from tokentide.bridges.litellm_usage import whole_usage
from tokentide.failures import describe_failure
from tokentide.log import RateLimitedLog
from tokentide.seen_calls import response_key, seen_calls
from tokentide.semconv.providers import provider_name
from tokentide.telemetry import Telemetry
from tokentide.usage import USAGE_FIELDS
from tokentide.usage.flavour import flavour, for_provider
from tokentide.usage.reading import Fields, count, label, read, small_count
from tokentide.usage.reported_cost import leave_out_unknown, pico_usd, reported

CACHE_TAG = "response_cache"
"""Tag of events whose answer came from a cache of the caller's side, which costs nothing."""

_OPERATIONS = (
    ("embedding", "embeddings"),
    ("transcription", "transcription"),
    ("speech", "speech"),
    ("image", "image_generation"),
    ("text_completion", "text_completion"),
    ("rerank", "rerank"),
)
_NOT_A_CALL = ("moderation", "file", "batch", "vector_store", "health", "mcp", "retrieve")
"""Parts of call types that consume no model tokens, or re-read what was paid for before."""
_MAX_SEEN = 4096
_OWN = (
    "tenant", "team", "feature", "user_hash", "conversation_id", "prompt_name", "prompt_version",
    "agent_name", "agent_id", "agent_version", "parent_agent_name", "run_id", "parent_run_id",
    "workflow_name", "skill", "tool_name", "mcp_server", "key_id", "environment", "service", "tags",
)  # fmt: skip
"""Fields that `metadata={"tokentide": {...}}` of a call may fill."""

_log = RateLimitedLog()


class TokentideLogger(CustomLogger):  # type: ignore[misc, unused-ignore]
    """Emits what LiteLLM reports about its attempts.

    Args:
        telemetry: Where events go.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        seen_calls.is_watched = True
        self._telemetry = telemetry
        self._seen: dict[str, None] = {}

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Emit the event of an attempt that succeeded."""
        self._emit(kwargs, response_obj, start_time, end_time)

    def log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Emit the event of an attempt that failed."""
        self._emit(kwargs, None, start_time, end_time)

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Emit the event of an attempt that succeeded in a coroutine."""
        self._emit(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Emit the event of an attempt that failed in a coroutine."""
        self._emit(kwargs, None, start_time, end_time)

    def _emit(self, kwargs: Any, response: Any, start_time: Any, end_time: Any) -> None:
        try:
            event = attempt_event(kwargs, response, start_time, end_time)
            if event is None or self._is_repeated(kwargs, event):
                return
            error = kwargs.get("exception")
            error = error if isinstance(error, BaseException) else None
            if seen_calls.is_first("litellm", response_key(event), error=error):
                self._telemetry.emit(event)
        except Exception as exc:
            _log.report("litellm", "a LiteLLM call was not turned into an event: %r", exc)

    def _is_repeated(self, kwargs: Mapping[str, Any], event: Mapping[str, object]) -> bool:
        """Return whether LiteLLM reports an attempt again, as it does after some fallbacks."""
        call_id = kwargs.get("litellm_call_id")
        if not isinstance(call_id, str):
            return False
        # One call id covers all attempts of a call; they begin at different times.
        key = f"{call_id} {event['started_at_us']} {event['status']}"
        if key in self._seen:
            return True
        if len(self._seen) >= _MAX_SEEN:
            self._seen = {}
        self._seen[key] = None
        return False


def attempt_event(
    kwargs: Mapping[str, Any], response: object, start_time: object, end_time: object
) -> dict[str, object] | None:
    """Return the event of one attempt, None when it is no call of a model.

    Args:
        kwargs: What LiteLLM hands to its callbacks.
        response: Its response object; None when the attempt failed.
        start_time: When the attempt began.
        end_time: When it ended.
    """
    call_type = str(kwargs.get("call_type") or "")
    if any(part in call_type for part in _NOT_A_CALL):
        return None
    params = _mapping(kwargs.get("litellm_params"))
    raw = label(kwargs.get("custom_llm_provider")) or label(params.get("custom_llm_provider"))
    provider = provider_name(raw) if raw else "unknown"
    start_s, end_s = _seconds(start_time), _seconds(end_time)
    event: dict[str, object] = {
        "type": "request",
        "started_at_us": int(start_s * 1e6) or None,
        "duration_ms": max(0.0, end_s - start_s) * 1000,
        "operation": next((op for part, op in _OPERATIONS if part in call_type), "chat"),
        "provider": provider,
        "request_model": _model(kwargs, raw) or "unknown",
        **_asked(kwargs),
        **_server(params),
    }
    _timing(event, kwargs, start_s)
    metadata = _mapping(params.get("metadata")) or _mapping(params.get("litellm_metadata"))
    error = kwargs.get("exception")
    if response is None:
        if isinstance(error, BaseException):
            event.update(_failure(error))
        event.setdefault("status", "error")
        event["usage_source"] = "missing"
    elif kwargs.get("cache_hit") is True:
        event.update(_read(event, response, metadata, kwargs))
        _nothing_consumed(event)
    else:
        event.update(_read(event, response, metadata, kwargs))
        _take_cost(event, kwargs, response)
    _context(event, metadata, params)
    event.setdefault("status", "ok")
    return {name: value for name, value in event.items() if value is not None}


def _read(
    event: Mapping[str, object],
    response: object,
    metadata: Mapping[str, Any],
    kwargs: Mapping[str, Any],
) -> Fields:
    """Return what the response says, with what LiteLLM keeps beside OpenAI's format."""
    provider, operation = str(event["provider"]), event["operation"]
    # LiteLLM gives the answers of all rerankers Cohere's format.
    reader = flavour("cohere") if operation == "rerank" else for_provider(provider, response)
    fields = dict(reader.read_response(response))
    if operation == "rerank":
        return fields
    usage = read(response, "usage")
    tools = _mapping(kwargs.get("optional_params")).get("tools")
    fields.update(whole_usage(fields, response, provider, str(event["request_model"]), tools))
    for name in ("service_tier", "speed", "inference_geo"):
        if served := label(read(usage, name)):
            fields.setdefault(name, served)
    # LiteLLM writes the requested name over the served one and keeps that here.
    hidden = _mapping(metadata.get("hidden_params"))
    if served := label(hidden.get("provider_response_model"), MAX_IDENTIFIER):
        fields["response_model"] = served
    return fields


def _take_cost(event: dict[str, object], kwargs: Mapping[str, Any], response: object) -> None:
    """Add LiteLLM's own reckoning where the provider itself says nothing of the cost."""
    leave_out_unknown(event)
    if "reported_cost_source" not in event:
        picos = pico_usd(kwargs.get("response_cost"))
        if picos is None:
            picos = pico_usd(_mapping(read(response, "_hidden_params")).get("response_cost"))
        event.update(reported(picos, "litellm"))


def _nothing_consumed(event: dict[str, object]) -> None:
    """Make the event of an answer from a cache: its tokens were paid for before."""
    for name in (*USAGE_FIELDS, "reported_cost_pico_usd", "reported_cost_source"):
        event.pop(name, None)
    event.update(input_tokens=0, output_tokens=0, usage_source="provider")
    event["tags"] = {CACHE_TAG: "hit"}


def _model(kwargs: Mapping[str, Any], provider: str | None) -> str | None:
    """Return the model without LiteLLM's `provider/`, which it keeps on some paths."""
    model = label(kwargs.get("model"), MAX_IDENTIFIER)
    return model.removeprefix(f"{provider}/") if model and provider else model


def _asked(kwargs: Mapping[str, Any]) -> dict[str, object]:
    asked = _mapping(kwargs.get("optional_params"))
    temperature = asked.get("temperature")
    return {
        "stream": kwargs.get("stream") is True or None,
        "max_tokens": count(asked.get("max_completion_tokens", asked.get("max_tokens"))),
        "temperature": temperature if type(temperature) in (int, float) else None,
        "choices": small_count(asked.get("n")),
        "reasoning_level": label(asked.get("reasoning_effort")),
        "service_tier_requested": label(asked.get("service_tier")),
    }


def _server(params: Mapping[str, Any]) -> dict[str, object]:
    base = label(params.get("api_base"), 2048)
    if base is None or "://" not in base:
        return {}
    try:
        parts = urlsplit(base)
        return {"server_address": label(parts.hostname, MAX_IDENTIFIER), "server_port": parts.port}
    except ValueError:
        return {}


def _timing(event: dict[str, object], kwargs: Mapping[str, Any], start_s: float) -> None:
    first_s = _seconds(kwargs.get("completion_start_time"))
    ttft_ms = (first_s - start_s) * 1000
    if kwargs.get("stream") is True and first_s and 0 <= ttft_ms <= _float(event["duration_ms"]):
        event["ttft_ms"] = ttft_ms


def _failure(error: BaseException) -> dict[str, object]:
    """Return what a failure says; the provider's own exception below LiteLLM's knows the code."""
    described = describe_failure(error)
    link: BaseException | None = error.__cause__ or error.__context__
    for _depth in range(8):
        code = described.get("error_code")
        if link is None or (code and not str(code).isdecimal()):
            break
        below = describe_failure(link)
        code = below.get("error_code")
        if code and not str(code).isdecimal():
            described = {**described, **below}
        link = link.__cause__ or link.__context__
    if str(described.get("error_code", "")).isdecimal():
        del described["error_code"]
    return described


def _context(
    event: dict[str, object], metadata: Mapping[str, Any], params: Mapping[str, Any]
) -> None:
    previous = metadata.get("previous_models")
    attempts = small_count(metadata.get("attempted_retries"))
    retries = len(previous) if isinstance(previous, list) else attempts
    if retries:
        event["retry_count"] = retries
    event["team"] = label(metadata.get("user_api_key_team_alias"))
    # The proxy's virtual key: as it was named, else the beginning of its digest.
    event["key_id"] = label(metadata.get("user_api_key_alias")) or label(
        metadata.get("user_api_key_hash"), 16
    )
    event["conversation_id"] = label(metadata.get("session_id"), MAX_IDENTIFIER) or label(
        params.get("litellm_session_id"), MAX_IDENTIFIER
    )
    for name, value in _mapping(metadata.get("tokentide")).items():
        if name == "tags" and isinstance(value, dict):
            tags = event.get("tags")
            event["tags"] = {**value, **(tags if isinstance(tags, dict) else {})}
        elif name in _OWN:
            event[name] = value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _seconds(when: object) -> float:
    if isinstance(when, datetime):
        return when.timestamp()
    return _float(when)
