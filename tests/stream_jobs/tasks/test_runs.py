"""Runs are read from stored calls: their sums, and the verdicts that the stream would have had."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.databases import migrated
from tokentide.ids import EventIds
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.guard.run_state import RunState
from tokentide_jobs.core.guard.standstill import STALLED_STEPS
from tokentide_jobs.core.guard.step_rows import steps_of
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.kafka.publisher import delta_chunks
from tokentide_jobs.tasks.runs import read_runs

pytestmark = pytest.mark.integration

HOUR_US = 3_600_000_000
NOW_US = 1_795_000_000_000_000
FROM_US = NOW_US - 24 * HOUR_US
RULES = GuardRules(min_runs=10, rate_floor_pico_usd=10**11, budget_floor_pico_usd=10**12)


def call(run: str, at_us: int, **fields: Any) -> dict[str, Any]:
    known = {"type": "request", "service": "desk", "tenant": "acme", "agent_name": "researcher"}
    model = {"provider": "anthropic", "operation": "chat", "request_model": "claude-opus-4-6"}
    ended = {"status": "ok", "duration_ms": 2_000.0, "input_tokens": 10_000, "output_tokens": 100}
    return known | model | ended | {"run_id": run, "started_at_us": at_us} | fields


def traffic() -> Iterator[dict[str, Any]]:
    """Yield thirty finished runs, three in the range, and one of them that repeats itself."""
    draw = random.Random(4)
    for number in range(30):
        at_us = FROM_US - 40 * HOUR_US + number * HOUR_US
        for _ in range(draw.randrange(3, 30)):
            at_us += draw.randrange(90_000_000)
            agent = draw.choice(["", "researcher"])
            yield call(
                f"old {number}", at_us, agent_name=agent, input_tokens=draw.randrange(50_000)
            )
    for place in range(12):
        yield call("quiet", FROM_US + place * HOUR_US, input_tokens=1_000 + place)
    yield call("old, goes on", FROM_US - HOUR_US, tenant="beta")
    yield call("old, goes on", FROM_US + HOUR_US, tenant="beta", agent_name="other", user_hash="u")
    for place in range(20):
        yield call(
            "loop", NOW_US - HOUR_US + place * 10_000_000, user_hash="u7", input_tokens=40_000,
            tool_name="search", tool_calls_count=2, status="error" if place == 19 else "ok",
        )  # fmt: skip


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    ids = EventIds()
    records = [
        Record(0, place, 0, json.dumps(event | {"event_id": ids.new(place)}).encode())
        for place, event in enumerate(traffic())
    ]
    cards = compile_cards()
    log = LogPartition("log", "events", 0)
    intent = Intent(
        log, 0, len(records), cards.price_version, 0, NOW_US, NOW_US, "test", ("run",), 1_000
    )
    outcome = process(records, intent, cards)
    assert outcome.dead_letter_count == 0, outcome.dead_letters["detail"].to_list()
    return outcome


@pytest.fixture(scope="module")
def store(sql_server: str, outcome: Outcome) -> Iterator[ClickHouse]:
    with migrated(sql_server) as made:
        for table, rows in outcome.raw.items():
            made.insert(table, to_arrow(table, rows), outcome.intent.write_token(table))
        yield made


def test_the_stream_says_the_same_steps_as_the_store(store: ClickHouse, outcome: Outcome) -> None:
    stored = store.select_arrow(
        "runs/steps",
        {
            "low_us": 0, "since_us": 0, "high_us": NOW_US, "tenant": "", "min_calls": 0,
            "min_spend": 0,
        },
    )  # fmt: skip
    streamed = outcome.steps().to_arrow(compat_level=pl.CompatLevel.oldest())
    [published] = [value for _partition, _chunk, value in delta_chunks(streamed, 1)]
    read = pa.ipc.open_stream(published).read_all()
    assert sorted(steps_of(read)) == sorted(steps_of(stored))
    assert read.num_rows == outcome.rows("raw_requests") > 300
    uncounted = replace(outcome, intent=replace(outcome.intent, subject_kinds=("user",)))
    assert uncounted.steps().height == 0


def test_history_is_what_the_guard_itself_would_have_learned(store: ClickHouse) -> None:
    stored = store.rows(
        "SELECT run, toUnixTimestamp64Micro(started_at), agent_name, cost_pico_usd, "
        "if(output_tokens > 0, toInt64(input_tokens), NULL) "
        f"FROM {store.database}.raw_requests WHERE run LIKE 'old __' OR run LIKE 'old _'"
    )
    states: dict[str, RunState] = {}
    for run, at_us, agent, cost, size in sorted(map(tuple, stored)):
        state = states.setdefault(run, RunState(at_us, at_us))
        step = Step(RunKey("acme", run), at_us, agent, "", cost, input_tokens=size)
        state.standstill.add(step, is_late=False)
        state.add(step)
    assert any(state.standstill.peak for state in states.values())
    rows = store.select(
        "runs/history",
        {
            "low_us": FROM_US - 48 * HOUR_US,
            "from_us": FROM_US,
            "high_us": FROM_US,
            "grain_us": HOUR_US,
            "tenant": "",
            "stalled_from": 0,
            "stalled_steps": STALLED_STEPS,
        },
    )[::-1]
    assert {row["run"] for row in rows} == {*states, "old, goes on"}
    assert [row["last_us"] for row in rows] == sorted(row["last_us"] for row in rows)
    for row in rows:
        if row["run"] not in states:
            continue
        state = states[row["run"]]
        peaks = row["peak_2_minutes"], row["peak_10_minutes"]
        found = (*peaks, row["whole"], row["peak_stalled"])
        assert (found, row["agent"], row["last_us"]) == (state.figures, state.agent, state.last_us)


def test_the_run_that_repeats_itself_comes_first_and_says_why(store: ClickHouse) -> None:
    found = read_runs(store, RULES, FROM_US, NOW_US)
    assert [row.run for row in found.listed] == ["loop", "old, goes on", "quiet"]
    assert (found.found, found.agents, found.flagged, found.learned) == (3, 1, 1, 32)
    loop = found.listed[0]
    assert (loop.calls, loop.errors, loop.tool_calls, loop.tools) == (20, 1, 40, ["search"])
    assert (loop.agent, loop.user, loop.tenant) == ("researcher", "u7", "acme")
    assert (loop.first_us, loop.ended_us) == (NOW_US - HOUR_US, NOW_US - HOUR_US + 192_000_000)
    rules = [verdict.rule for verdict in loop.verdicts]
    assert "repeats" in rules
    repeats = loop.verdicts[rules.index("repeats")]
    assert (repeats.value, repeats.cycle, repeats.user) == (8, 1, "u7")
    assert sum(row.cost_pico_usd for row in found.listed) == found.cost_pico_usd
    assert loop.to_dict(NOW_US, RULES.idle_us)["state"] == "idle"


def test_a_run_is_judged_by_the_runs_that_were_finished_by_then(store: ClickHouse) -> None:
    strict = GuardRules(
        min_runs=10, rate_floor_pico_usd=1, rate_factor_milli=1, budget_start_pico_usd=10**15
    )
    limits = {
        row.run: verdict.limit
        for row in read_runs(store, strict, FROM_US, NOW_US).listed
        for verdict in row.verdicts
        if verdict.rule == "spend_rate"
    }
    quiet, loop = limits["quiet"], limits["loop"]
    assert quiet is not None
    assert loop is not None
    assert quiet.basis == loop.basis == "agent"
    assert loop.runs == quiet.runs + 1  # quiet itself


def test_a_run_counts_from_its_beginning_before_the_range(store: ClickHouse) -> None:
    (row,) = read_runs(store, RULES, FROM_US, NOW_US, tenant="beta").listed
    assert (row.calls, row.agent, row.agents) == (2, "researcher", ["other", "researcher"])
    assert row.first_us == FROM_US - HOUR_US


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({"only_flagged": True}, ["loop"]),
        ({"limit": 1}, ["loop"]),
        ({"agent": "researcher", "tenant": "acme"}, ["loop", "quiet"]),
        ({"agent": "other"}, []),
        ({"tenant": "gamma"}, []),
    ],
)
def test_runs_can_be_chosen(store: ClickHouse, options: dict[str, Any], runs: list[str]) -> None:
    found = read_runs(store, RULES, FROM_US, NOW_US, **options)
    assert [row.run for row in found.listed] == runs
    assert found.found == (len(runs) if "limit" not in options else 3)
