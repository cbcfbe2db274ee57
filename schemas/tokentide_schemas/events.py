"""The event contract: what a producer may send, field by field.

Five kinds of event share one topic; `type` distinguishes them. Null means "not reported", zero
means "reported zero"; the two are never merged. Totals are inclusive and every detail is a subset
of its total. Unknown fields are ignored, so that a newer producer can talk to an older pipeline.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from tokentide_schemas.fields import (
    WHOLE,
    Count,
    DurationMs,
    EpochUs,
    EventId,
    FinishReasons,
    Identifier,
    KeyId,
    Label,
    ModelLabel,
    ModelName,
    Name,
    OtherUnits,
    PicoUsd,
    Port,
    Ratio,
    Score,
    ShortText,
    SmallCount,
    SpanId,
    Tags,
    TokenCount,
    TraceId,
)

SCHEMA_VERSION = 1
"""Version of this contract; raised only when an old reader would misread a new event."""

Status = Literal["ok", "error", "refused", "filtered", "cancelled", "abandoned"]
UsageSource = Literal["provider", "estimated", "missing"]
Processing = Literal["sync", "batch"]
ChangeKind = Literal["deploy", "prompt", "model", "price", "policy"]
Evaluator = Literal["judge", "guardrail", "human", "code"]

SUBSETS: tuple[tuple[str, str], ...] = (
    ("cache_read_tokens", "input_tokens"),
    ("cache_write_tokens", "input_tokens"),
    ("cache_write_1h_tokens", "cache_write_tokens"),
    ("cache_write_long_tokens", "cache_write_tokens"),
    ("input_audio_tokens", "input_tokens"),
    ("input_image_tokens", "input_tokens"),
    ("input_video_tokens", "input_tokens"),
    ("cache_read_audio_tokens", "cache_read_tokens"),
    ("cache_read_audio_tokens", "input_audio_tokens"),
    ("reasoning_tokens", "output_tokens"),
    ("output_audio_tokens", "output_tokens"),
    ("output_image_tokens", "output_tokens"),
)
"""(detail, total): a detail that is reported needs its total and never exceeds it."""

DISJOINT: tuple[tuple[tuple[str, ...], str], ...] = (
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
    (("cache_write_1h_tokens", "cache_write_long_tokens"), "cache_write_tokens"),
    (("input_audio_tokens", "input_image_tokens", "input_video_tokens"), "input_tokens"),
    (("output_audio_tokens", "output_image_tokens"), "output_tokens"),
)
"""(parts, total): parts that do not overlap, so that their sum never exceeds the total."""


class BaseEvent(BaseModel):
    """What every event carries: identity, time, origin, and the producer's own loss counters."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    schema_version: Annotated[int, Field(ge=1, le=1_000), WHOLE] = SCHEMA_VERSION
    event_id: EventId
    started_at_us: EpochUs
    service: Name
    environment: Label | None = None
    tenant: Label | None = None
    team: Label | None = None
    feature: Label | None = None
    user_hash: Label | None = None
    sdk_name: Label | None = None
    sdk_version: Label | None = None
    host: Identifier | None = None
    pid: Annotated[int, Field(ge=0, le=1 << 32), WHOLE] | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    parent_span_id: SpanId | None = None
    tags: Tags | None = None
    sample_rate: Ratio | None = None
    dropped_before: Count | None = None
    seq: Count | None = None


class RequestEvent(BaseEvent):
    """One LLM call, finished one way or another."""

    type: Literal["request"]
    duration_ms: DurationMs
    operation: Name
    provider: Name
    status: Status

    upstream_provider: Label | None = None
    server_address: Identifier | None = None
    server_port: Port | None = None
    region: Label | None = None

    request_model: ModelName
    response_model: ModelLabel | None = None
    response_id: Identifier | None = None
    system_fingerprint: Label | None = None
    previous_response_id: Identifier | None = None

    conversation_id: Identifier | None = None
    agent_id: Identifier | None = None
    agent_name: Label | None = None
    agent_version: Label | None = None
    parent_agent_name: Label | None = None
    run_id: Identifier | None = None
    parent_run_id: Identifier | None = None
    workflow_name: Label | None = None
    skill: Label | None = None
    prompt_name: Label | None = None
    prompt_version: Label | None = None

    tool_call_id: Identifier | None = None
    tool_name: Label | None = None
    tool_type: Label | None = None
    tool_calls_count: SmallCount | None = None
    mcp_server: Label | None = None
    key_id: KeyId | None = None

    stream: bool | None = None
    choices: SmallCount | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    reasoning_level: Label | None = None

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None
    cache_read_tokens: TokenCount | None = None
    cache_write_tokens: TokenCount | None = None
    cache_write_1h_tokens: TokenCount | None = None
    cache_write_long_tokens: TokenCount | None = None
    reasoning_tokens: TokenCount | None = None
    input_audio_tokens: TokenCount | None = None
    input_image_tokens: TokenCount | None = None
    input_video_tokens: TokenCount | None = None
    output_audio_tokens: TokenCount | None = None
    output_image_tokens: TokenCount | None = None
    cache_read_audio_tokens: TokenCount | None = None
    web_searches: SmallCount | None = None
    other_units: OtherUnits | None = None
    usage_source: UsageSource | None = None
    usage_raw: ShortText | None = None

    service_tier_requested: Label | None = None
    service_tier: Label | None = None
    processing: Processing | None = None
    speed: Label | None = None
    inference_geo: Label | None = None

    reported_cost_pico_usd: PicoUsd | None = None
    reported_cost_source: Label | None = None

    error_type: Label | None = None
    error_code: Label | None = None
    http_status: Annotated[int, Field(ge=100, le=599), WHOLE] | None = None
    retry_count: SmallCount | None = None
    retry_after_ms: DurationMs | None = None

    finish_reasons: FinishReasons | None = None
    ttft_ms: DurationMs | None = None
    chunks: Count | None = None
    max_chunk_gap_ms: DurationMs | None = None

    @model_validator(mode="after")
    def _details_are_subsets(self) -> Self:
        for detail, total in SUBSETS:
            part, whole = getattr(self, detail), getattr(self, total)
            if part and part > (whole or 0):
                raise ValueError(
                    f"{detail}={part} exceeds {total}={whole}: totals include every detail"
                )
        for parts, total in DISJOINT:
            summed = sum(getattr(self, part) or 0 for part in parts)
            whole = getattr(self, total) or 0
            if summed > whole:
                raise ValueError(f"{' + '.join(parts)} = {summed} exceeds {total}={whole}")
        # Embeddings and transcription report no output; a call with neither total must say why.
        counts = (self.input_tokens, self.output_tokens, self.other_units)
        is_silent = self.usage_source in (None, "provider") and all(c is None for c in counts)
        if self.status == "ok" and is_silent:
            raise ValueError(
                "input_tokens and output_tokens are both absent on a call with status ok:"
                " report them, or set usage_source to missing"
            )
        if self.ttft_ms is not None and self.ttft_ms > self.duration_ms:
            raise ValueError(f"ttft_ms={self.ttft_ms} exceeds duration_ms={self.duration_ms}")
        return self


_REQUEST_FIELDS = tuple(RequestEvent.model_fields)
USAGE_FIELDS: tuple[str, ...] = _REQUEST_FIELDS[
    _REQUEST_FIELDS.index("input_tokens") : _REQUEST_FIELDS.index("other_units") + 1
]
"""Fields that say what a call consumed: the token counts, and what else is billed."""


class _Judgement(BaseEvent):
    """What evaluation and feedback share: which response is judged, and the verdict."""

    name: Name
    target_event_id: EventId | None = None
    response_id: Identifier | None = None
    conversation_id: Identifier | None = None
    provider: Label | None = None
    operation: Label | None = None
    request_model: ModelLabel | None = None
    response_model: ModelLabel | None = None
    prompt_name: Label | None = None
    prompt_version: Label | None = None
    score: Score | None = None
    label: Label | None = None

    @model_validator(mode="after")
    def _has_a_target_and_a_verdict(self) -> Self:
        if not (self.target_event_id or self.response_id or self.conversation_id):
            raise ValueError(
                "no target: give target_event_id, response_id or conversation_id of what is judged"
            )
        return self


class EvaluationEvent(_Judgement):
    """The score of a response by a judge model, a guardrail, code or a person."""

    type: Literal["evaluation"]
    evaluator: Evaluator | None = None
    passed: bool | None = None
    explanation: ShortText | None = None
    error_type: Label | None = None
    duration_ms: DurationMs | None = None


class FeedbackEvent(_Judgement):
    """What an end user said of a response."""

    type: Literal["feedback"]
    comment: ShortText | None = None


class ChangeEvent(BaseEvent):
    """Something was changed that may explain what the other events show."""

    type: Literal["change"]
    kind: ChangeKind
    subject: Name
    from_version: Identifier | None = None
    to_version: Identifier | None = None
    description: ShortText | None = None
    actor: Label | None = None


class StatsEvent(BaseEvent):
    """A producer's own running counters since its start: they let the pipeline measure loss."""

    type: Literal["stats"]
    producer_id: Label | None = None
    uptime_ms: Annotated[float, Field(ge=0, le=1e13, allow_inf_nan=False)] | None = None
    emitted: Count | None = None
    delivered: Count | None = None
    dropped: Count | None = None
    failed: Count | None = None
    queued: Count | None = None
    frames: Count | None = None
    bytes_sent: Count | None = None
    retries: Count | None = None
    last_error: ShortText | None = None


Event = Annotated[
    RequestEvent | EvaluationEvent | FeedbackEvent | ChangeEvent | StatsEvent,
    Field(discriminator="type"),
]

EVENT_ADAPTER: TypeAdapter[
    RequestEvent | EvaluationEvent | FeedbackEvent | ChangeEvent | StatsEvent
] = TypeAdapter(Event)
"""Validates one decoded event of any type; `tokentide_jobs` decides the same, column by column."""

EVENT_MODELS: dict[str, type[BaseEvent]] = {
    "request": RequestEvent,
    "evaluation": EvaluationEvent,
    "feedback": FeedbackEvent,
    "change": ChangeEvent,
    "stats": StatsEvent,
}
