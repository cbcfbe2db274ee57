"""Log records in which a coding agent reports a call of a model, turned into events.

Claude Code, Codex and Gemini CLI report each call as one OTLP log record. Users become keyed
hashes, and so does every name that holds an e-mail address. Invariants: no prompt, answer, path or
text of an error is looked at, and no e-mail address for anything but its hash; the same record
always has the same `event_id`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tokentide.failures import error_type_of
from tokentide.semconv import Attributes, provider_of, table_fields, uuid_of
from tokentide.usage.reading import label, usage_fields
from tokentide_jobs.core.record.coding_agents import READERS, ReportedCall, count_of, number_of
from tokentide_schemas.fields import MAX_DURATION_MS, MAX_EPOCH_US, MAX_TOKENS

__all__ = ["HashUser", "LogData", "event_of_log", "no_user_hash"]

HashUser = Callable[[str], str | None]
"""Returns what stands for a user, None when nothing may."""

_IDENTIFIER_CHARS: Final = 256
_OF_RESOURCE: Final = frozenset(
    {
        "environment", "feature", "host", "key_id", "pid", "run_id", "service", "team", "tenant",
        "user_hash",
    }
)  # fmt: skip
"""Fields that the process around a record fills; the rest of a call is in the record. Its region is
where the agent runs, not where the model does."""
_TOTALS: Final = frozenset({"input_tokens", "output_tokens"})
_COUNT_ENDS: Final = ("_tokens", "_token_count")
"""How the agents' names of token counts end."""
_USERS: Final = ("user.email", "user.account_uuid", "user.account_id", "user.id", "installation.id")
"""Who worked, the best first: only an e-mail address is the same in every agent."""


_ADDRESS: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}\.[^\W\d_]{2,}")
"""An e-mail address, wherever it stands in a name."""
_NAMES: Final = (
    "agent_name", "parent_agent_name", "conversation_id", "run_id", "skill", "mcp_server",
    "tool_name",
)  # fmt: skip
"""What people or their tools name freely."""


def no_user_hash(_user: str) -> None:
    """Stand for no user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogData:
    """A log record.

    Attributes:
        name: Its event name.
        body: Its text; looked at only as another place for the name.
        attributes: Texts, numbers, booleans and sequences of them.
        time_ns: When it was written, epoch ns; 0: not reported.
        observed_ns: When it was collected, epoch ns.
        trace_id: 32 lower-case hex digits, or "".
        span_id: 16 lower-case hex digits, or "".
        resource: Attributes of the process.
        scope_version: Version of what wrote it.
    """

    name: str = ""
    body: str = ""
    attributes: Attributes = field(default_factory=dict)
    time_ns: int = 0
    observed_ns: int = 0
    trace_id: str = ""
    span_id: str = ""
    resource: Attributes = field(default_factory=dict)
    scope_version: str = ""


def event_of_log(log: LogData, hash_user: HashUser = no_user_hash) -> dict[str, Any] | None:
    """Return the `request` event of a record that reports a call, None for every other record.

    The event satisfies the contract, but for `service` where the resource names none.
    """
    named = (log.attributes.get("event.name"), log.name, log.body)
    name = next((text for text in named if type(text) is str and text in READERS), None)
    call = READERS[name](name, log.attributes) if name is not None else None
    if name is None or call is None:
        return None
    attributes = log.attributes
    duration_ms = min(number_of(attributes.get("duration_ms")) or 0.0, MAX_DURATION_MS)
    ended_ns = _ended_ns(log)
    started_ns = max(0, ended_ns - round(duration_ms * 1e6))
    version = label(attributes.get("app.version")) or label(log.scope_version)
    ttft_ms = number_of(attributes.get("ttft_ms"))
    event: dict[str, Any] = {
        "type": "request",
        "event_id": uuid_of(_identity(log, call, name), started_ns),
        "started_at_us": min(started_ns // 1000, MAX_EPOCH_US),
        "duration_ms": duration_ms,
        "ttft_ms": ttft_ms if ttft_ms is not None and ttft_ms <= duration_ms else None,
        "operation": call.operation,
        "provider": provider_of(log.resource) or call.provider,
        "request_model": label(attributes.get("model"), _IDENTIFIER_CHARS) or "unknown",
        "status": "ok",
        "sdk_name": call.tool,
        "sdk_version": version,
        "agent_name": call.tool,
        "agent_version": version,
        "conversation_id": label(call.session, _IDENTIFIER_CHARS),
        "trace_id": log.trace_id or None,
        "span_id": log.span_id or None,
        "tags": {"semconv": call.tool, **{k: v for k, v in call.tags.items() if v is not None}},
        **call.more,
        **_around(log),
        **usage_fields(
            {name: n for name, n in call.counts.items() if n is not None and n <= MAX_TOKENS}
        ),
    }
    if call.failed:
        event |= _failure(attributes)
    elif not _TOTALS.issubset(event) or _has_unusable_count(attributes):
        event["usage_source"] = "missing"  # what is left of the counts is a lower bound
    if "user_hash" not in event and (user := _user(attributes)):
        event["user_hash"] = hash_user(user)
    for name in _NAMES:
        event[name] = _without_address(event.get(name), hash_user)
    tags = {name: _without_address(text, hash_user) for name, text in event["tags"].items()}
    event["tags"] = {name: text for name, text in tags.items() if text is not None}
    return {name: value for name, value in event.items() if value is not None}


def _without_address(name: object, hash_user: HashUser) -> object:
    """Return a name, or what stands for one that holds an e-mail address: as for a user's id."""
    holds_one = isinstance(name, str) and _ADDRESS.search(name)
    return hash_user(name) if holds_one and isinstance(name, str) else name


def _identity(log: LogData, call: ReportedCall, name: str) -> str:
    """Return what makes a record itself: its session and its number or time, and its counts.

    A session that is resumed may count from the beginning, and Codex and Gemini CLI number nothing:
    so the agent's own time and the counts are part of it.
    """
    of = log.attributes
    parts = (
        name, call.session, of.get("event.sequence"), of.get("event.timestamp") or log.time_ns,
        of.get("request_id"), of.get("prompt_id"), *call.counts.values(),
    )  # fmt: skip
    return "\x1f".join(map(str, parts))


def _ended_ns(log: LogData) -> int:
    """Return when a record was written; Codex has it in an attribute alone."""
    if log.time_ns:
        return log.time_ns
    try:
        stated = datetime.fromisoformat(str(log.attributes.get("event.timestamp")))
        return round(stated.timestamp() * 1e6) * 1000 if stated.tzinfo else log.observed_ns
    except (ValueError, OverflowError):
        return log.observed_ns


def _around(log: LogData) -> dict[str, object]:
    """Return what resource and record say under names that are no agent's."""
    own = {name: v for name, v in log.attributes.items() if name.startswith("tokentide.")}
    found = {**table_fields(log.resource), **table_fields(own)}
    return {name: value for name, value in found.items() if name in _OF_RESOURCE}


def _failure(of: Attributes) -> dict[str, object]:
    """Return status and kind of a call that failed; the error's text is not read."""
    stated = next((of[n] for n in ("status_code", "http.response.status_code") if n in of), None)
    status = number_of(stated)
    http_status = int(status) if status is not None and 100 <= status <= 599 else None
    code = label(of.get("error_type")) or label(of.get("error.type")) or ""
    return {
        "status": "error",
        "error_type": error_type_of(code, http_status) or "unknown",
        "http_status": http_status if http_status is None or http_status >= 400 else None,
    }


def _has_unusable_count(of: Attributes) -> bool:
    """Tell whether a record states a count that is none: negative, out of range, no number."""
    return any(name.endswith(_COUNT_ENDS) and count_of(of, name) is None for name in of)


def _user(of: Attributes) -> str | None:
    user = next((text for name in _USERS if (text := label(of.get(name), _IDENTIFIER_CHARS))), None)
    return user.strip().lower() if user and "@" in user else user
