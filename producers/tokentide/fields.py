"""Names and types of the fields of events, for type checkers, editors and typed code of your own.

    from tokentide.fields import RequestFields

Generated from the event models by `python -m tokentide_schemas.sdk_contract`; do not edit. The
producer itself imports nothing of this at run time.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Status = Literal["ok", "error", "refused", "filtered", "cancelled", "abandoned"]
UsageSource = Literal["provider", "estimated", "missing"]
Processing = Literal["sync", "batch"]
ChangeKind = Literal["deploy", "prompt", "model", "price", "policy"]
Evaluator = Literal["judge", "guardrail", "human", "code"]


class EventFields(TypedDict, total=False):
    """Fields that every event may carry."""

    service: str
    environment: str | None
    tenant: str | None
    team: str | None
    feature: str | None
    user_hash: str | None
    host: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    tags: dict[str, str] | None
    sample_rate: float | None
    user: object


class RequestFields(EventFields, total=False):
    """Of `Telemetry.request`."""

    status: Status
    upstream_provider: str | None
    server_address: str | None
    server_port: int | None
    region: str | None
    response_model: str | None
    response_id: str | None
    system_fingerprint: str | None
    previous_response_id: str | None
    conversation_id: str | None
    agent_id: str | None
    agent_name: str | None
    agent_version: str | None
    parent_agent_name: str | None
    run_id: str | None
    parent_run_id: str | None
    workflow_name: str | None
    skill: str | None
    prompt_name: str | None
    prompt_version: str | None
    tool_call_id: str | None
    tool_name: str | None
    tool_type: str | None
    tool_calls_count: int | None
    mcp_server: str | None
    key_id: str | None
    stream: bool | None
    choices: int | None
    max_tokens: int | None
    temperature: float | None
    reasoning_level: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_write_long_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    input_image_tokens: int | None
    input_video_tokens: int | None
    output_audio_tokens: int | None
    output_image_tokens: int | None
    cache_read_audio_tokens: int | None
    web_searches: int | None
    other_units: dict[str, float] | None
    usage_source: UsageSource | None
    usage_raw: str | None
    service_tier_requested: str | None
    service_tier: str | None
    processing: Processing | None
    speed: str | None
    inference_geo: str | None
    reported_cost_pico_usd: int | None
    reported_cost_source: str | None
    error_type: str | None
    error_code: str | None
    http_status: int | None
    retry_count: int | None
    retry_after_ms: float | None
    finish_reasons: list[str] | None
    ttft_ms: float | None
    chunks: int | None
    max_chunk_gap_ms: float | None


class CallFields(RequestFields, total=False):
    """Of `Recorder.set`."""

    provider: str
    request_model: str
    operation: str


class UsageFields(TypedDict, total=False):
    """Of `Recorder.record_usage`."""

    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_write_long_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    input_image_tokens: int | None
    input_video_tokens: int | None
    output_audio_tokens: int | None
    output_image_tokens: int | None
    cache_read_audio_tokens: int | None
    web_searches: int | None
    other_units: dict[str, float] | None


class ContextFields(TypedDict, total=False):
    """Of `tokentide.context`."""

    service: str
    environment: str | None
    user_hash: str | None
    host: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    sample_rate: float | None
    upstream_provider: str | None
    server_address: str | None
    server_port: int | None
    region: str | None
    agent_id: str | None
    agent_name: str | None
    agent_version: str | None
    parent_agent_name: str | None
    parent_run_id: str | None
    workflow_name: str | None
    skill: str | None
    tool_call_id: str | None
    tool_name: str | None
    tool_type: str | None
    mcp_server: str | None
    key_id: str | None
    service_tier_requested: str | None
    processing: Processing | None


class EvaluationFields(EventFields, total=False):
    """Of `Telemetry.evaluation`."""

    event_id: str
    started_at_us: int
    response_id: str | None
    conversation_id: str | None
    provider: str | None
    operation: str | None
    request_model: str | None
    response_model: str | None
    prompt_name: str | None
    prompt_version: str | None
    evaluator: Evaluator | None
    passed: bool | None
    explanation: str | None
    error_type: str | None
    duration_ms: float | None


class FeedbackFields(EventFields, total=False):
    """Of `Telemetry.feedback`."""

    event_id: str
    started_at_us: int
    response_id: str | None
    conversation_id: str | None
    provider: str | None
    operation: str | None
    request_model: str | None
    response_model: str | None
    prompt_name: str | None
    prompt_version: str | None
    comment: str | None


class ChangeFields(EventFields, total=False):
    """Of `Telemetry.change`."""

    event_id: str
    started_at_us: int
    description: str | None
    actor: str | None
