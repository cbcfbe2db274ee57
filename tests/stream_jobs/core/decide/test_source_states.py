"""How far ingest has come is read from its newest marks, of idle partitions too."""

from __future__ import annotations

from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, TOPIC, log
from tokentide_jobs.core.alert.pipeline import SourceState
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.decide.source_states import SourceStates


def mark(
    arrived_us: int | None, at_us: int, partition: int = 0, log_id: str = "log-1", lag: int = 0
) -> ProgressMark:
    return ProgressMark(
        log=log(partition, log_id), position=5, log_end=5 + lag, arrived_us=arrived_us,
        max_event_us=None, at_us=at_us, sources={TOPIC: 2},
    )  # fmt: skip


def test_a_partition_that_no_mark_speaks_of_is_one_that_ingest_does_not_say() -> None:
    states = SourceStates()
    assert states.all() == []
    states.note(mark(NOON_US, NOON_US, lag=7))
    assert states.all() == [SourceState(TOPIC, 0, NOON_US, 7), SourceState(TOPIC, 1, None, 0)]


def test_null_and_older_marks_take_nothing_back_and_another_log_begins_anew() -> None:
    states = SourceStates()
    states.note(mark(NOON_US, NOON_US, 1))
    states.note(mark(None, NOON_US + MINUTE_US, 1, lag=3))
    states.note(mark(NOON_US + MINUTE_US, NOON_US, 1))
    states.note(mark(NOON_US - MINUTE_US, NOON_US - MINUTE_US, 1))
    assert states.all()[1] == SourceState(TOPIC, 1, NOON_US, 3)
    states.note(mark(None, NOON_US + 2 * MINUTE_US, 1, "log-2"))
    assert states.all()[1] == SourceState(TOPIC, 1, None, 0)
