"""One verdict on the state of the pipeline: what makes it bad, and what only wants a look."""

from __future__ import annotations

import json

from rich.console import Console

from tests.each import each
from tokentide_jobs.cli.bad_times import BadTimes
from tokentide_jobs.cli.status import status_line
from tokentide_jobs.core.failing_receiver import FailingReceiver, answer_words
from tokentide_jobs.core.partition_lag import PartitionLag
from tokentide_jobs.core.status import DroppingProducer, Status, WorkerState

READY = WorkerState("4711 on this machine", True)
WORKING = Status(
    log_end=70, lags=(PartitionLag("events", 0, 40, 40), PartitionLag("events", 1, 30, 30)),
    workers=(READY,), group_members=1, last_batch_age_s=2.0, free_bytes=1 << 30,
    min_free_bytes=1 << 29,
)  # fmt: skip
AWAY = FailingReceiver(
    "oncall", waiting=2, given_up=0, tries=19, since_us=1_796_040_000_000_000,
    last_try_us=1_796_040_180_000_000, status=0, detail="no connection: ClientConnectorError",
)  # fmt: skip


def changed(**fields: object) -> Status:
    return Status(**{**{name: getattr(WORKING, name) for name in WORKING.__slots__}, **fields})


def held_in(*ages_ms: float | None) -> Status:
    """Return a status with a transaction of each age, in partitions 0, 1, …"""
    return changed(
        lags=tuple(
            PartitionLag("events", number, 40, 40, behind_transaction=1, transaction_ms=age_ms)
            for number, age_ms in enumerate(ages_ms)
        )
    )


def held_back(transaction_ms: float | None) -> tuple[PartitionLag, ...]:
    return (
        PartitionLag(
            "events", 0, 40, 40, behind_transaction=1, transaction_ms=transaction_ms and 1.0
        ),
        PartitionLag("events", 1, 30, 30, behind_transaction=2, transaction_ms=transaction_ms),
    )


def test_a_pipeline_that_works_is_ok() -> None:
    assert (WORKING.verdict, WORKING.problems) == ("ok", ())
    assert (WORKING.lag_records, WORKING.lag_s) == (0, None)


@each(
    ("found", "verdict", "words"),
    [
        (changed(kafka_problem="Kafka does not answer"), "bad", "Kafka does not answer"),
        (changed(clickhouse_problem="ClickHouse is away"), "bad", "ClickHouse is away"),
        (changed(free_bytes=100 << 20), "bad", "100 MiB free"),
        (changed(workers=(WorkerState("w", False, ("away",)),)), "bad", "w is not ready: away"),
        (changed(workers=(WorkerState("w", False),)), "bad", "it does not answer"),
        (
            changed(workers=(WorkerState("w", False, ("waiting for partitions",), True),)),
            "attention", "w is starting: waiting for partitions",
        ),
        (
            changed(workers=(WorkerState("w", True, resting=("2 until 12:00",)),)),
            "attention", "partition 2 until 12:00: most of its recent events are refused",
        ),
        (
            changed(workers=(), group_members=0, stack_workers=1, stack_age_s=3.0),
            "attention", "1 worker of the stack is starting",
        ),
        (
            changed(workers=(), group_members=0, stack_workers=2, stack_age_s=300.0),
            "bad", "2 workers of the stack are starting again",
        ),
        (
            changed(workers=(WorkerState("w", True, min_free_bytes=2 << 30),)),
            "bad", "below 2048 (TOKENTIDE_MIN_FREE_BYTES)",
        ),
        (
            changed(workers=(READY, WorkerState("d", False, ("40 s behind",), role="detect"))),
            "attention", "detect worker d is not ready: 40 s behind",
        ),
        (
            changed(workers=(READY, WorkerState("d", True, role="detect", notes=("refused",)))),
            "attention", "detect worker d: refused",
        ),
        (
            changed(stack_workers=1, stack_detectors=1, stack_age_s=300.0),
            "attention", "the detect worker of the stack is starting again",
        ),
        (
            changed(workers=(WorkerState("d", True, role="detect"),), group_members=0),
            "attention", "no worker reads the topics",
        ),
        (changed(workers=(), group_members=0), "attention", "no worker reads the topics"),
        (
            changed(workers=(), group_members=0, lags=(PartitionLag("events", 0, 3, 10, 1.0),)),
            "bad", "7 records wait",
        ),
        (changed(lags=(PartitionLag("events", 0, 3, 10, 20_000.0),)), "attention", "waited 20 s"),
        (changed(lags=(PartitionLag("events", 0, 3, 10, 90_000.0),)), "bad", "waited 90 s"),
        (
            changed(lags=(PartitionLag("events", 0, 3, 10),), last_batch_age_s=7_200.0),
            "bad",
            "7 records wait, since when is unknown",
        ),
        (
            changed(lags=(PartitionLag("events", 0, 3, 10),), last_batch_age_s=None),
            "bad",
            "Of batches, none is known",
        ),
        (
            changed(lags=(PartitionLag("events", 0, 3, 10),), last_batch_age_s=3.0),
            "attention",
            "the last one ended 3 s ago",
        ),
        (changed(lags=held_back(transaction_ms=70_000.0)), "attention",
         "3 records wait for an open transaction (the oldest in events/1), "
         "whose first record is 70 s old"),
        (changed(lags=held_back(transaction_ms=901_000.0)), "bad", "no reader gets them"),
        (changed(lags=held_back(transaction_ms=None)), "attention", "of unknown age"),
        (held_in(5_000.0, None), "attention", "(one in events/1) of unknown age"),
        (held_in(None, 901_000.0, 70_000.0), "bad", "(the oldest known in events/1), whose first "
         "record is 901 s old (the age of the one in events/0 is unknown): no reader"),
        (changed(dead_letters={"malformed_json": 3, "missing_field": 1}), "attention",
         "4 dead letters in the last hour (3 malformed_json, 1 missing_field)"),
        (changed(dropping=(DroppingProducer("shop", "p-1", 12),)), "attention",
         "producer p-1 of shop dropped 12 events"),
        (changed(failing_receivers=(AWAY,)), "attention",
         "receiver oncall takes no notifications: 2 notifications wait (19 tries since "
         "2026-11-30 12:00:00 UTC, the last at 2026-11-30 12:03:00 UTC: no connection: "
         "ClientConnectorError)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_verdict(found: Status, verdict: str, words: str) -> None:
    assert found.verdict == verdict
    assert words in found.problems[0].words


def test_what_waits_only_a_moment_is_no_problem() -> None:
    assert changed(lags=(PartitionLag("events", 0, 3, 10, 900.0),)).verdict == "ok"


def test_a_transaction_of_a_moment_is_counted_and_no_problem() -> None:
    found = changed(lags=held_back(transaction_ms=59_000.0))
    assert (found.verdict, found.lag_records, found.behind_transaction_records) == ("ok", 0, 3)
    assert "0 records wait, 3 more for an open transaction" in status_line(found).plain
    assert found.to_dict()["behind_transaction_records"] == 3


def test_workers_elsewhere_count_by_their_group() -> None:
    assert changed(workers=(), group_members=2).verdict == "ok"
    assert changed(workers=(), group_members=None).verdict == "ok"


def test_what_became_of_an_attempt_is_said_once() -> None:
    assert answer_words(0, "no connection: ClientConnectorError").count("no ") == 1
    assert answer_words(0, "") == "no answer"
    assert answer_words(503, "") == "HTTP 503"
    assert answer_words(410, "gone") == "HTTP 410: gone"


def test_the_worst_problem_comes_first_and_decides() -> None:
    found = changed(dead_letters={"x": 1}, kafka_problem="Kafka does not answer")
    assert [problem.verdict for problem in found.problems] == ["bad", "attention"]
    assert found.verdict == "bad"


def test_the_json_form_says_everything() -> None:
    found = changed(lags=(PartitionLag("events", 1, 3, 10, 1_500.0),))
    form = json.loads(json.dumps(found.to_dict()))
    assert (form["verdict"], form["lag_records"], form["lag_s"]) == ("ok", 7, 1.5)
    assert form["partitions"][0]["records"] == 7
    assert form["workers"][0]["is_ready"] is True
    assert form["clickhouse"]["free_bytes"] == 1 << 30


def test_the_line_of_a_bad_state_is_red_as_a_whole_and_any_other_has_no_red() -> None:
    bad = status_line(changed(kafka_problem="Kafka does not answer"))
    assert bad.plain == "bad  Kafka does not answer"
    styles = {bad.get_style_at_offset(Console(), place) for place in (0, 5, len(bad) - 1)}
    assert {style.color.name for style in styles if style.color} == {"red"}
    assert all(style.color for style in styles)
    for found in (WORKING, changed(workers=(WorkerState("w", True, notes=("refused",)),))):
        line = status_line(found)
        assert found.verdict != "bad"
        assert "red" not in str([line.style, *(span.style for span in line.spans)])


def test_bad_is_said_once_when_it_begins_and_once_when_it_ends() -> None:
    now_s = 100.0
    times = BadTimes(WORKING, lambda: now_s)
    assert times.line(WORKING) is None
    began = times.line(changed(kafka_problem="Kafka does not answer"))
    assert began is not None
    assert began.plain == "bad  Kafka does not answer"
    now_s = 130.0
    assert times.line(changed(clickhouse_problem="ClickHouse is away")) is None, "bad as before"
    now_s = 142.0
    ended = times.line(WORKING)
    assert ended is not None
    assert ended.plain == "ok  0 records wait, the last batch 2.0 s ago; it was bad for 42.0 s"
    assert times.line(WORKING) is None


def test_what_was_bad_when_it_was_reported_is_not_reported_again() -> None:
    times = BadTimes(changed(kafka_problem="Kafka does not answer"), lambda: 0.0)
    assert times.line(changed(kafka_problem="Kafka does not answer")) is None
    assert times.line(WORKING) is not None
