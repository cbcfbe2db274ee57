"""A LangChain callback handler: one event per run of a model, whatever it is part of.

    model.invoke(question, config={"callbacks": [TokentideCallback(telemetry)]})

Chains, agents and tools are no spend; they only give a run its place: all runs below one root share
the root run's id as their `run_id`, unless the host names one, and without OpenTelemetry as their
trace. An answer from
LangChain's own cache is an event that consumed nothing. Nothing here raises into the host.
"""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

from tokentide._contract import MAX_IDENTIFIER
from tokentide.bridges.langchain_usage import has_older_search, read_usage
from tokentide.context import current_scope
from tokentide.failures import describe_failure
from tokentide.log import RateLimitedLog
from tokentide.seen_calls import response_key, seen_calls
from tokentide.semconv.providers import provider_name
from tokentide.telemetry import Telemetry
from tokentide.trace_context import fill_trace
from tokentide.usage import USAGE_FIELDS
from tokentide.usage.gemini_grounding import may_run_code
from tokentide.usage.reading import (
    count,
    finish_fields,
    getter,
    items,
    label,
    read,
    small_count,
    usage_fields,
)
from tokentide.usage.reported_cost import leave_out_unknown, take_cost

CACHE_TAG = "response_cache"
"""Tag of events whose answer came from a cache of the caller's side, which costs nothing."""

_MAX_RUNS = 10_000
"""Runs kept that have begun and not ended; beyond it the oldest are dropped."""
_MAX_CHOICES = 64
_log = RateLimitedLog()


class _Run:
    """One run of a model while it lasts."""

    __slots__ = (
        "chunks", "event", "first_ns", "gap_ns", "is_older_search", "last_ns", "may_run_code",
        "retries", "started_ns",
    )  # fmt: skip

    def __init__(self, event: dict[str, object], tools: object) -> None:
        self.event = event
        self.is_older_search = has_older_search(tools)
        self.may_run_code = may_run_code(tools)
        self.started_ns = perf_counter_ns()
        self.first_ns = self.last_ns = self.gap_ns = 0
        self.chunks = self.retries = 0


class TokentideCallback(BaseCallbackHandler):
    """Emits an event for every run of a chat model or a text model.

    One handler serves any number of chains, threads and tasks.

    Args:
        telemetry: Where events go.
    """

    # In the caller's own thread or task: OpenTelemetry's current span and the blocks of
    # `tokentide.context` are found nowhere else.
    run_inline = True

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        seen_calls.is_watched = True
        self._telemetry = telemetry
        self._runs: dict[UUID, _Run] = {}
        self._roots: dict[UUID, UUID] = {}

    # -- runs of models ---------------------------------------------------------------------------

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Begin a run: LangChain is about to call a chat model."""
        self._begin("chat", run_id, kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Begin a run: LangChain is about to call a text model."""
        self._begin("text_completion", run_id, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a chunk of a stream."""
        # The first chunk may only name a role, the last ones only bring usage.
        message = read(kwargs.get("chunk"), "message")
        self._chunk(run_id, bool(token) or bool(items(read(message, "tool_call_chunks"), 1)))

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Count an event of a stream of typed events."""
        self._chunk(run_id, read(event, "event") == "content-block-delta")

    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a retry: LangChain is about to call the model again."""
        run = self._runs.get(run_id)
        if run is not None:
            run.retries += 1

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Emit the event of a run that has succeeded."""
        self._end(run_id, response, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Emit the event of a run that has failed, or whose stream was left."""
        self._end(run_id, kwargs.get("response"), error)

    # -- what surrounds them ----------------------------------------------------------------------

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Remember which root a chain belongs to."""
        self._enter(run_id, kwargs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget a chain."""
        self._roots.pop(run_id, None)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget a chain."""
        self._roots.pop(run_id, None)

    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Remember which root a tool belongs to: it may call models."""
        self._enter(run_id, kwargs)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget a tool."""
        self._roots.pop(run_id, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget a tool."""
        self._roots.pop(run_id, None)

    # -- inside -----------------------------------------------------------------------------------

    def _enter(self, run_id: UUID, kwargs: dict[str, Any]) -> None:
        try:
            if len(self._roots) >= _MAX_RUNS:
                self._roots.pop(next(iter(self._roots)), None)
            parent = kwargs.get("parent_run_id")
            self._roots[run_id] = self._roots.get(parent, parent) if parent else run_id
        except Exception as exc:
            _log.report("langchain", "a LangChain run was not followed: %r", exc)

    def _begin(self, operation: str, run_id: UUID, kwargs: dict[str, Any]) -> None:
        try:
            event = _asked(operation, kwargs)
            event["started_at_us"] = time_ns() // 1000
            fill_trace(event)
            parent = kwargs.get("parent_run_id")
            root = self._roots.get(parent, parent) if parent else run_id
            if "trace_id" not in event:
                event["trace_id"] = root.hex
            scope = current_scope()
            if parent and (scope is None or "run_id" not in scope.fields):
                event["run_id"] = str(root)
            if len(self._runs) >= _MAX_RUNS:
                self._runs.pop(next(iter(self._runs)), None)
            tools = read(kwargs.get("invocation_params"), "tools")
            self._runs[run_id] = _Run(event, tools)
        except Exception as exc:
            _log.report("langchain", "a LangChain run was not recorded: %r", exc)

    def _chunk(self, run_id: UUID, is_token: bool) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        now_ns = perf_counter_ns()
        run.chunks += 1
        if run.first_ns:
            run.gap_ns = max(run.gap_ns, now_ns - run.last_ns)
            run.last_ns = now_ns
        elif is_token:
            run.first_ns = run.last_ns = now_ns

    def _end(self, run_id: UUID, response: object, error: BaseException | None) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        try:
            event = run.event
            event["duration_ms"] = (perf_counter_ns() - run.started_ns) / 1e6
            if run.chunks:
                event.update(
                    stream=True,
                    chunks=run.chunks,
                    ttft_ms=(run.first_ns - run.started_ns) / 1e6 if run.first_ns else None,
                    max_chunk_gap_ms=run.gap_ns / 1e6 if run.gap_ns else None,
                )
            if run.retries:
                event["retry_count"] = run.retries
            event.update(_answered(response, run))
            leave_out_unknown(event)
            if error is not None:
                event.update(describe_failure(error))
            event.setdefault("status", "ok")
            if seen_calls.is_first("langchain", response_key(event), error=error):
                known = {name: value for name, value in event.items() if value is not None}
                self._telemetry.emit(known)
        except Exception as exc:
            _log.report("langchain", "a LangChain run was not turned into an event: %r", exc)


def _asked(operation: str, kwargs: dict[str, Any]) -> dict[str, object]:
    """Return what is known before the call: LangChain's standard parameters, then the model's."""
    metadata, params = kwargs.get("metadata"), kwargs.get("invocation_params")
    provider = (
        label(read(metadata, "ls_provider")) or (label(read(params, "_type")) or "").split("-")[0]
    )
    temperature = read(metadata, "ls_temperature")
    model = read(metadata, "ls_model_name") or read(params, "model") or read(params, "model_name")
    return {
        "type": "request",
        "operation": operation,
        "provider": provider_name(provider) if provider else "unknown",
        "request_model": label(model, MAX_IDENTIFIER) or "unknown",
        "max_tokens": count(read(metadata, "ls_max_tokens")),
        "temperature": temperature if type(temperature) in (int, float) else None,
        "stream": read(params, "stream") is True or None,
        "choices": small_count(read(params, "n")),
        "service_tier_requested": label(read(params, "service_tier")),
        # LangGraph's thread, and what applications name themselves.
        "conversation_id": label(read(metadata, "thread_id"), MAX_IDENTIFIER)
        or label(read(metadata, "session_id"), MAX_IDENTIFIER)
        or label(read(metadata, "conversation_id"), MAX_IDENTIFIER),
        "agent_name": label(read(metadata, "lc_agent_name")),
        "workflow_name": label(read(metadata, "workflow_name")),
    }


def _answered(response: object, run: _Run) -> dict[str, object]:
    """Return what a result says."""
    choices = items(_first(read(response, "generations")), _MAX_CHOICES)
    message = read(_first(choices), "message")
    usage = read(message, "usage_metadata")
    about = read(message, "response_metadata")
    fallback = read(response, "llm_output")
    counts = read_usage(
        message,
        read(fallback, "token_usage"),
        run.event["provider"],
        is_older_search=run.is_older_search,
        may_run_code=run.may_run_code,
    )
    fields: dict[str, object] = {
        "response_model": label(read(about, "model_name"), MAX_IDENTIFIER)
        or label(read(about, "model"), MAX_IDENTIFIER)
        or label(read(fallback, "model_name"), MAX_IDENTIFIER),
        "response_id": _response_id(message, about, fallback),
        "system_fingerprint": label(read(about, "system_fingerprint")),
        "service_tier": label(read(about, "service_tier")),
        "tool_calls_count": len(items(read(message, "tool_calls"))) or None,
        **usage_fields(counts),
        **finish_fields(_reason(choice) for choice in choices),
    }
    as_answered = read(about, "token_usage")  # the provider's own object, with what it added
    take_cost(fields, getter(read(fallback, "token_usage") if as_answered is None else as_answered))
    if read(usage, "total_cost") == 0:  # what LangChain writes into an answer from its cache
        for name in (*USAGE_FIELDS, "reported_cost_pico_usd", "reported_cost_source"):
            fields.pop(name, None)
        fields.update(usage_fields({"input_tokens": 0, "output_tokens": 0}))
        fields["tags"] = {CACHE_TAG: "hit"}
    return fields


def _reason(choice: object) -> object:
    about, info = read(choice, "message", "response_metadata"), read(choice, "generation_info")
    for holder in (about, info):
        for name in ("finish_reason", "stop_reason", "done_reason"):
            if found := read(holder, name):
                return found
    return None


def _response_id(message: object, about: object, fallback: object) -> str | None:
    for found in (read(about, "id"), read(fallback, "id"), read(message, "id")):
        text = label(found, MAX_IDENTIFIER)
        # LangChain makes up an id where the provider's was not kept.
        if text and not text.startswith(("run-", "run--", "lc_", "lc_run-")):
            return text
    return None


def _first(holder: object) -> object:
    found = items(holder, 1)
    return found[0] if found else None
