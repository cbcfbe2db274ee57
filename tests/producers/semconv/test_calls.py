"""Which spans are calls: by a known name, by their tokens, or not at all, and which have tokens."""

from __future__ import annotations

import pytest

from tests.producers.semconv.spans import LATEST, START_NS, event, span
from tokentide.semconv import Reading, SpanEvent, reading_of
from tokentide.semconv.names import NO_CALLS, OPERATIONS

TOKENS = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
AGENT = {**LATEST, "gen_ai.operation.name": "invoke_agent"}


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        ("responses", "chat"),  # Sentry, azure-ai-projects
        ("image", "image_generation"),  # from here on OpenLIT
        ("audio", "speech"),
        ("text_to_speech", "speech"),
        ("speech_to_text", "transcription"),
        ("video", "video_generation"),
        ("realtime", "realtime"),
        ("Chat", "chat"),
    ],
)
def test_every_name_that_is_known_for_calls_is_one_with_or_without_tokens(
    operation: str, named: str
) -> None:
    stated: dict[str, object] = {"gen_ai.operation.name": operation, "gen_ai.system": "openai"}
    assert reading_of(span(stated)) == Reading(named, is_stated=True, has_tokens=False)
    found = event({**LATEST, "gen_ai.operation.name": operation})
    assert (found["operation"], found["input_tokens"]) == (named, 1000)


@pytest.mark.parametrize(
    "who",
    [
        {"gen_ai.provider.name": "openai"},
        {"gen_ai.system": "openai"},
        {"gen_ai.request.model": "gpt-4o"},
        {"gen_ai.response.model": "gpt-4o"},
        {"llm.model_name": "gpt-4o"},
    ],
)
def test_an_unknown_name_is_a_call_when_tokens_and_provider_or_model_are_there(
    who: dict[str, object],
) -> None:
    stated = {"gen_ai.operation.name": "summarise_page"}
    assert reading_of(span({**stated, **who})).operation is None
    assert reading_of(span({**stated, **TOKENS})) == Reading(None, False, has_tokens=True)
    assert reading_of(span({**stated, **TOKENS, **who})) == Reading("summarise_page", False, True)
    assert reading_of(span({**TOKENS, **who})).operation == "chat"
    found = event({**stated, **TOKENS, **who})
    assert (found["input_tokens"], found["output_tokens"]) == (1000, 100)


@pytest.mark.parametrize("name", sorted(NO_CALLS))
def test_what_is_known_to_be_no_call_is_none_whatever_it_carries(name: str) -> None:
    found = reading_of(span({**LATEST, "gen_ai.operation.name": name}, kind="internal"))
    assert found == Reading(None, False, has_tokens=True)


def test_no_name_is_a_call_and_none() -> None:
    assert not NO_CALLS & OPERATIONS.keys()


@pytest.mark.parametrize(
    "scope", ["codex_cli_rs", "com.anthropic.claude_code.tracing", "gemini-cli"]
)
def test_the_spans_of_a_coding_agent_are_no_calls_for_its_logs_tell_of_each(scope: str) -> None:
    assert reading_of(span(LATEST, scope=scope)) == Reading(None, False, has_tokens=True)


@pytest.mark.parametrize(
    ("address", "is_providers"),
    [
        ("api.openai.com", True),
        ("bedrock-agent-runtime.eu-west-1.amazonaws.com", True),
        ("acme.services.ai.azure.com", True),
        ("europe-west1-aiplatform.googleapis.com", True),
        ("aiplatform.googleapis.com", True),
        ("agents.internal", False),
        ("agents-17.eu-west-1.elb.amazonaws.com", False),
        ("evil-api.openai.com.example.org", False),
        (5, False),
        (None, False),
    ],
)
def test_a_remote_agent_is_a_call_and_a_sure_one_where_a_provider_runs_it(
    address: object, is_providers: bool
) -> None:
    remote = reading_of(span({**AGENT, "server.address": address}))
    assert remote == Reading("invoke_agent", False, True, is_uncertain=not is_providers)
    found = event({**AGENT, "server.address": address})
    assert (found["operation"], found["input_tokens"]) == ("invoke_agent", 1000)
    assert found["usage_source"] == ("provider" if is_providers else "missing")
    inside = span({**AGENT, "server.address": address}, kind="internal")
    assert reading_of(inside).operation is None


def test_a_remote_agent_without_tokens_is_no_call() -> None:
    silent = {name: value for name, value in AGENT.items() if ".usage." not in name}
    assert reading_of(span({**silent, "server.address": "api.openai.com"})).operation is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([{"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2}], (7, 2)),
        ([{"gen_ai.usage.output_tokens": 2}, {"gen_ai.usage.output_tokens": 9}, {}], (None, 9)),
    ],
)
def test_tokens_that_only_an_event_of_the_span_has_are_the_spans(
    counts: list[dict[str, object]], expected: tuple[int | None, int]
) -> None:
    events = [SpanEvent("gen_ai.assistant.message", START_NS, {**c, "content": 1}) for c in counts]
    stated: dict[str, object] = {
        "gen_ai.operation.name": "process_thread_run",
        "gen_ai.system": "az.ai.agents",
    }
    found = event(stated, events=events)
    assert (found.get("input_tokens"), found["output_tokens"]) == expected
    assert reading_of(span(stated, events=events)).has_tokens
    own = event({**LATEST}, events=events)
    assert (own["input_tokens"], own["output_tokens"]) == (1000, 100)


def test_names_of_the_newest_conventions_are_read_and_distinguished() -> None:
    found = event(
        {
            **LATEST,
            "gen_ai.main_agent.name": "support-desk",
            "gen_ai.agent.name": "triage",
            "gen_ai.skill.name": "refunds",
            "gen_ai.usage.text.input_tokens": 900,
            "gen_ai.usage.image.input_tokens": 100,
        }
    )
    assert found["tags"] == {"semconv": "genai"}
    assert (found["workflow_name"], found["agent_name"]) == ("support-desk", "triage")
    assert (found["skill"], found["input_image_tokens"]) == ("refunds", 100)
    assert event({**LATEST, "gen_ai.workflow.name": "old"})["workflow_name"] == "old"


LANGFUSE = "langfuse.observation.cost_details"


@pytest.mark.parametrize(
    ("attribute", "value", "picos"),
    [
        ("gen_ai.usage.cost", 0.0123, 12_300_000_000),
        ("operation.cost", "0.000000000001", 1),
        ("llm.cost.total", 3, 3_000_000_000_000),
        ("gen_ai.usage.cost", 0.1 + 0.2, 300_000_000_000),
        ("gen_ai.usage.cost", 0, 0),
        ("gen_ai.cost.total_cost", 0.0123, 12_300_000_000),
        ("litellm.cost.total", 0.0123, 12_300_000_000),
        ("gen_ai.usage.total_cost", 0.0123, 12_300_000_000),
        (LANGFUSE, '{"input": 0.1, "output": 0.2, "total": 0.3}', 300_000_000_000),
        (LANGFUSE, '{"input": 0.1, "output": 0.2}', 300_000_000_000),
        *(
            (LANGFUSE, value, None)
            for value in (
                *("", "{}", "[1]", "7", '{"input": 0.1, "output": -1}', '{"total": NaN}'),
                *('{"a": 5000, "b": 5000}', '{"total": "much", "input": 1}', "[" * 4096, 0.1),
            )
        ),
        *(
            ("gen_ai.usage.cost", value, None)
            for value in (
                *(-0.1, float("nan"), float("inf"), "", "much", True, [1], 9001, "9" * 99),
                *("1_000", " 1", "1 ", "\uff11", "0x1", "-0.1", "."),
                "1e9999999",  # beyond what a decimal holds
            )
        ),
    ],
)
def test_a_cost_that_a_span_carries_is_kept_as_reported(
    attribute: str, value: object, picos: int | None
) -> None:
    found = event({**LATEST, attribute: value}, scope="openlit.openai")
    assert found.get("reported_cost_pico_usd") == picos
    assert found.get("reported_cost_source") == (None if picos is None else "openlit.openai")


@pytest.mark.parametrize(
    ("scope", "stream", "source"),
    [
        ("opentelemetry.instrumentation.anthropic", True, "missing"),
        # `messages.stream()` is a stream, but its span does not state it.
        ("opentelemetry.instrumentation.anthropic", None, "missing"),
        ("opentelemetry.instrumentation.anthropic", False, "provider"),
        ("openinference.instrumentation.anthropic", True, "provider"),
        ("opentelemetry.instrumentation.openai", True, "provider"),
    ],
)
def test_a_stream_whose_first_count_is_in_it_twice_is_not_the_whole_usage(
    scope: str, stream: bool | None, source: str
) -> None:
    found = event({**LATEST, "gen_ai.is_streaming": stream}, scope=scope)
    assert (found["output_tokens"], found["usage_source"]) == (100, source)


@pytest.mark.parametrize(
    ("scope", "provider", "tokens", "source"),
    [
        ("opentelemetry.instrumentation.openai_v2", "openai", 1023, "provider"),
        ("opentelemetry.instrumentation.openai_v2", "openai", 1024, "missing"),
        ("opentelemetry.instrumentation.openai_v2", "groq", 5, "missing"),
        # With opentelemetry-util-genai 1.1b0 the same package writes under a scope of that one.
        ("opentelemetry.util.genai.handler", "openai", 1023, "provider"),
        ("opentelemetry.util.genai.handler", "openai", 1024, "missing"),
        ("opentelemetry.util.genai.handler", "azure.ai.openai", 1024, "missing"),
        ("opentelemetry.util.genai.handler", "anthropic", 5000, "provider"),
        ("opentelemetry.instrumentation.genai.openai", "openai", 5000, "provider"),
    ],
)
def test_a_prompt_that_may_be_cached_is_no_whole_usage_where_nothing_tells_of_caches(
    scope: str, provider: str, tokens: int, source: str
) -> None:
    counts = {**LATEST, "gen_ai.provider.name": provider, "gen_ai.usage.input_tokens": tokens}
    assert event(counts, scope=scope)["usage_source"] == source
    cached = {**counts, "gen_ai.usage.cache_read.input_tokens": 0}
    assert event(cached, scope=scope)["usage_source"] == "provider"
