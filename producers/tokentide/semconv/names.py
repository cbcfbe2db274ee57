"""Which span attribute fills which field of an event: one versioned table.

OpenTelemetry renamed its GenAI attributes several times and libraries follow at different times, so
every generation is read, the newest first. docs/opentelemetry.md is generated from this table.
"""

from __future__ import annotations

from typing import NamedTuple

GENAI = "genai"
"""The conventions of their own repository, semantic-conventions-genai: v0.1.0, after v1.41."""
V141 = "v1.37-v1.41"
V136 = "v1.36 and before"
OPENLLMETRY = "OpenLLMetry"
OPENINFERENCE = "OpenInference"
VERCEL = "Vercel AI SDK"
OPENLIT = "OpenLIT"
LOGFIRE = "Logfire"
LITELLM = "LiteLLM"
OPENROUTER = "OpenRouter"
LANGFUSE = "Langfuse"
SENTRY = "Sentry"
OWN = "tokentide"
"""Attributes a service may set on its own spans or resource, for fields no convention names."""


class Source(NamedTuple):
    """One attribute, and whose name it is."""

    attribute: str
    generation: str


class FieldNames(NamedTuple):
    """Where one field of the event comes from, the best source first.

    Attributes:
        field: Name in the event contract.
        kind: How the value is read: text, identifier, key_id, count, small_count, number, flag,
            port, http_status, seconds, milliseconds, usd, usd_by_part.
        sources: Attributes in the order they are asked.
    """

    field: str
    kind: str
    sources: tuple[Source, ...]


def _field(field: str, kind: str, **by_generation: str) -> FieldNames:
    generations = {
        "genai": GENAI, "v141": V141, "v136": V136, "openllmetry": OPENLLMETRY,
        "openinference": OPENINFERENCE, "vercel": VERCEL, "openlit": OPENLIT,
        "logfire": LOGFIRE, "litellm": LITELLM, "openrouter": OPENROUTER, "langfuse": LANGFUSE,
        "sentry": SENTRY, "own": OWN,
    }  # fmt: skip
    return FieldNames(
        field,
        kind,
        tuple(
            Source(attribute, generations[key])
            for key, attributes in by_generation.items()
            for attribute in attributes.split()
        ),
    )


USAGE: tuple[FieldNames, ...] = (
    _field(
        "input_tokens", "count",
        v141="gen_ai.usage.input_tokens", v136="gen_ai.usage.prompt_tokens",
        openllmetry="llm.usage.prompt_tokens", openinference="llm.token_count.prompt",
    ),
    _field(
        "output_tokens", "count",
        v141="gen_ai.usage.output_tokens", v136="gen_ai.usage.completion_tokens",
        openllmetry="llm.usage.completion_tokens", openinference="llm.token_count.completion",
    ),
    _field(
        "cache_read_tokens", "count",
        genai="gen_ai.usage.cache_read.input_tokens",
        openllmetry="gen_ai.usage.cache_read_input_tokens gen_ai.usage.details.cache_read_tokens",
        openinference="llm.token_count.prompt_details.cache_read",
        sentry="gen_ai.usage.input_tokens.cached",
    ),
    _field(
        "cache_write_tokens", "count",
        genai="gen_ai.usage.cache_write.input_tokens",
        v141="gen_ai.usage.cache_creation.input_tokens",
        openllmetry="gen_ai.usage.cache_creation_input_tokens "
        "gen_ai.usage.details.cache_write_tokens",
        openinference="llm.token_count.prompt_details.cache_write",
        sentry="gen_ai.usage.input_tokens.cache_write",
    ),
    _field(
        "reasoning_tokens", "count",
        genai="gen_ai.usage.reasoning.output_tokens",
        openllmetry="gen_ai.usage.reasoning_tokens gen_ai.usage.details.reasoning_tokens",
        openinference="llm.token_count.completion_details.reasoning",
        sentry="gen_ai.usage.output_tokens.reasoning",
    ),
    _field(
        "input_audio_tokens", "count",
        genai="gen_ai.usage.audio.input_tokens",
        openinference="llm.token_count.prompt_details.audio",
    ),
    _field("input_image_tokens", "count", genai="gen_ai.usage.image.input_tokens"),
    _field("input_video_tokens", "count", genai="gen_ai.usage.video.input_tokens"),
    _field(
        "output_audio_tokens", "count",
        genai="gen_ai.usage.audio.output_tokens",
        openinference="llm.token_count.completion_details.audio",
    ),
    _field("output_image_tokens", "count", genai="gen_ai.usage.image.output_tokens"),
    _field("cache_read_audio_tokens", "count", genai="gen_ai.usage.audio.cache_read.input_tokens"),
)  # fmt: skip
"""Token counts. What a name means (inclusive or not) is settled in `tokentide.semconv`."""

TOTAL_TOKENS = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
)

CALL: tuple[FieldNames, ...] = (
    _field(
        "web_searches", "small_count",
        openllmetry="gen_ai.usage.web_search_requests "
        "gen_ai.usage.server_tool_use.web_search_requests "
        "gen_ai.usage.details.web_search_requests "
        "anthropic.usage.server_tool_use.web_search_requests",
        openinference="llm.token_count.prompt_details.web_search_requests",
    ),
    _field(
        "request_model", "identifier",
        v141="gen_ai.request.model", openllmetry="llm.request.model",
        openinference="llm.request.model_name",
    ),
    _field(
        "response_model", "identifier",
        v141="gen_ai.response.model", openllmetry="llm.response.model",
        openinference="llm.response.model_name",
    ),
    _field(
        "response_id", "identifier",
        v141="gen_ai.response.id", openllmetry="llm.response.id",
    ),
    _field(
        "previous_response_id", "identifier",
        genai="gen_ai.request.previous_response.id",
    ),
    _field(
        "system_fingerprint", "text",
        v141="openai.response.system_fingerprint gen_ai.openai.response.system_fingerprint",
        v136="gen_ai.response.system_fingerprint",
    ),
    _field(
        "service_tier_requested", "text",
        v141="openai.request.service_tier", v136="gen_ai.openai.request.service_tier",
    ),
    _field(
        "service_tier", "text",
        v141="openai.response.service_tier", v136="gen_ai.openai.response.service_tier",
    ),
    _field(
        "stream", "flag",
        v141="gen_ai.request.stream", openllmetry="gen_ai.is_streaming llm.is_streaming",
        sentry="gen_ai.response.streaming",
    ),
    _field(
        "choices", "small_count",
        v141="gen_ai.request.choice.count", openllmetry="gen_ai.request.n",
    ),
    _field(
        "max_tokens", "count",
        v141="gen_ai.request.max_tokens", openllmetry="gen_ai.request.max_completion_tokens "
        "llm.request.max_tokens",
    ),
    _field(
        "temperature", "number",
        v141="gen_ai.request.temperature", openllmetry="llm.temperature",
    ),
    _field(
        "reasoning_level", "text",
        genai="gen_ai.request.reasoning.level", openllmetry="gen_ai.request.reasoning_effort",
    ),
    _field(
        "conversation_id", "identifier",
        v141="gen_ai.conversation.id", openinference="session.id",
    ),
    _field("agent_id", "identifier", v141="gen_ai.agent.id"),
    _field("agent_name", "text", v141="gen_ai.agent.name", openinference="agent.name"),
    _field("agent_version", "text", v141="gen_ai.agent.version"),
    _field("parent_agent_name", "text", own="tokentide.parent_agent_name"),
    _field("run_id", "identifier", own="tokentide.run_id"),
    _field("parent_run_id", "identifier", own="tokentide.parent_run_id"),
    _field("skill", "text", own="tokentide.skill", genai="gen_ai.skill.name"),
    _field("tool_name", "text", own="tokentide.tool_name"),
    _field("mcp_server", "text", own="tokentide.mcp_server"),
    _field("key_id", "key_id", own="tokentide.key_id"),
    _field(
        "workflow_name", "text",
        genai="gen_ai.main_agent.name", v141="gen_ai.workflow.name",
        openllmetry="traceloop.workflow.name",
    ),
    _field(
        "prompt_name", "text",
        genai="gen_ai.prompt.name", openllmetry="traceloop.prompt.key",
        openinference="prompt.id",
    ),
    _field(
        "prompt_version", "text",
        genai="gen_ai.prompt.version",
        openllmetry="traceloop.prompt.version_name traceloop.prompt.version",
        openinference="llm.prompt_template.version",
    ),
    _field("server_address", "identifier", v141="server.address"),
    _field("server_port", "port", v141="server.port"),
    _field("http_status", "http_status", v141="http.response.status_code", v136="http.status_code"),
    _field("retry_count", "small_count", v141="http.request.resend_count"),
    _field(
        "ttft_ms", "seconds",
        genai="gen_ai.response.time_to_first_chunk", v141="gen_ai.server.time_to_first_token",
    ),
    _field("ttft_ms", "milliseconds", vercel="ai.response.msToFirstChunk"),
    _field(
        "reported_cost_pico_usd", "usd",
        openinference="llm.cost.total", openlit="gen_ai.usage.cost", logfire="operation.cost",
        litellm="gen_ai.cost.total_cost litellm.cost.total", openrouter="gen_ai.usage.total_cost",
    ),
    _field("reported_cost_pico_usd", "usd_by_part", langfuse="langfuse.observation.cost_details"),
    _field("tenant", "text", own="tokentide.tenant"),
    _field("team", "text", own="tokentide.team"),
    _field("feature", "text", own="tokentide.feature"),
    _field("user_hash", "text", own="tokentide.user_hash"),
    _field("region", "text", v141="cloud.region"),
    _field(
        "environment", "text",
        v141="deployment.environment.name", v136="deployment.environment",
        sentry="sentry.environment",
    ),
    _field("service", "text", v141="service.name"),
    _field("host", "identifier", v141="host.name k8s.pod.name"),
    _field("pid", "count", v141="process.pid"),
)  # fmt: skip
"""Everything else that one attribute of the span, else of its resource, fills as it is; the
region is read of the span alone."""

PROVIDER: tuple[Source, ...] = (
    Source("gen_ai.provider.name", V141),
    Source("gen_ai.system", V136),
    Source("llm.provider", OPENINFERENCE),
    Source("llm.system", OPENINFERENCE),
    Source("llm.vendor", OPENLLMETRY),
)

ONLY_GENAI = frozenset(
    {
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.main_agent.name", "gen_ai.skill.name",
        *(
            f"gen_ai.usage.{modality}.{what}_tokens"
            for modality in ("text", "image", "audio")
            for what in ("input", "output", "cache_read.input")
        ),
    }
)  # fmt: skip
"""Attributes that no generation before them knew."""

FINISH_REASONS: tuple[Source, ...] = (
    Source("gen_ai.response.finish_reasons", V141),
    Source("gen_ai.response.finish_reason", OPENLLMETRY),
    Source("gen_ai.response.stop_reason", OPENLLMETRY),
    Source("llm.response.finish_reason", OPENLLMETRY),
    Source("llm.finish_reason", OPENINFERENCE),
)

OPERATIONS = {
    "chat": "chat",
    "message": "chat",
    "messages": "chat",
    "responses": "chat",
    "generate_content": "generate_content",
    "text_completion": "text_completion",
    "completion": "text_completion",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "image": "image_generation",
    "image_generation": "image_generation",
    "speech_to_text": "transcription",
    "transcription": "transcription",
    "audio": "speech",
    "speech": "speech",
    "text_to_speech": "speech",
    "video": "video_generation",
    "video_generation": "video_generation",
    "realtime": "realtime",
}
"""Values of `gen_ai.operation.name` and `llm.request.type` that are calls of a model, whether they
carry tokens or not, and what they are called here. `responses` is Sentry's and azure-ai-projects',
`image`, `audio`, `video`, `realtime` and the two between text and speech are OpenLIT's."""

NO_CALLS = frozenset(
    {
        # agents, and what runs inside of them: a remote agent is recognised by its kind
        "agent", "agent_call", "create_agent", "handoff", "invoke_agent", "run_agent",
        "chain", "framework", "invoke_workflow", "plan", "task", "workflow",
        "execute_tool", "tool", "tool_call", "schedule_tool_calls",
        "system_prompt", "user_prompt",
        # reads of what was paid for before, or of what is not billed by tokens
        "fetch_response", "get_thread_run", "list_messages", "list_run_steps", "list_threads",
        "create_message", "create_thread",
        "retrieval", "retrieve", "vectordb",
        "create_memory", "create_memory_store", "delete_memory", "delete_memory_store",
        "search_memory", "update_memory", "upsert_memory",
    }
)  # fmt: skip
"""Values of the same attributes that are no calls: they only surround calls, or read what was paid
for before. Every other value is a call when the span carries tokens and a provider or a model."""

CODING_AGENTS = ("claude_code", "codex", "com.anthropic.claude_code", "gemini-cli")
"""How the instrumentation scopes of coding agents begin."""

AGENT_HOSTS = (
    "api.openai.com", "openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com",
    "aiplatform.googleapis.com", "api.mistral.ai", "api.anthropic.com",
)  # fmt: skip
"""Where providers run agents, beside Bedrock."""

MODELS = (
    "gen_ai.request.model", "gen_ai.response.model",
    "llm.request.model", "llm.response.model", "llm.model_name", "embedding.model_name",
    "llm.request.model_name", "llm.response.model_name",
)  # fmt: skip
"""Attributes that name a model."""

PARENT_KINDS = frozenset({"workflow", "task", "agent", "tool"})
"""Values of OpenLLMetry's `traceloop.span.kind`: spans around calls."""

OPENINFERENCE_OPERATIONS = {"LLM": "chat", "EMBEDDING": "embeddings"}
"""Values of `openinference.span.kind` that are calls of a model."""

OPENINFERENCE_PARENTS = frozenset({"AGENT", "CHAIN", "PROMPT", "RETRIEVER", "TOOL"})
"""Values of `openinference.span.kind` that are no calls. Every other value is one when the span
carries tokens and a provider or a model."""

EXCLUSIVE_INPUT = frozenset({"opentelemetry.instrumentation.bedrock"})
"""Instrumentation scopes whose input count leaves cached tokens out, and whose total does too.

OpenLLMetry's Bedrock instrumentation copies `inputTokens` of Converse, which excludes the caches
(read at 0.62.4). Its Anthropic one adds them, as OpenInference's does.
"""

BOUNDS_IN_STREAMS = frozenset(
    {"opentelemetry.instrumentation.anthropic", "openlit.instrumentation.anthropic"}
)
"""Instrumentation scopes whose counts of a stream are no more than a bound.

OpenLLMetry's for Anthropic (read at 0.62.4) adds the first output count to the last, which has it,
and does not say of streams by `messages.stream()` that they are streams, so only what says that it
is none is whole. OpenLIT's (recorded at 1.45.0) leaves the tokens of caches out.
"""

SHARED_SCOPE = "opentelemetry.util.genai.handler"
NO_CACHES = frozenset({"opentelemetry.instrumentation.openai_v2", SHARED_SCOPE})
"""Scopes that never say how much of the input a cache had: OpenTelemetry's for OpenAI's client
(recorded at 2.4b0), and the one it shares with others where it follows the newest conventions
(opentelemetry-util-genai 1.1b0)."""
