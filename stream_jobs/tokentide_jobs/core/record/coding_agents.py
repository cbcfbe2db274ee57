"""How each coding agent reports a call in a log record: Claude Code, Codex, Gemini CLI.

Names and shapes were read in the agents' own documentation and sources: Claude Code's page on
monitoring, codex-rs/otel, gemini-cli's telemetry. Counts become inclusive totals here, a cost stays
what the agent says. Invariant: nothing raises, whatever a record holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tokentide.semconv import Attributes
from tokentide.usage.gemini_grounding import UNSETTLED_TOKENS
from tokentide.usage.reading import finish_fields, label
from tokentide.usage.reported_cost import pico_usd, reported
from tokentide_schemas.fields import MAX_TOKENS

__all__ = ["READERS", "ReportedCall", "count_of", "number_of"]

_IDENTIFIER_CHARS: Final = 256
_NUMBER_CHARS: Final = 32
_MAX_RETRIES: Final = 1_000_000


class ReportedCall(NamedTuple):
    """What one record reports of a call.

    Attributes:
        tool: The agent.
        operation: What was called.
        provider: Who was called, where no other field names it.
        session: Its session.
        counts: Token counts, totals inclusive; None: not reported.
        more: Other fields of the event; None: not reported.
        tags: Tags of the event; None: not reported.
        failed: The call failed.
    """

    tool: str
    operation: str
    provider: str
    session: object
    counts: Mapping[str, int | None]
    more: Mapping[str, object]
    tags: Mapping[str, object]
    failed: bool


def _claude_code(name: str, of: Attributes) -> ReportedCall:
    """Read `claude_code.api_request` and `.api_error`: counts that leave both caches out."""
    read, written = count_of(of, "cache_read_tokens"), count_of(of, "cache_creation_tokens")
    uncached, model = count_of(of, "input_tokens"), label(of.get("model"), _IDENTIFIER_CHARS) or ""
    source = label(of.get("query_source"))
    agent = label(of.get("agent.name")) or _sub_agent(source)
    attempt = count_of(of, "attempt")
    return ReportedCall(
        tool="claude-code",
        operation="chat",
        provider=_host_of_claude(model),
        session=of.get("session.id"),
        counts={
            "input_tokens": None if uncached is None else uncached + (read or 0) + (written or 0),
            "output_tokens": count_of(of, "output_tokens"),
            "cache_read_tokens": None if uncached is None else read,
            "cache_write_tokens": None if uncached is None else written,
        },
        more={
            **_agents("claude-code", agent),
            **reported(pico_usd(of.get("cost_usd")), "claude-code"),
            "run_id": label(of.get("prompt.id"), _IDENTIFIER_CHARS),
            "skill": label(of.get("skill.name")),
            "mcp_server": label(of.get("mcp_server.name")),
            "tool_name": label(of.get("mcp_tool.name")),
            "reasoning_level": label(of.get("effort")),
            "speed": label(of.get("speed")),
            "retry_count": None if attempt is None else min(max(0, attempt - 1), _MAX_RETRIES),
        },
        tags={"query_source": source},
        failed=name.endswith("error"),
    )


def _codex(name: str, of: Attributes) -> ReportedCall | None:
    """Read `codex.sse_event` of a response that is complete: inclusive counts, most as text."""
    is_complete = name == "codex.sse_event" and of.get("event.kind") == "response.completed"
    failed = "error.message" in of
    if name == "codex.api_request":
        endpoint = label(of.get("endpoint"), _IDENTIFIER_CHARS) or "responses"
        failed = failed and endpoint.rstrip("/").endswith(("responses", "completions"))
    if not failed and not (is_complete and "input_token_count" in of):
        return None
    return ReportedCall(
        tool="codex",
        operation="chat",
        provider="openai",
        session=of.get("conversation.id"),
        counts={
            "input_tokens": count_of(of, "input_token_count"),
            "output_tokens": count_of(of, "output_token_count"),
            "cache_read_tokens": count_of(of, "cached_token_count"),
            "cache_write_tokens": count_of(of, "cache_write_token_count"),
            "reasoning_tokens": count_of(of, "reasoning_token_count"),
        },
        more={"reasoning_level": label(of.get("model_reasoning_effort"))},
        tags={"auth_mode": label(of.get("auth_mode"))},
        failed=failed,
    )


def _gemini_cli(name: str, of: Attributes) -> ReportedCall:
    """Read `gemini_cli.api_response` and `.api_error`: Gemini's counts, thoughts apart.

    Tokens of tools are those of pages, which are billed, or of searches, which are not. Which they
    are is not reported, so they stand apart.
    """
    inputs, outputs = count_of(of, "input_token_count"), count_of(of, "output_token_count")
    thoughts, total = count_of(of, "thoughts_token_count"), count_of(of, "total_token_count") or 0
    of_tools = count_of(of, "tool_token_count")
    if outputs is not None:
        # The total decides where it says more than the parts.
        outputs = max(outputs + (thoughts or 0), total - (inputs or 0) - (of_tools or 0))
    role, auth = label(of.get("role")), label(of.get("auth_type"))
    return ReportedCall(
        tool="gemini-cli",
        operation="generate_content",
        provider="gcp.vertex_ai" if auth == "vertex-ai" else "gcp.gemini",
        session=of.get("session.id"),
        counts={
            "input_tokens": inputs,
            "output_tokens": outputs,
            "cache_read_tokens": count_of(of, "cached_content_token_count"),
            "reasoning_tokens": thoughts,
        },
        more={
            **_agents("gemini-cli", "subagent" if role == "subagent" else None),
            **_finish(of.get("finish_reasons")),
            "run_id": label(of.get("prompt_id"), _IDENTIFIER_CHARS),
            "other_units": {UNSETTLED_TOKENS: of_tools} if of_tools else None,
        },
        tags={"role": role, "auth_type": auth},
        failed=name.endswith("error"),
    )


READERS: Final[Mapping[str, Callable[[str, Attributes], ReportedCall | None]]] = {
    "claude_code.api_request": _claude_code,
    "claude_code.api_error": _claude_code,
    "codex.sse_event": _codex,
    "codex.api_request": _codex,
    "gemini_cli.api_response": _gemini_cli,
    "gemini_cli.api_error": _gemini_cli,
}
"""Readers by the name of the event."""


def _host_of_claude(model: str) -> str:
    """Return who serves a model, which only its name tells: each host has its own spelling."""
    if "anthropic." in model or model.startswith("arn:"):
        return "aws.bedrock"
    return "gcp.vertex_ai" if "@" in model else "anthropic"


def number_of(value: object) -> float | None:
    """Return a number from 0 on, which some versions write as text; None for all else."""
    if type(value) is str and len(value) <= _NUMBER_CHARS:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None


def count_of(of: Attributes, name: str) -> int | None:
    """Return a count of tokens; None: the record has none, or what is none."""
    number = number_of(of.get(name))
    if number is None or not number.is_integer() or number > MAX_TOKENS:
        return None
    return int(number)


def _sub_agent(source: str | None) -> str | None:
    """Return the name in `agent:builtin:Explore`; every other source is the agent itself."""
    if source is None or not source.startswith("agent:"):
        return "subagent" if source == "subagent" else None
    kind, _colon, name = source.removeprefix("agent:").partition(":")
    return name or kind or None


def _agents(tool: str, sub_agent: str | None) -> dict[str, object]:
    return {"agent_name": sub_agent or tool, "parent_agent_name": tool if sub_agent else None}


def _finish(reasons: object) -> dict[str, object]:
    return dict(finish_fields(reasons)) if isinstance(reasons, list) else {}
