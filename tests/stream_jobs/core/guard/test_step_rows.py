"""Steps as rows: every request of a run once, in order, and read again as the same steps."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tokentide_jobs.core.decode.columns import COLUMNS, storage_schema
from tokentide_jobs.core.guard.step_rows import STEPS_SCHEMA, step_rows, steps_of
from tokentide_jobs.core.guard.steps import RunKey, Step, fingerprint


def requests(*rows: dict[str, Any]) -> pl.DataFrame:
    empty = {column.name: column.empty for column in COLUMNS["request"]}
    filled = [empty | {"cost_pico_usd": None} | row for row in rows]
    return pl.DataFrame(filled, schema=storage_schema("request") | {"cost_pico_usd": pl.Int64()})


def steps(*rows: dict[str, Any]) -> list[Step]:
    return list(steps_of(step_rows(requests(*rows)).to_arrow()))


def test_a_step_says_what_the_guard_asks() -> None:
    [step] = steps(
        {
            "tenant": "acme", "run_id": "r", "conversation_id": "c", "started_at_us": 9,
            "agent_name": "critic", "user_hash": "u", "cost_pico_usd": 5, "input_tokens": 100,
            "output_tokens": 3, "status": "error", "tool_name": "search",
            "prompt_name": "an answer", "prompt_version": "v 2", "service": "desk",
            "environment": "staging", "request_model": "opus", "response_model": "opus-4-6",
        }
    )  # fmt: skip
    print_ = fingerprint("critic", "an answer v 2", "search", 100)
    assert step == Step(
        RunKey("acme", "r"), 9, "critic", "u", 5, 103, 1, 1, "search", print_,
        service="desk", environment="staging", model="opus-4-6",
        prompt_name="an answer", prompt_version="v 2", input_tokens=100,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "run"),
    [
        ({"run_id": "r", "conversation_id": "c", "trace_id": "t"}, "r"),
        ({"conversation_id": "c", "trace_id": "t"}, "c"),
        ({"trace_id": "t"}, "t"),
    ],
)
def test_the_run_is_the_one_named_else_the_conversation_else_the_trace(
    fields: dict[str, str], run: str
) -> None:
    assert [step.key.run for step in steps(fields, {})] == [run]


def test_sizes_say_nothing_where_no_text_came_back() -> None:
    embedding = {"run_id": "r", "input_tokens": 7, "output_tokens": None}
    silent = {"run_id": "r", "input_tokens": 7, "output_tokens": 0}
    unreported = {"run_id": "r"}
    found = steps(embedding, silent, unreported)
    assert [(step.fingerprint, step.cost_pico_usd) for step in found] == [(0, 0)] * 3
    assert [step.tokens for step in found] == [7, 7, 0]


def test_steps_stand_in_order_of_event_time_then_of_the_log() -> None:
    rows = [{"run_id": f"r{place}", "started_at_us": at} for place, at in enumerate((5, 3, 5, 1))]
    assert [step.key.run for step in steps(*rows)] == ["r3", "r1", "r0", "r2"]


def test_requests_without_a_run_are_no_steps() -> None:
    assert step_rows(requests({}, {})).schema == STEPS_SCHEMA
    assert steps({}, {}) == []
    assert step_rows(pl.DataFrame()).schema == STEPS_SCHEMA
