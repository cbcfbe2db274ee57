"""From spans to events: every generation of names, totals, failures, and what is no call."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.each import each
from tests.golden.pricing import priced
from tests.producers.semconv.spans import LATEST, START_NS, event, span
from tokentide.semconv import Reading, SpanEvent, event_id, event_of, reading_of
from tokentide.usage import USAGE_FIELDS

PRICES_KNOWN_US = 1_796_083_200_000_000
"""2026-12-01: the prices of that day are known."""

GENERATIONS = {
    "genai": {
        **LATEST,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.cache_write.input_tokens": 200,
        "gen_ai.usage.reasoning.output_tokens": 40,
    },
    "v1.37-v1.41": {
        **LATEST,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.cache_creation.input_tokens": 200,
        "gen_ai.usage.reasoning.output_tokens": 40,
    },
    "v1.36 and before": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.completion_tokens": 100,
        "gen_ai.usage.cache_read_input_tokens": 300,
        "gen_ai.usage.cache_creation_input_tokens": 200,
        "gen_ai.usage.reasoning_tokens": 40,
    },
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "llm.vendor": "Anthropic",
        "llm.request.model": "claude-sonnet-4-5",
        "llm.response.model": "claude-sonnet-4-5-20250929",
        "llm.usage.prompt_tokens": 1000,
        "llm.usage.completion_tokens": 100,
        "gen_ai.usage.cache_read_input_tokens": 300,
        "gen_ai.usage.cache_creation_input_tokens": 200,
        "gen_ai.usage.reasoning_tokens": 40,
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.provider": "anthropic",
        "llm.request.model_name": "claude-sonnet-4-5",
        "llm.model_name": "claude-sonnet-4-5-20250929",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100,
        "llm.token_count.total": 1100,
        "llm.token_count.prompt_details.cache_read": 300,
        "llm.token_count.prompt_details.cache_write": 200,
        "llm.token_count.completion_details.reasoning": 40,
    },
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_of_names_gives_the_same_event(generation: str) -> None:
    found = event(GENERATIONS[generation])
    assert found.pop("tags") == {"semconv": generation}
    assert found == {
        "type": "request",
        "event_id": found["event_id"],
        "started_at_us": START_NS // 1000,
        "duration_ms": 2500.0,
        "operation": "chat",
        "provider": "anthropic",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "request_model": "claude-sonnet-4-5",
        "response_model": "claude-sonnet-4-5-20250929",
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read_tokens": 300,
        "cache_write_tokens": 200,
        "reasoning_tokens": 40,
        "usage_source": "provider",
        "status": "ok",
    }


@each(
    "attributes",
    [
        {**LATEST, "gen_ai.operation.name": "create_agent"},
        {**LATEST, "gen_ai.operation.name": "invoke_workflow"},
        {**LATEST, "gen_ai.operation.name": "execute_tool"},
        {**LATEST, "gen_ai.operation.name": "fetch_response"},
        {**LATEST, "gen_ai.operation.name": "retrieval"},
        {**LATEST, "traceloop.span.kind": "workflow"},
        {**LATEST, "traceloop.span.kind": "agent"},
        {**GENERATIONS["OpenInference"], "openinference.span.kind": "AGENT"},
        {**GENERATIONS["OpenInference"], "openinference.span.kind": "CHAIN"},
        {"llm.request.type": "rerank", "gen_ai.system": "cohere"},
        {"http.request.method": "POST"},
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"},
        {"gen_ai.usage.input_tokens": 5},
        {"gen_ai.operation.name": "my_step", "gen_ai.request.model": "gpt-4o"},
        {"openinference.span.kind": "RERANKER", "llm.provider": "cohere"},
        {},
    ],
)
def test_what_only_surrounds_calls_is_no_call(attributes: dict[str, object]) -> None:
    assert event_of(span(attributes)) is None


def test_the_span_of_a_server_is_no_call() -> None:
    assert event_of(span(LATEST, kind="server")) is None


def test_a_reading_that_is_known_is_not_made_again() -> None:
    read = reading_of(span(LATEST))
    assert event_of(span(LATEST), read) == event_of(span(LATEST))
    assert event_of(span(LATEST), Reading(None, is_stated=False, has_tokens=True)) is None


def test_a_span_from_before_operations_were_named_counts_by_its_tokens() -> None:
    old: dict[str, object] = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.prompt_tokens": 8,
    }
    assert event(old, name="openai.embeddings")["operation"] == "embeddings"
    assert event(old, name="openai.chat")["operation"] == "chat"


@each(
    ("attributes", "scope", "expected"),
    [
        # Details that exceed the total cannot be part of it.
        ({"input": 100, "output": 20, "read": 900, "write": 50}, "", (1050, 20)),
        # A grand total that only adds up with the caches.
        ({"input": 1000, "output": 20, "read": 500, "total": 1520}, "", (1500, 20)),
        ({"input": 1000, "output": 20, "read": 500, "total": 1020}, "", (1000, 20)),
        # No total to ask: the conventions' word holds.
        ({"input": 1000, "output": 20, "read": 500}, "", (1000, 20)),
        # OpenLLMetry's Bedrock copies Converse's exclusive count, and its total with it.
        (
            {"input": 1000, "output": 20, "read": 500, "write": 100, "total": 1020},
            "opentelemetry.instrumentation.bedrock",
            (1600, 20),
        ),
        ({"input": 10, "output": 20, "thought": 30}, "", (10, 50)),
        ({"input": 10, "output": 40, "thought": 30, "total": 80}, "", (10, 70)),
        ({"input": 10, "output": 40, "thought": 30, "total": 50}, "", (10, 40)),
        ({"input": 1000, "output": 40, "read": 500, "thought": 30, "total": 1570}, "", (1500, 70)),
        # Gemini behind OpenAI's format leaves its thoughts out: 0.002496 USD, not 0.001066.
        (
            {"input": 20, "output": 424, "total": 1016},
            "openinference.instrumentation.openai",
            (20, 996),
        ),
        (
            {"input": 20, "output": 424, "thought": 0, "total": 1016},
            "opentelemetry.instrumentation.openai.v1",
            (20, 996),
        ),
        (
            {"input": 20, "output": 424, "total": 0},
            "openinference.instrumentation.openai",
            (20, 424),
        ),
    ],
)
def test_totals_are_made_inclusive(
    attributes: dict[str, int], scope: str, expected: tuple[int, int]
) -> None:
    found = counted(attributes, scope)
    assert (found["input_tokens"], found["output_tokens"]) == expected
    assert found["usage_source"] == "provider"


@each(
    ("attributes", "scope"),
    [
        # Pages that a tool of Google's read: 377,545 tokens that are neither in input nor output.
        (
            {"input": 1041, "output": 3093, "thought": 2191, "total": 381_679},
            "openinference.instrumentation.google_genai",
        ),
        ({"input": 20, "output": 424, "total": 1016}, ""),
        ({"input": 20, "output": 424, "total": 1016}, "openinference.instrumentation.langchain"),
        (
            {"input": 20, "output": 424, "thought": 60, "total": 1016},
            "openinference.instrumentation.openai",
        ),
        ({"input": 1, "output": 1, "total": 99_000_000}, "openinference.instrumentation.openai"),
    ],
)
def test_a_total_that_nothing_explains_leaves_the_usage_missing(
    attributes: dict[str, int], scope: str
) -> None:
    found = counted(attributes, scope)
    assert (found["input_tokens"], found["output_tokens"]) == tuple(attributes.values())[:2]
    assert found["usage_source"] == "missing"
    assert priced({**found, "started_at_us": PRICES_KNOWN_US})["price_status"] == "partial"


def counted(attributes: dict[str, int], scope: str) -> dict[str, Any]:
    names = {
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "read": "gen_ai.usage.cache_read.input_tokens",
        "write": "gen_ai.usage.cache_write.input_tokens",
        "thought": "gen_ai.usage.reasoning.output_tokens",
        "total": "gen_ai.usage.total_tokens",
    }
    base = {k: v for k, v in LATEST.items() if ".usage." not in k}
    return event({**base, **{names[k]: v for k, v in attributes.items()}}, scope=scope)


def test_what_is_not_reported_is_absent_and_zero_is_zero() -> None:
    base = {k: v for k, v in LATEST.items() if ".usage." not in k}
    silent = event(base)
    assert silent["usage_source"] == "missing"
    assert not set(silent) & set(USAGE_FIELDS)
    assert event({**base, "gen_ai.usage.input_tokens": 0})["input_tokens"] == 0


@each("absurd", [-1, 1 << 60, "-3", "many", True, 1.5, [3], float("nan")])
def test_an_absurd_count_leaves_the_usage_missing(absurd: object) -> None:
    found = event({**LATEST, "gen_ai.usage.output_tokens": absurd})
    assert "output_tokens" not in found
    assert found["input_tokens"] == 1000
    assert found["usage_source"] == "missing", "what is left is a lower bound"


def test_a_count_that_travelled_as_a_float_is_a_count() -> None:
    assert event({**LATEST, "gen_ai.usage.output_tokens": 7.0})["output_tokens"] == 7


def test_modalities_and_request_fields_are_read() -> None:
    found = event(
        {
            **LATEST,
            "gen_ai.usage.audio.input_tokens": 10,
            "gen_ai.usage.image.output_tokens": 20,
            "gen_ai.request.stream": True,
            "gen_ai.request.max_tokens": 64,
            "gen_ai.request.temperature": 0.25,
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.reasoning.level": "high",
            "gen_ai.response.id": "msg_1",
            "gen_ai.response.time_to_first_chunk": 0.4,
            "gen_ai.conversation.id": "c-1",
            "gen_ai.agent.name": "planner",
            "gen_ai.agent.version": "3",
            "tokentide.parent_agent_name": "root",
            "tokentide.run_id": "r-1",
            "tokentide.parent_run_id": "r-0",
            "tokentide.skill": "web",
            "tokentide.mcp_server": "search",
            "tokentide.key_id": "key_7",
            "gen_ai.prompt.name": "answer",
            "gen_ai.prompt.version": "v12",
            "openai.response.service_tier": "priority",
            "server.address": "api.anthropic.com",
            "server.port": 443,
            "tokentide.tenant": "acme",
        }
    )
    assert (found["input_audio_tokens"], found["output_image_tokens"]) == (10, 20)
    assert (found["stream"], found["max_tokens"], found["temperature"]) == (True, 64, 0.25)
    assert (found["choices"], found["reasoning_level"]) == (2, "high")
    assert (found["response_id"], found["ttft_ms"]) == ("msg_1", 400.0)
    assert (found["conversation_id"], found["agent_name"]) == ("c-1", "planner")
    assert (found["agent_version"], found["parent_agent_name"]) == ("3", "root")
    assert (found["run_id"], found["parent_run_id"], found["skill"]) == ("r-1", "r-0", "web")
    assert (found["mcp_server"], found["key_id"]) == ("search", "key_7")
    assert (found["prompt_name"], found["prompt_version"]) == ("answer", "v12")
    assert (found["service_tier"], found["tenant"]) == ("priority", "acme")
    assert (found["server_address"], found["server_port"]) == ("api.anthropic.com", 443)


def test_the_resource_names_service_environment_and_host() -> None:
    resource = {
        "service.name": "search-api",
        "deployment.environment.name": "prod",
        "host.name": "pod-1",
        "process.pid": 42,
        "telemetry.sdk.name": "opentelemetry",
    }
    found = event(LATEST, resource=resource)
    assert (found["service"], found["environment"]) == ("search-api", "prod")
    assert (found["host"], found["pid"], found["sdk_name"]) == ("pod-1", 42, "opentelemetry")
    assert "service" not in event(LATEST, resource={"service.name": "unknown_service:python"})
    made_by = event(LATEST, resource=resource, scope="opentelemetry.instrumentation.openai.v1")
    assert made_by["sdk_name"] == "opentelemetry.instrumentation.openai.v1"


@pytest.mark.parametrize(
    ("attributes", "region", "status", "usd"),
    [
        ({"server.address": "aiplatform.googleapis.com"}, None, "exact", "0.25"),
        ({"server.address": "us-east5-aiplatform.googleapis.com"}, None, "exact", "0.275"),
        ({}, None, "fallback_region", "0.25"),
        ({"cloud.region": "us-east5"}, "us-east5", "exact", "0.275"),
    ],
)
def test_the_region_of_the_caller_is_not_the_one_of_the_model(
    attributes: dict[str, object], region: str | None, status: str, usd: str
) -> None:
    called: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.vertex_ai",
        "gen_ai.request.model": "gemini-3.1-flash-lite",
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.output_tokens": 0,
    }
    pod = {"service.name": "s", "cloud.provider": "gcp", "cloud.region": "us-central1"}
    found = event({**called, **attributes}, resource=pod)
    assert found.get("region") == region
    verdict = priced({**found, "started_at_us": PRICES_KNOWN_US})
    assert verdict["price_status"] == status
    assert verdict["cost_pico_usd"] == Decimal(usd).scaleb(12)


def test_prompts_answers_and_users_are_never_read() -> None:
    found = event(
        {
            **LATEST,
            "gen_ai.input.messages": "SECRET",
            "gen_ai.prompt.0.content": "SECRET",
            "output.value": "SECRET",
            "user.id": "SECRET",
            "gen_ai.user": "SECRET",
        }
    )
    assert "SECRET" not in str(found)


def test_openinference_parameters_name_the_model_that_was_asked_for() -> None:
    found = event(
        {
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.model_name": "gpt-4o-2024-08-06",
            "llm.invocation_parameters": '{"model": "gpt-4o", "max_tokens": 9, "stream": true}',
            "llm.token_count.prompt": 1,
        },
        kind="internal",
        events=[SpanEvent("First Token Stream Event", START_NS + 300_000_000)],
    )
    assert (found["request_model"], found["response_model"]) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (found["max_tokens"], found["stream"], found["ttft_ms"]) == (9, True, 300.0)


@pytest.mark.parametrize("text", ["{", "[1]", '{"model": 5}', "[" * 5000, "x" * 70_000])
def test_parameters_that_are_no_use_are_passed_by(text: str) -> None:
    found = event({**GENERATIONS["OpenInference"], "llm.invocation_parameters": text})
    assert found["request_model"] == "claude-sonnet-4-5"


def test_the_id_is_a_uuid7_of_the_span_and_of_nothing_else() -> None:
    one, again = event(LATEST)["event_id"], event({**LATEST, "x": 1}, is_error=True)["event_id"]
    assert one == again
    parsed = uuid.UUID(one)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == START_NS // 1_000_000
    others = {event_id(span(LATEST, span_id=f"{n:016x}")) for n in range(100)}
    assert len(others | {one}) == 101
    assert event_id(span({}, span_id="", name="a")) != event_id(span({}, span_id="", name="b"))


@pytest.mark.parametrize(
    ("start_ns", "end_ns"), [(0, 0), (START_NS, START_NS - 5), (-1, 1 << 62), (1 << 62, 1 << 63)]
)
def test_absurd_times_give_an_event_that_ingest_can_judge(start_ns: int, end_ns: int) -> None:
    event(LATEST, start_ns=start_ns, end_ns=end_ns)


def test_a_first_chunk_after_the_end_is_not_reported() -> None:
    assert "ttft_ms" not in event({**LATEST, "gen_ai.response.time_to_first_chunk": 99.0})


def test_a_key_in_the_place_of_its_id_is_not_reported() -> None:
    assert "key_id" not in event({**LATEST, "tokentide.key_id": "sk-proj-abc"})


def test_digits_in_a_text_are_a_count() -> None:
    found = event({**LATEST, "gen_ai.usage.output_tokens": "100"})
    assert (found["output_tokens"], found["usage_source"]) == (100, "provider")


def test_a_count_that_another_name_gives_is_known() -> None:
    older = {"gen_ai.usage.completion_tokens": 100, "gen_ai.usage.output_tokens": -1}
    assert event({**LATEST, **older})["usage_source"] == "provider"
