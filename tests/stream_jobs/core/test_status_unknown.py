"""What the picture of the pipeline shows of facts that could not be read, and of causes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tokentide_jobs.core.partition_lag import PartitionLag
from tokentide_jobs.core.status import DroppingProducer, Problem, Status, WorkerState

CONFIGURED = {"min_free_bytes", "stack_workers", "stack_detectors"}
"""Numbers that no service is asked for: settings, and what the stack is set to keep."""
AWAY = Status(
    kafka_problem="no broker", kafka_answers=False,
    clickhouse_problem="no store", clickhouse_answers=False,
)  # fmt: skip
ALL_READ = Status(
    schema=(), log_end=7, lags=(PartitionLag("t", 0, 7, 7),), group_members=1,
    workers=(WorkerState("w", is_ready=True),), knows_last_batch=True, last_batch_age_s=1.0,
    dead_letters={}, dropping=(), failing_receivers=(), free_bytes=1 << 40,
)  # fmt: skip
LATE = (PartitionLag("t", 0, 2, 7, oldest_ms=90_000.0),)
GUESS = "too few workers"


def leaves(found: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from leaves(value, key)
    elif isinstance(found, list):
        for value in found:
            yield from leaves(value, name)
    else:
        yield name, found


def test_what_was_not_read_is_no_number_anywhere() -> None:
    report = AWAY.to_dict()
    numbers = {name for name, value in leaves(report) if type(value) in (int, float)}
    assert numbers <= CONFIGURED
    for name in report["unknown"]:
        assert {**report, **report["clickhouse"]}[name] is None
    # Also no empty list or object states "none" where nothing was read.
    empty = {name for name, value in report.items() if value in ([], {})}
    assert empty <= {"workers"}


def test_what_was_read_is_not_called_unknown() -> None:
    assert ALL_READ.unknown == ()
    assert (ALL_READ.verdict, ALL_READ.lag_records, ALL_READ.dropped_events) == ("ok", 0, 0)
    assert replace(ALL_READ, last_batch_age_s=None).unknown == ()
    assert replace(ALL_READ, lags=(PartitionLag("t", 0, 0, 7),)).unknown == ("lag_s",)


def test_every_fact_that_is_missing_alone_is_named() -> None:
    missing = {
        "free_bytes": "free_bytes", "schema": "schema_is_as_made", "log_end": "log_end",
        "group_members": "group_members", "dead_letters": "dead_letters_last_hour",
        "dropping": "dropping_producers", "failing_receivers": "failing_receivers",
    }  # fmt: skip
    for field, name in missing.items():
        absent: dict[str, Any] = {field: None}
        assert replace(ALL_READ, **absent).unknown == (name,)
    assert replace(ALL_READ, knows_last_batch=False).unknown == ("last_batch_age_s",)
    assert replace(ALL_READ, lags=None).unknown == (
        "lag_records", "behind_transaction_records", "lag_s", "partitions",
    )  # fmt: skip


def test_an_unknown_lag_is_never_fine() -> None:
    refused = replace(ALL_READ, lags=None, refused=("positions: not allowed",))
    assert (refused.verdict, refused.lag_records) == ("bad", None)
    without_dead_letters = replace(ALL_READ, dead_letters=None, refused=("letters: not allowed",))
    assert without_dead_letters.verdict == "attention"


@pytest.mark.parametrize(
    "known",
    [
        {"workers": (WorkerState("w", False, ("ClickHouse: no windows_1h",)),)},
        {"workers": (WorkerState("w", True, resting=("0 until noon",)),)},
        {"stack_workers": 2, "stack_age_s": 100.0},
        {"schema": (Problem("bad", "database d lacks windows_1h"),)},
        {"free_bytes": 1, "min_free_bytes": 2},
    ],
)
def test_a_cause_is_guessed_only_where_none_is_known(known: dict[str, Any]) -> None:
    late = replace(ALL_READ, lags=LATE)
    assert GUESS in late.problems[0].words
    explained = replace(late, **known)
    assert len(explained.problems) >= 2
    assert GUESS not in " ".join(problem.words for problem in explained.problems)


def test_the_schema_and_the_worker_itself_come_before_the_lag() -> None:
    worker = WorkerState("w", False, ("ClickHouse: insert into windows_10s",))
    found = replace(
        ALL_READ, lags=LATE, workers=(worker,), schema=(Problem("bad", "lacks windows_1h"),),
        dropping=(DroppingProducer("s", "p", 3),),
    )  # fmt: skip
    schema, own, lag, dropped = (problem.words for problem in found.problems)
    assert "lacks windows_1h" in schema
    assert "insert into windows_10s" in own
    assert "has waited 90 s" in lag
    assert "3 events" in dropped
