"""Spans that report one call, or the sum of others, leave one call of a record."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.each import each
from tests.otlp_requests import attributes
from tests.stream_jobs.core.record.test_otlp import chat, events, request
from tokentide_jobs.core.record.otlp import read_otlp


def test_a_framework_and_its_client_tell_of_one_call() -> None:
    twice = request(
        ("ChatOpenAI", chat(), ""), ("step", [], f"{1:016x}"), ("openai.chat", chat(), f"{2:016x}")
    )
    read = read_otlp(twice.encode())
    assert [orjson.loads(line)["span_id"] for line in read.lines] == [f"{3:016x}"]
    assert read.ignored == {"spans": 1, "repeated_calls": 1}
    other = request(
        ("a", chat(), ""), ("b", chat(**{"gen_ai.usage.output_tokens": 5}), f"{1:016x}")
    )
    assert len(events(other.encode())) == 2


def test_a_call_by_its_tokens_alone_may_be_the_sum_of_the_calls_inside_it() -> None:
    total = {"gen_ai.operation.name": "research", "gen_ai.usage.input_tokens": 2000}
    inside = f"{1:016x}"
    summed = request(("research", chat(**total), ""), ("a", chat(), inside), ("b", chat(), inside))
    read = read_otlp(summed.encode())
    assert [orjson.loads(line)["operation"] for line in read.lines] == ["chat", "chat"]
    assert read.ignored == {"repeated_calls": 1}
    alone = request(("research", chat(**total), ""), ("GET", [], inside))
    assert [event["operation"] for event in events(alone.encode())] == ["research"]


@pytest.mark.parametrize("address", ["api.openai.com", "agents.internal"])
def test_a_remote_agent_counts_unless_a_call_inside_it_is_in_the_record(address: str) -> None:
    remote = chat(**{"gen_ai.operation.name": "invoke_agent", "server.address": address})
    alone = request(("agent", remote, ""))
    assert [event["operation"] for event in events(alone.encode())] == ["invoke_agent"]
    cheap = chat(**{"gen_ai.usage.input_tokens": 7})
    with_inner = request(("agent", remote, ""), ("chat", cheap, f"{1:016x}"))
    assert [event["operation"] for event in events(with_inner.encode())] == ["chat"]


def test_spans_that_are_each_others_parents_or_one_span_twice_leave_one_call() -> None:
    looped = request(("a", chat(), f"{2:016x}"), ("b", chat(), f"{1:016x}"))
    assert len(events(looped.encode())) == 1
    looped.spans[1]["spanId"] = looped.spans[0]["spanId"]
    assert len(events(looped.encode())) == 1


def test_three_spans_around_one_call_leave_the_innermost() -> None:
    nested = [("a", chat(), ""), ("b", chat(), f"{1:016x}"), ("c", chat(), f"{2:016x}")]
    [event] = events(request(*nested).encode())
    assert event["span_id"] == f"{3:016x}"


def tokens(read: int | None, written: int | None) -> list[dict[str, Any]]:
    used = {"gen_ai.usage.input_tokens": read, "gen_ai.usage.output_tokens": written}
    held = [one for one in chat() if one["key"] not in used]
    return held + attributes(**{name: count for name, count in used.items() if count is not None})


OUTER, INNER = f"{1:016x}", f"{2:016x}"


@each(
    ("spans", "kept"),
    [
        ([(30, 15, ""), (10, 5, OUTER), (20, 10, OUTER)], [2, 3]),
        ([(60, 30, ""), (30, 15, OUTER), (10, 5, INNER), (20, 10, INNER), (30, 15, OUTER)],
         [3, 4, 5]),
        ([(31, 15, ""), (10, 5, OUTER), (20, 10, OUTER)], [1, 2, 3]),
        ([(30, 15, ""), (10, 5, OUTER), (20, None, OUTER)], [1, 2, 3]),
        ([(30, 15, ""), (30, None, OUTER)], [1]),
        ([(30, None, ""), (30, 15, OUTER)], [2]),
        ([(None, 15, ""), (30, 15, OUTER)], [2]),
        ([(30, None, ""), (None, 15, OUTER)], [1, 2]),
        ([(0, 15, ""), (0, None, OUTER)], [1, 2]),
    ],
)  # fmt: skip
def test_a_call_that_sums_up_or_repeats_others_in_part_is_left_out(
    spans: list[tuple[int | None, int | None, str]], kept: list[int]
) -> None:
    made = request(*(("chat", tokens(read, written), above) for read, written, above in spans))
    read = read_otlp(made.encode())
    assert [int(orjson.loads(line)["span_id"], 16) for line in read.lines] == kept


def test_a_span_that_stands_twice_in_a_call_makes_no_sum() -> None:
    made = request(("a", tokens(20, 10), ""), ("b", tokens(10, 5), OUTER))
    made.spans.append(dict(made.spans[1]))
    assert [event["input_tokens"] for event in events(made.encode())] == [20, 10]
