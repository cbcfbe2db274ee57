"""Log records as coding agents write them: their names, their types, their envelopes.

Shapes are those of Claude Code's page on monitoring, codex-rs/otel and gemini-cli's telemetry.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.otlp_requests import attributes

CLAUDE_CODE = {
    "resource": {"service.name": "claude-code", "service.version": "2.1.283", "os.type": "darwin"},
    "scope": {"name": "com.anthropic.claude_code.events", "version": "2.1.283"},
}
CODEX = {
    "resource": {"service.name": "codex_cli_rs", "service.version": "0.154.0", "env": "dev"},
    "scope": {"name": "codex_otel.log_only"},
}
GEMINI_CLI = {
    "resource": {"service.name": "gemini-cli", "service.version": "0.34.0"},
    "scope": {"name": "gemini-cli"},
}


def iso(time_ns: int) -> str:
    """Return an agent's own time: ISO 8601 in milliseconds."""
    at = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def claude_code_call(time_ns: int, **more: object) -> dict[str, Any]:
    """`claude_code.api_request`: numbers are numbers, booleans are texts."""
    held = {
        "user.id": "6f1d6c0f9a", "session.id": "8d0f6f0e-0000-4000-8000-000000000001",
        "organization.id": "0ab1-org", "user.email": "Ann@Example.org",
        "user.account_uuid": "5b1e-account", "terminal.type": "iTerm.app",
        "event.name": "api_request", "event.timestamp": iso(time_ns), "event.sequence": 7,
        "prompt.id": "1f0c2a-prompt", "model": "claude-sonnet-4-5-20250929",
        "input_tokens": 12, "output_tokens": 345, "cache_read_tokens": 20_000,
        "cache_creation_tokens": 1_500, "cost_usd": 0.016836, "duration_ms": 4200,
        "ttft_ms": 900, "request_id": "req_011CX", "speed": "normal", "effort": "high",
        "query_source": "repl_main_thread", **more,
    }  # fmt: skip
    return {
        "timeUnixNano": str(time_ns),
        "observedTimeUnixNano": str(time_ns),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": attributes(**held),
    }


def codex_call(time_ns: int, **more: object) -> dict[str, Any]:
    """`codex.sse_event` of a complete response: no time but the agent's, most counts are texts."""
    held = {
        "event.name": "codex.sse_event", "event.kind": "response.completed",
        "input_token_count": "13000", "output_token_count": "420", "cached_token_count": 12_288,
        "cache_write_token_count": 0, "reasoning_token_count": 256, "tool_token_count": "13420",
        "event.timestamp": iso(time_ns), "conversation.id": "019e6374-fdf3-7ff2-96bf-81a5fbccd716",
        "app.version": "0.154.0", "auth_mode": "ApiKey", "originator": "codex_cli_rs",
        "user.account_id": "acct-1", "user.email": "ann@example.org", "terminal.type": "xterm",
        "model": "gpt-5-codex", "slug": "gpt-5-codex", **more,
    }  # fmt: skip
    return {
        "observedTimeUnixNano": str(time_ns + 1_000_000),
        "severityNumber": 9,
        "severityText": "INFO",
        "attributes": attributes(**held),
    }


def gemini_cli_call(time_ns: int, **more: object) -> dict[str, Any]:
    """`gemini_cli.api_response`: thoughts and tool use stand beside the counts."""
    held = {
        "session.id": "c0ffee00-0000-4000-8000-000000000003", "installation.id": "install-9",
        "interactive": True, "user.email": "ann@example.org", "auth_type": "gemini-api-key",
        "event.name": "gemini_cli.api_response", "event.timestamp": iso(time_ns),
        "model": "gemini-2.5-pro", "duration_ms": 8_300, "input_token_count": 9_000,
        "output_token_count": 310, "cached_content_token_count": 4_096,
        "thoughts_token_count": 700, "tool_token_count": 50, "total_token_count": 10_060,
        "prompt_id": "c0ffee00########4", "status_code": 200, "http.status_code": 200,
        "finish_reasons": ["stop"], "role": "main", **more,
    }  # fmt: skip
    return {
        "timeUnixNano": str(time_ns),
        "observedTimeUnixNano": str(time_ns),
        "body": {"stringValue": "API response from gemini-2.5-pro. Status: 200. Duration: 8300ms."},
        "attributes": attributes(**held),
    }


def logs_request(
    agent: dict[str, Any], records: list[dict[str, Any]], **resource: object
) -> dict[str, Any]:
    """One ExportLogsServiceRequest of an agent."""
    around = {"attributes": attributes(**agent["resource"], **resource)}
    scope_logs = [{"scope": agent["scope"], "logRecords": records}]
    return {"resourceLogs": [{"resource": around, "scopeLogs": scope_logs}]}


def encoded(*requests: dict[str, Any]) -> bytes:
    """Return the value of a Kafka record: requests of several agents, as a Collector joins them."""
    return json.dumps(
        {"resourceLogs": [group for request in requests for group in request["resourceLogs"]]}
    ).encode()
