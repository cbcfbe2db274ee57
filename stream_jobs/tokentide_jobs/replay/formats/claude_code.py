"""Claude Code agent sessions: models, tokens, latency, stop reasons and sub-agents as recorded.

`cache_read_tokens_sim` was derived by its authors from prefix overlap; what a call wrote to the
cache is derived here from what the next call of the same session reads. When a session began is
not in the file, so starts are spread over a span by a seeded draw.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from tokentide_jobs.replay.formats.trace import RecordedCall, Source, bad_line, number_of, open_text

__all__ = ["COLUMNS", "JOINED", "RECORDED", "SOURCE", "read"]

COLUMNS = (
    "session",
    "agent",
    "subagent_type",
    "seq",
    "t_s",
    "req_type",
    "model",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens_sim",
    "stop",
    "ttft_s",
    "api_time_s",
    "think_time_s",
    "input_types",
    "output_types",
)
SOURCE = Source(
    "Claude Code agent sessions (kv-cache-tester)",
    "Apache-2.0",
    "https://github.com/callanjfox/kv-cache-tester",
)
RECORDED = (
    "agent sessions: spacing, model, tokens, duration, time to first token, stop reason, tool use, "
    "sub-agent (Claude Code sessions)",
)
JOINED = (
    "start of each agent session: drawn evenly over the span",
    "cache reads of agent calls: derived from prefix overlap by the data's authors; "
    "cache writes: from what the session's next call reads",
)

_SPAN_S = 24 * 3600.0
"""Starts are spread over a day when the file is replayed alone: 28 sessions an hour."""


def read(path: Path, seed: int, span_s: float | None = None) -> Iterator[RecordedCall]:
    """Yield the calls of all sessions in order of time.

    Args:
        path: The CSV file, plain or gzipped.
        seed: Decides when sessions start.
        span_s: Spread starts over this many seconds and leave out calls beyond it; None: over a
            day, and keep every call.

    Raises:
        ConfigError: A line cannot be read; file and line are named.
    """
    draw = random.Random(f"{seed}:session-starts")  # noqa: S311 - a simulation, not a secret
    sessions: dict[str, list[RecordedCall]] = {}
    name = str(path)
    with open_text(path) as file:
        rows = csv.reader(file)
        next(rows, None)
        for row in rows:
            call = _call_of(row, name, rows.line_num)
            sessions.setdefault(call.lane, []).append(call)
    calls: list[RecordedCall] = []
    for session in sessions.values():
        _derive_cache_writes(session)
        start_s = draw.random() * (span_s or _SPAN_S)
        for call in session:
            call.at_s += start_s
            if span_s is None or call.at_s < span_s:
                calls.append(call)
    calls.sort(key=lambda call: call.at_s)
    return iter(calls)


def _call_of(row: list[str], name: str, line: int) -> RecordedCall:
    if len(row) != len(COLUMNS):
        raise bad_line(name, line, f"{len(row)} columns: expected {len(COLUMNS)}")
    cell = dict(zip(COLUMNS, row, strict=True))

    def whole(column: str) -> int:
        return int(number_of(cell[column], column, name, line))

    def optional(column: str) -> float | None:
        return number_of(cell[column], column, name, line) if cell[column] else None

    outputs = cell["output_types"].split("|")
    if cell["req_type"] not in ("n", "s"):
        raise bad_line(name, line, f"req_type is {cell['req_type']!r}: expected n or s")
    input_tokens, cache_read = whole("input_tokens"), whole("cache_read_tokens_sim")
    if cache_read > input_tokens:
        problem = f"cache_read_tokens_sim {cache_read} exceeds input_tokens {input_tokens}"
        raise bad_line(name, line, problem)
    session, agent = cell["session"], cell["agent"]
    return RecordedCall(
        at_s=number_of(cell["t_s"], "t_s", name, line),
        kind="agent",
        input_tokens=input_tokens,
        output_tokens=whole("output_tokens"),
        lane=session,
        model=cell["model"],
        agent=cell["subagent_type"],
        run=f"{session}/{agent}" if agent else session,
        parent_run=session if agent else "",
        cache_read_tokens=cache_read,
        duration_s=optional("api_time_s"),
        ttft_s=optional("ttft_s"),
        is_stream=cell["req_type"] == "s",
        stop=cell["stop"],
        tool_calls=outputs.count("tool_use") if cell["output_types"] else None,
    )


def _derive_cache_writes(session: list[RecordedCall]) -> None:
    """Set what each call wrote: the prefix that the next one reads and this one did not."""
    following = [call.cache_read_tokens or 0 for call in session[1:]] + [0]
    for call, next_read in zip(session, following, strict=True):
        read_now = call.cache_read_tokens or 0
        call.cache_write_tokens = min(max(0, next_read - read_now), call.input_tokens - read_now)
