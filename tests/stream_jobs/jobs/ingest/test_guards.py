"""What watches the job: breaker, watchdog, health, metrics, logs."""

from __future__ import annotations

import io
import json
import logging
import threading

from tokentide_jobs.core.batch.breaker import Breaker
from tokentide_jobs.core.metrics import METRICS
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event, setup_logging
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import STUCK_EXIT_CODE, Watchdog


def breaker() -> Breaker:
    return Breaker(ratio=0.5, events=100, pause_ms=1_000)


def test_the_breaker_judges_only_when_it_has_seen_enough() -> None:
    judge = breaker()
    assert not judge.record(0, [1] * 99, now_ms=0)
    assert judge.record(0, [1] * 1, now_ms=0)
    assert judge.remaining_ms(now_ms=400) == 600


def test_a_share_of_bad_events_up_to_the_ratio_is_borne() -> None:
    judge = breaker()
    assert not judge.record(50, [1] * 50, now_ms=0)
    assert judge.remaining_ms(now_ms=0) == 0


def test_old_batches_are_forgotten() -> None:
    judge = breaker()
    judge.record(100, [1] * 0, now_ms=0)
    assert not judge.record(30, [1] * 60, now_ms=0)
    assert judge.record(10, [1] * 60, now_ms=0)


def test_one_record_cannot_open_the_breaker_however_many_bad_lines_it_holds() -> None:
    judge = breaker()
    assert not judge.record(0, [60_000], now_ms=0)
    assert not judge.record(0, [60_000] * 8, now_ms=0)
    assert judge.record(0, [60_000], now_ms=0), "a tenth each: ten of them are most of the log"


def test_after_a_pause_the_breaker_judges_afresh() -> None:
    judge = breaker()
    assert judge.record(0, [1] * 100, now_ms=0)
    assert judge.remaining_ms(now_ms=1_000) == 0
    assert not judge.record(0, [1] * 10, now_ms=1_000)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_watchdog_gives_up_when_records_wait_and_none_is_done() -> None:
    clock, codes = Clock(), list[int]()
    dog = Watchdog(10, clock, codes.append)
    clock.now_s = 9
    dog.beat()
    dog.check()
    assert codes == []
    clock.now_s = 11
    dog.check()
    assert codes == [STUCK_EXIT_CODE]


def test_progress_and_beats_keep_the_watchdog_quiet() -> None:
    clock, codes = Clock(), list[int]()
    dog = Watchdog(10, clock, codes.append)
    for now_s in range(0, 100, 5):
        clock.now_s = float(now_s)
        dog.beat()
        dog.progress()
        dog.check()
    assert codes == []


def test_the_watchdog_gives_up_when_the_loop_stands_still() -> None:
    clock, codes = Clock(), list[int]()
    dog = Watchdog(10, clock, codes.append)
    clock.now_s = 10
    dog.progress()
    dog.check()
    assert codes == [STUCK_EXIT_CODE]


def test_a_process_that_is_still_there_after_its_end_is_ended_with_its_own_code() -> None:
    codes = list[int]()
    gone = threading.Event()

    def exits(code: int) -> None:
        codes.append(code)
        gone.set()

    Watchdog(10, Clock(), exits).end(0.01, 7)
    assert gone.wait(60)
    assert codes == [7]


def test_an_outage_makes_a_worker_unready_but_not_unhealthy() -> None:
    health = Health(min_free_bytes=7)
    assert health.ready()[0] is False
    health.starting("")
    assert health.ready() == (
        True,
        {
            "status": "ready", "problems": [], "waits_for": [], "resting_partitions": [],
            "role": "ingest", "notes": [],
            "min_free_bytes": 7,
        },
    )  # fmt: skip
    health.sink_failed(210, "no reply", needs_a_person=False)
    assert health.live()[0] is True
    assert health.ready()[1]["waits_for"] == ["trying again: no reply"]
    health.sink_works()
    assert health.ready()[0] is True


def test_what_only_a_person_can_mend_is_unhealthy() -> None:
    health = Health()
    health.starting("")
    health.sink_failed(60, "no table", needs_a_person=True)
    health.partition_stopped(3, "ledger ahead of the log")
    is_live, report = health.live()
    assert is_live is False
    assert report["problems"] == [
        "partition 3: ledger ahead of the log",
        "ClickHouse: no table",
    ]
    health.sink_works()
    health.partition_reads(3)
    assert health.live()[0] is True


def test_a_resting_partition_is_shown_with_the_end_of_its_pause_and_no_longer() -> None:
    clock = Clock()
    health = Health(clock_s=clock)
    health.partition_rests(1, 30.0)
    [resting] = health.ready()[1]["resting_partitions"]
    assert resting == {"partition": 1, "until": "1970-01-01T00:00:30Z"}
    clock.now_s = 30
    assert health.ready()[1]["resting_partitions"] == []
    health.partition_rests(1, 30.0)
    health.partition_reads(1)
    assert health.ready()[1]["resting_partitions"] == []


def test_decisions_that_are_behind_files_that_are_refused_and_a_full_book_are_shown() -> None:
    health = Health(role="detect")
    health.starting("")
    health.behind("decisions are 40 s behind")
    health.refused_rules("1 problem:\nbudgets.yaml:3: period: wrong")
    is_ready, report = health.ready()
    assert (is_ready, report["waits_for"]) == (False, ["decisions are 40 s behind"])
    assert (report["role"], report["notes"]) == (
        "detect", ["1 problem:", "budgets.yaml:3: period: wrong"]
    )  # fmt: skip
    health.behind("")
    assert health.ready()[0] is True, "a refused file leaves the one before in force"
    health.full("10,000 alerts are open")
    assert health.ready()[1]["notes"][2:] == ["10,000 alerts are open"]
    health.refused_rules("")
    health.full("")
    health.wrong_clock("a clock is ahead")
    assert health.ready()[1]["notes"] == ["a clock is ahead"]
    health.wrong_clock("")
    assert health.ready()[1]["notes"] == []


def test_a_worker_says_that_it_starts_and_not_for_ever() -> None:
    clock = Clock()
    health = Health(clock_s=clock)
    health.starting("waiting for partitions")
    is_ready, report = health.ready()
    assert (is_ready, report["status"]) == (False, "starting")
    assert report["waits_for"] == ["waiting for partitions"]
    health.sink_failed(210, "no reply", needs_a_person=False)
    assert health.ready()[1]["status"] == "not ready", "a store that fails is more than a start"
    health.sink_works()
    clock.now_s = 60
    assert health.ready()[1]["status"] == "not ready"
    health.stopping()
    assert health.ready()[1] | {"min_free_bytes": 0} == {
        "status": "not ready", "problems": [], "waits_for": ["stopping"],
        "resting_partitions": [], "min_free_bytes": 0, "role": "ingest", "notes": [],
    }  # fmt: skip


def test_a_worker_whose_broker_is_silent_for_long_is_not_ready_and_says_for_how_long() -> None:
    clock = Clock()
    health = Health(clock_s=clock)
    health.starting("")
    clock.now_s = 100
    health.kafka_answers()
    clock.now_s = 105
    health.kafka_silent("no route")
    assert health.ready()[0] is True, "a broker that is started again is silent for a moment"
    clock.now_s = 115
    is_ready, report = health.ready()
    assert (is_ready, report["status"]) == (False, "not ready")
    assert report["waits_for"] == ["Kafka has not answered for 15 s: no route"]
    assert health.live()[0] is True, "it comes back by itself"
    health.kafka_answers()
    assert health.ready()[0] is True


def test_every_metric_is_declared_once_with_unit_and_advice() -> None:
    names = [spec.name for spec in METRICS]
    assert len(names) == len(set(names))
    for spec in METRICS:
        assert spec.name.startswith("tokentide_ingest_")
        assert spec.unit
        assert spec.doc
        assert spec.look_at
        assert (spec.kind == "histogram") == bool(spec.buckets)
        assert (spec.kind == "counter") == spec.name.endswith("_total")


def test_metrics_are_exposed_and_those_of_a_lost_partition_are_not() -> None:
    metrics = Metrics()
    metrics.count("tokentide_ingest_events_total", 3, type="request")
    metrics.set("tokentide_ingest_lag_records", 7, partition="2")
    metrics.observe("tokentide_ingest_batch_events", 50)
    text = metrics.exposition().decode()
    assert 'tokentide_ingest_events_total{type="request"} 3.0' in text
    assert 'tokentide_ingest_lag_records{partition="2"} 7.0' in text
    assert "When this moves, look at" in text
    metrics.forget(2)
    assert 'partition="2"' not in metrics.exposition().decode()


def test_a_log_line_is_one_json_object_with_event_and_fields() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        setup_logging("info", stream)
        logger = logging.getLogger("tokentide_jobs.test")
        log_event(logger, logging.INFO, "batch_done", partition=1, start=0, end=5, rows=9)
        log_event(logger, logging.DEBUG, "not_shown")
        logging.getLogger("another.library").warning("careful")
    finally:
        root.handlers[:], root.level = handlers, level
    ours, theirs = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (ours["event"], ours["level"], ours["rows"]) == ("batch_done", "info", 9)
    assert (theirs["event"], theirs["logger"]) == ("careful", "another.library")
