"""The events that recorded workloads become: valid, ordered, varied, and true to the record."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from tests.sampling import share
from tokentide_jobs.replay import llmperf
from tokentide_jobs.replay.company import APPS, TENANTS, Weighted
from tokentide_jobs.replay.events import Events
from tokentide_jobs.replay.formats.trace import RecordedCall
from tokentide_jobs.replay.llmperf import Bursts, FailureRate
from tokentide_jobs.replay.packaged import DATA
from tokentide_jobs.replay.workload import Workload, prepare
from tokentide_schemas.events import EVENT_ADAPTER

Timed = list[tuple[float, dict[str, Any]]]
VOLATILE = {"event_id", "target_event_id"}


@cache
def workload() -> Workload:
    return prepare("mixed", seed=1)


@cache
def events() -> Timed:
    return list(workload().events())


def requests() -> list[dict[str, Any]]:
    return [event for _, event in events() if event["type"] == "request"]


def test_every_event_keeps_the_contract() -> None:
    for _, event in share(events(), 11):
        EVENT_ADAPTER.validate_python({**event, "started_at_us": 1})


def test_events_come_in_order_of_time_inside_the_span() -> None:
    assert all(a[0] <= b[0] for a, b in pairwise(events()))
    assert 0 <= events()[0][0] <= events()[-1][0] <= workload().span_s


def test_one_request_for_every_recorded_call_and_some_of_every_other_type() -> None:
    kinds = Counter(event["type"] for _, event in events())
    assert kinds["request"] == workload().requests > 20_000
    assert min(kinds["evaluation"], kinds["feedback"]) > 100
    assert kinds["change"] >= 5


def test_the_traffic_is_varied() -> None:
    for field, least in (("tenant", 6), ("service", 6), ("request_model", 12), ("provider", 5)):
        assert len({event[field] for event in requests()}) >= least, field
    statuses = {event["status"] for event in requests()}
    assert statuses >= {"ok", "error", "refused", "filtered", "abandoned", "cancelled"}
    reasons = {reason for event in requests() for reason in event.get("finish_reasons", ())}
    assert reasons >= {"stop", "length", "tool_call", "refusal", "content_filter"}
    assert any(event.get("cache_read_tokens") for event in requests())
    assert any(event.get("ttft_ms") for event in requests())
    assert any(event.get("retry_count") for event in requests())
    assert any(event.get("reasoning_tokens") for event in requests())


def test_every_hosted_model_has_a_list_price_and_the_self_hosted_one_has_none() -> None:
    for provider, model in {(event["provider"], event["request_model"]) for event in requests()}:
        if provider == "vllm":
            with pytest.raises(LookupError):
                calc_price(Usage(input_tokens=1), model, provider_id=provider)
        else:
            assert calc_price(Usage(input_tokens=10**6), model, provider_id=provider).total_price


def test_the_same_seed_gives_the_same_events_but_new_ids() -> None:
    first, second = (list(prepare("azure", seed=7, limit=2_000).events()) for _ in range(2))
    assert len(first) == len(second)
    for (at_a, a), (at_b, b) in zip(first, second, strict=True):
        assert at_a == at_b
        assert a["event_id"] != b["event_id"]
        assert {k: v for k, v in a.items() if k not in VOLATILE} == {
            k: v for k, v in b.items() if k not in VOLATILE
        }
    other = list(prepare("azure", seed=8, limit=2_000).events())
    assert [event.get("tenant") for _, event in other] != [e.get("tenant") for _, e in first]


def test_judgements_point_at_requests_that_went_before() -> None:
    seen: set[str] = set()
    for _, event in events():
        if event["type"] == "request":
            seen.add(event["event_id"])
        elif event["type"] in ("evaluation", "feedback"):
            assert event["target_event_id"] in seen


def test_recorded_values_of_agent_calls_are_sent_as_recorded() -> None:
    call = RecordedCall(
        1.0, "agent", 1_000, 50, lane="s1", model="claude-opus-4-6", cache_read_tokens=900,
        cache_write_tokens=50, duration_s=7.5, ttft_s=1.25, is_stream=True, stop="tool_use",
        tool_calls=2, agent="Explore", run="s1/agent_001", parent_run="s1",
    )  # fmt: skip
    measured = llmperf.load(DATA / "llmperf_2023.csv.gz")
    (event,) = [e for _, e in Events(1, 10.0, measured).of([call]) if e["type"] == "request"]
    assert event["duration_ms"] == 7_500.0
    assert event["ttft_ms"] == 1_250.0
    assert event["request_model"] == "claude-opus-4-6"
    assert (event["input_tokens"], event["cache_read_tokens"]) == (1_000, 900)
    assert (event["finish_reasons"], event["tool_calls_count"]) == (["tool_call"], 2)
    assert event["status"] == "ok"
    assert (event["run_id"], event["parent_run_id"]) == ("s1/agent_001", "s1")
    assert (event["agent_name"], event["parent_agent_name"]) == ("Explore", "main")


def test_an_agent_session_stays_with_its_tenant_and_user() -> None:
    homes: dict[str, set[tuple[str, str]]] = {}
    for event in requests():
        if lane := event.get("conversation_id"):
            homes.setdefault(lane, set()).add((event["tenant"], event["user_hash"]))
    assert len(homes) > 50
    assert all(len(home) == 1 for home in homes.values())


def test_attempts_fail_at_the_measured_rate_and_calls_less_often() -> None:
    measured = llmperf.load(DATA / "llmperf_2023.csv.gz")
    assert measured.rate_limited.share == pytest.approx(392 / 2_845)
    assert measured.other.share == pytest.approx(147 / 2_845)
    chats = [event for event in requests() if event["service"] != "code-assistant"]
    troubled = [event for event in chats if event["retry_count"] > 0]
    failed = [event for event in chats if event["status"] == "error"]
    assert len(troubled) / len(chats) == pytest.approx(0.18, abs=0.03)
    assert 0.02 < len(failed) / len(chats) < 0.15
    assert all(event["retry_count"] == 2 for event in failed)
    assert {e["error_type"] for e in failed} >= {"rate_limit", "server_error", "timeout"}


def test_failures_can_be_switched_off() -> None:
    calm = prepare("azure", limit=3_000, failure_scale=0.0).events()
    assert all(event.get("status") != "error" for _, event in calm)


def test_failures_come_in_runs_of_the_measured_length() -> None:
    chain, rng = Bursts(FailureRate(0.1, 5.0), 1.0), random.Random(1)
    outcomes = [chain.attempt(rng) for _ in range(200_000)]
    begins = sum(now and not before for before, now in pairwise(outcomes))
    assert sum(outcomes) / len(outcomes) == pytest.approx(0.1, rel=0.05)
    assert sum(outcomes) / begins == pytest.approx(5.0, rel=0.05)


def test_prompts_change_half_way() -> None:
    half = workload().span_s / 2
    versions = {
        (at_s >= half, event["prompt_version"])
        for at_s, event in events()
        if event["type"] == "request" and event["service"] == "support-chat"
    }
    assert versions == {(False, "v12"), (True, "v13")}


def test_weighted_draws_follow_the_weights() -> None:
    weighted = Weighted([("a", 1.0), ("b", 3.0)])
    assert [weighted.draw(n) for n in (0.0, 0.249, 0.25, 0.999999)] == ["a", "a", "b", "b"]
    assert TENANTS.draw(0.9999999) == TENANTS.items[-1]
    assert APPS.draw(0.0) == APPS.items[0]


def test_a_limit_takes_the_first_calls_and_shortens_the_span() -> None:
    short = prepare("azure", limit=10)
    assert short.requests == 10
    assert short.span_s < 60
    assert sum(event["type"] == "request" for _, event in short.events()) == 10


def test_events_are_made_far_faster_than_they_are_sent() -> None:
    begin = time.process_time()
    made = sum(1 for _ in prepare("azure", limit=10_000).events())
    assert made / (time.process_time() - begin) > 10_000
