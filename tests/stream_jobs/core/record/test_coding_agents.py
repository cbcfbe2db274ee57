"""Log records of coding agents: each call is one event, everything else is left out."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import orjson
import pytest

from tests.coding_agents import (
    CLAUDE_CODE,
    CODEX,
    GEMINI_CLI,
    claude_code_call,
    codex_call,
    encoded,
    gemini_cli_call,
    logs_request,
)
from tests.golden.pricing import priced
from tests.otlp_requests import attributes
from tokentide_jobs.core.record.contents import events_in, readable
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_jobs.core.record.record import Record
from tokentide_schemas.events import EVENT_ADAPTER, RequestEvent

TOPIC = "tokentide.otlp.v1"
TIME_NS = 1_790_000_000_123_000_000


def hashed(user: str) -> str:
    return f"k1:{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def event_of(agent: dict[str, Any], record: dict[str, Any], **resource: object) -> dict[str, Any]:
    read = read_otlp(encoded(logs_request(agent, [record], **resource)), hashed)
    assert read.fault is None
    [line] = read.lines
    accepted = EVENT_ADAPTER.validate_json(line)
    assert isinstance(accepted, RequestEvent)
    event: dict[str, Any] = orjson.loads(line)
    assert b"xample.org" not in line
    return event


def test_a_call_of_claude_code_is_an_event_with_its_own_cost_beside() -> None:
    event = event_of(CLAUDE_CODE, claude_code_call(TIME_NS))
    assert uuid.UUID(event.pop("event_id")).version == 7
    assert event == {
        "type": "request",
        "started_at_us": TIME_NS // 1000 - 4_200_000,
        "duration_ms": 4200.0,
        "ttft_ms": 900.0,
        "operation": "chat",
        "provider": "anthropic",
        "request_model": "claude-sonnet-4-5-20250929",
        "status": "ok",
        "service": "claude-code",
        "sdk_name": "claude-code",
        "sdk_version": "2.1.283",
        "agent_name": "claude-code",
        "agent_version": "2.1.283",
        "conversation_id": "8d0f6f0e-0000-4000-8000-000000000001",
        "run_id": "1f0c2a-prompt",
        "tags": {"semconv": "claude-code", "query_source": "repl_main_thread"},
        "reasoning_level": "high",
        "speed": "normal",
        "input_tokens": 12 + 20_000 + 1_500,
        "output_tokens": 345,
        "cache_read_tokens": 20_000,
        "cache_write_tokens": 1_500,
        "usage_source": "provider",
        "reported_cost_pico_usd": 16_836_000_000,
        "reported_cost_source": "claude-code",
        "user_hash": hashed("ann@example.org"),
    }


def test_a_complete_response_of_codex_is_an_event() -> None:
    event = event_of(CODEX, codex_call(TIME_NS))
    del event["event_id"]
    assert event == {
        "type": "request",
        "started_at_us": TIME_NS // 1000,
        "duration_ms": 0.0,
        "operation": "chat",
        "provider": "openai",
        "request_model": "gpt-5-codex",
        "status": "ok",
        "service": "codex_cli_rs",
        "sdk_name": "codex",
        "sdk_version": "0.154.0",
        "agent_name": "codex",
        "agent_version": "0.154.0",
        "conversation_id": "019e6374-fdf3-7ff2-96bf-81a5fbccd716",
        "tags": {"semconv": "codex", "auth_mode": "ApiKey"},
        "input_tokens": 13_000,
        "output_tokens": 420,
        "cache_read_tokens": 12_288,
        "cache_write_tokens": 0,
        "reasoning_tokens": 256,
        "usage_source": "provider",
        "user_hash": hashed("ann@example.org"),
    }


def test_a_response_to_gemini_cli_is_an_event_whose_output_holds_its_thoughts() -> None:
    event = event_of(GEMINI_CLI, gemini_cli_call(TIME_NS))
    del event["event_id"]
    assert event == {
        "type": "request",
        "started_at_us": TIME_NS // 1000 - 8_300_000,
        "duration_ms": 8300.0,
        "operation": "generate_content",
        "provider": "gcp.gemini",
        "request_model": "gemini-2.5-pro",
        "status": "ok",
        "service": "gemini-cli",
        "sdk_name": "gemini-cli",
        "agent_name": "gemini-cli",
        "conversation_id": "c0ffee00-0000-4000-8000-000000000003",
        "run_id": "c0ffee00########4",
        "tags": {"semconv": "gemini-cli", "role": "main", "auth_type": "gemini-api-key"},
        "finish_reasons": ["stop"],
        "input_tokens": 9_000,
        "output_tokens": 1_010,
        "cache_read_tokens": 4_096,
        "reasoning_tokens": 700,
        "other_units": {"tool_result_tokens": 50},
        "usage_source": "provider",
        "user_hash": hashed("ann@example.org"),
    }


def test_versions_that_write_numbers_as_text_are_read_the_same() -> None:
    numbers = {"input_tokens": "12", "cache_read_tokens": "20000", "cost_usd": "0.016836",
               "duration_ms": "4200", "event.sequence": "7"}  # fmt: skip
    one, other = (event_of(CLAUDE_CODE, claude_code_call(TIME_NS, **m)) for m in ({}, numbers))
    assert one == other


def test_the_total_decides_where_it_says_more_than_the_parts() -> None:
    event = event_of(GEMINI_CLI, gemini_cli_call(TIME_NS, thoughts_token_count=0))
    assert (event["input_tokens"], event["output_tokens"]) == (9_000, 1_010)


@pytest.mark.parametrize(
    ("more", "agent", "parent"),
    [
        ({"agent.name": "Explore", "query_source": "subagent"}, "Explore", "claude-code"),
        ({"query_source": "agent:builtin:general-purpose"}, "general-purpose", "claude-code"),
        ({"query_source": "agent:custom"}, "custom", "claude-code"),
        ({"query_source": "compact"}, "claude-code", None),
    ],
)
def test_a_sub_agent_is_named_and_who_started_it(
    more: dict[str, object], agent: str, parent: str | None
) -> None:
    event = event_of(CLAUDE_CODE, claude_code_call(TIME_NS, **more))
    assert (event["agent_name"], event.get("parent_agent_name")) == (agent, parent)
    gemini = event_of(GEMINI_CLI, gemini_cli_call(TIME_NS, role="subagent"))
    assert (gemini["agent_name"], gemini["parent_agent_name"]) == ("subagent", "gemini-cli")


ADDRESSES = ["ann@example.org", "bot of ann.lee+x@mail.example.co", "ünal@exämple.de's agent"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_in_a_name_is_hashed_as_a_user_is_or_left_out(address: str) -> None:
    named = {
        "agent.name": address, "session.id": address, "prompt.id": address, "skill.name": address,
        "mcp_server.name": address, "mcp_tool.name": address, "query_source": address,
    }  # fmt: skip
    fields = ("agent_name", "conversation_id", "run_id", "skill", "mcp_server", "tool_name")
    record = claude_code_call(TIME_NS, **named)
    event = event_of(CLAUDE_CODE, record)
    assert {event[name] for name in fields} == {event["tags"]["query_source"]} == {hashed(address)}
    [line] = read_otlp(encoded(logs_request(CLAUDE_CODE, [record]))).lines
    keyless = orjson.loads(line)
    assert not set(fields) & set(keyless)
    assert set(keyless["tags"]) == {"semconv"}
    assert b"ample" not in line
    assert keyless["event_id"] == event["event_id"]


def test_a_name_with_a_sign_that_is_no_address_stays() -> None:
    named = {"agent.name": "@scope/agent", "mcp_server.name": "npm:files@1.2.3"}
    event = event_of(CLAUDE_CODE, claude_code_call(TIME_NS, **named))
    assert (event["agent_name"], event["mcp_server"]) == ("@scope/agent", "npm:files@1.2.3")


@pytest.mark.parametrize(
    ("agent", "record", "provider"),
    [
        (CLAUDE_CODE, claude_code_call(TIME_NS, model="us.anthropic.claude-x-v1:0"), "aws.bedrock"),
        (CLAUDE_CODE, claude_code_call(TIME_NS, model="claude-x@20250929"), "gcp.vertex_ai"),
        (GEMINI_CLI, gemini_cli_call(TIME_NS, auth_type="vertex-ai"), "gcp.vertex_ai"),
    ],
)
def test_a_cloud_is_recognised_by_the_name_of_the_model_or_the_way_to_log_in(
    agent: dict[str, Any], record: dict[str, Any], provider: str
) -> None:
    assert event_of(agent, record)["provider"] == provider
    stated = event_of(agent, record, **{"gen_ai.provider.name": "az.ai.openai"})
    assert stated["provider"] == "azure.ai.openai"


def test_who_it_is_for_comes_from_the_resource() -> None:
    resource = {
        "tokentide.team": "search", "tokentide.tenant": "acme", "host.name": "mac-17",
        "deployment.environment.name": "laptops", "gen_ai.conversation.id": "not the session",
        "cloud.region": "eu-west-3",
    }  # fmt: skip
    event = event_of(CODEX, codex_call(TIME_NS), **resource)
    assert (event["team"], event["tenant"], event["host"]) == ("search", "acme", "mac-17")
    assert event["environment"] == "laptops"
    assert "region" not in event, "the agent runs there, not the model"
    assert event["conversation_id"].startswith("019e6374")


@pytest.mark.parametrize(
    ("agent", "record", "expected"),
    [
        (
            CLAUDE_CODE,
            claude_code_call(
                TIME_NS, **{"event.name": "api_error", "status_code": "529", "attempt": 3}
            ),
            ("error", "overloaded", 529, 2),
        ),
        (
            CODEX,
            codex_call(
                TIME_NS,
                **{
                    "event.name": "codex.api_request", "endpoint": "/responses", "event.kind": "",
                    "http.response.status_code": 429, "error.message": "too fast",
                },
            ),
            ("error", "rate_limit", 429, None),
        ),
        (
            GEMINI_CLI,
            gemini_cli_call(
                TIME_NS, **{"event.name": "gemini_cli.api_error", "status_code": 503}
            ),
            ("error", "overloaded", 503, None),
        ),
    ],
)  # fmt: skip
def test_a_call_that_failed_is_an_error(
    agent: dict[str, Any], record: dict[str, Any], expected: tuple[object, ...]
) -> None:
    body = {"claude_code.api_request": "claude_code.api_error"}
    event_name = record.get("body", {}).get("stringValue", "")
    record["body"] = {"stringValue": body.get(event_name, event_name)}
    event = event_of(agent, record)
    found = [event.get(n) for n in ("status", "error_type", "http_status", "retry_count")]
    assert tuple(found) == expected
    assert "too fast" not in json.dumps(event)


@pytest.mark.parametrize(
    "record",
    [
        claude_code_call(TIME_NS, **{"event.name": "tool_result"}) | {"body": {}},
        codex_call(TIME_NS, **{"event.kind": "response.output_text.delta"}),
        codex_call(TIME_NS, **{"event.name": "codex.api_request", "event.kind": ""}),
        codex_call(
            TIME_NS,
            **{"event.name": "codex.api_request", "endpoint": "/models", "error.message": "x"},
        ),
        gemini_cli_call(TIME_NS, **{"event.name": "gen_ai.client.inference.operation.details"}),
        {"body": {"stringValue": "an ordinary line"}},
        {},
    ],
)
def test_records_that_tell_of_no_call_are_counted(record: dict[str, Any]) -> None:
    value = encoded(logs_request(CLAUDE_CODE, [record]))
    read = read_otlp(value)
    assert (read.lines, read.ignored, read.fault) == ([], {"logs": 1}, None)
    assert events_in(TOPIC, value) == []


def test_the_same_record_is_the_same_event_and_others_are_others() -> None:
    records = [
        *(claude_code_call(TIME_NS, **{"event.sequence": n}) for n in range(3)),
        claude_code_call(TIME_NS + 1_000_000, **{"event.sequence": 0}),
        codex_call(TIME_NS),
        codex_call(TIME_NS, reasoning_token_count=255),
        gemini_cli_call(TIME_NS),
        gemini_cli_call(TIME_NS, prompt_id="c0ffee00########5"),
    ]
    value = encoded(logs_request(CLAUDE_CODE, records))
    ids = [orjson.loads(line)["event_id"] for line in read_otlp(value, hashed).lines]
    assert len(set(ids)) == len(records)
    again = read_otlp(encoded(logs_request(CLAUDE_CODE, [*records, *records])))
    assert [orjson.loads(line)["event_id"] for line in again.lines] == ids
    assert again.ignored == {"repeated_calls": len(records)}


def test_without_a_key_no_user_is_kept() -> None:
    value = encoded(
        logs_request(CLAUDE_CODE, [claude_code_call(TIME_NS)]),
        logs_request(CODEX, [codex_call(TIME_NS)]),
    )
    for line in read_otlp(value).lines:
        assert "user_hash" not in orjson.loads(line)
        assert b"example.org" not in line.lower()
    [record] = readable(TOPIC, [Record(0, 0, 0, value)], hashed).records
    assert record.value.count(hashed("ann@example.org").encode()) == 2


def test_a_user_without_an_address_is_its_account_and_one_that_is_hashed_stays() -> None:
    anonymous = claude_code_call(TIME_NS)
    anonymous["attributes"] = [a for a in anonymous["attributes"] if a["key"] != "user.email"]
    assert event_of(CLAUDE_CODE, anonymous)["user_hash"] == hashed("5b1e-account")
    own = claude_code_call(TIME_NS, **{"tokentide.user_hash": "2026:ab"})
    assert event_of(CLAUDE_CODE, own)["user_hash"] == "2026:ab"


@pytest.mark.parametrize("broken", [b"\\ud800", b"a\xffb"])
def test_a_text_that_cannot_be_decoded_costs_itself_and_no_other_record(broken: bytes) -> None:
    records = [
        claude_code_call(TIME_NS, **{"event.sequence": n, "model": f"m{n}"}) for n in range(4)
    ]
    value = encoded(logs_request(CLAUDE_CODE, records)).replace(b'"m2"', b'"' + broken + b'"')
    read = read_otlp(value)
    models = [orjson.loads(line)["request_model"] for line in read.lines]
    assert (models[:2], models[3]) == (["m0", "m1"], "m3")
    assert "\ufffd" in models[2]
    assert read.replaced_texts == 1


@pytest.mark.parametrize("value", [-1, 1 << 60, "x", 1.5, True, [1], "9" * 99, float("nan")])
@pytest.mark.parametrize("name", ["input_tokens", "cost_usd", "duration_ms", "ttft_ms", "attempt"])
def test_an_absurd_number_is_left_out(name: str, value: object) -> None:
    record = claude_code_call(TIME_NS)
    record["attributes"] += attributes(**{name: value})
    line = json.dumps(logs_request(CLAUDE_CODE, [record])).replace("NaN", "null").encode()
    [event] = read_otlp(line).lines
    EVENT_ADAPTER.validate_json(event)


@pytest.mark.parametrize("stated", ["", "yesterday", "2026-09-21T14:13:20", "+99999-01-01", 5])
def test_an_unreadable_time_falls_back_to_when_it_was_collected(stated: object) -> None:
    event = event_of(CODEX, codex_call(TIME_NS, **{"event.timestamp": stated}))
    assert event["started_at_us"] == TIME_NS // 1000 + 1_000


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cache_read_tokens"])
@pytest.mark.parametrize("value", [-5, "many", 100_000_001])
def test_counts_that_cannot_be_used_leave_a_lower_bound(name: str, value: object) -> None:
    assert event_of(CLAUDE_CODE, claude_code_call(TIME_NS))["usage_source"] == "provider"
    event = event_of(CLAUDE_CODE, claude_code_call(TIME_NS, **{name: value}))
    assert event["usage_source"] == "missing"


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_a_call_that_tells_one_total_alone_leaves_a_lower_bound(name: str) -> None:
    record = claude_code_call(TIME_NS)
    record["attributes"] = [one for one in record["attributes"] if one["key"] != name]
    assert event_of(CLAUDE_CODE, record)["usage_source"] == "missing"


def test_cache_writes_of_claude_code_are_not_priced_as_certain() -> None:
    row = priced(event_of(CLAUDE_CODE, claude_code_call(TIME_NS)))
    assert (row["price_status"], row["price_rule"][-23:]) == ("partial", "!cache_lifetime=unknown")
    row = priced(event_of(CLAUDE_CODE, claude_code_call(TIME_NS, cache_creation_tokens=0)))
    assert "cache_lifetime" not in row["price_rule"]
