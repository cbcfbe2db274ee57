"""The driver of the write protocol: it retries for ever, and ends only by success or by order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.errors import InvariantViolation, RetriableSinkError
from tokentide_jobs.io.clickhouse.error_codes import (
    ErrorKind,
    RowsRefused,
    SinkMisconfigured,
    kind_of,
)
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch
from tokentide_jobs.jobs.ingest.driver import Abandoned, Driver
from tokentide_jobs.jobs.ingest.flush import Effect, FlushFlow, FlushTimes

WRITTEN = cast("tuple[Outcome, DoneBatch]", ("outcome", "done"))
AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


class Notes:
    """Remembers what a driver reports."""

    def __init__(self) -> None:
        self.failures: list[tuple[int | None, bool]] = []
        self.steps: list[str] = []

    def step_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        self.failures.append((code, needs_a_person))

    def step_succeeded(self, step: str, seconds: float) -> None:
        self.steps.append(step)


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def run() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return run


def test_a_step_is_tried_until_it_succeeds() -> None:
    notes, times = Notes(), FlushTimes()
    run = failing(RetriableSinkError("busy", 202), SinkMisconfigured("no table", 60))
    assert Driver(AT_ONCE, notes).call("insert", run, threading.Event(), times) == "done"
    assert notes.failures == [(202, False), (60, True)]
    assert notes.steps == ["insert"]
    assert times.retries == 2


def test_the_order_to_stop_ends_the_retries() -> None:
    stop = threading.Event()

    def run() -> None:
        stop.set()
        raise RetriableSinkError("down")

    with pytest.raises(Abandoned):
        Driver(Backoff(first_s=60), Notes()).call("insert", run, stop, FlushTimes())


def test_an_error_that_is_no_outage_is_not_retried() -> None:
    run = failing(InvariantViolation("torn"))
    with pytest.raises(InvariantViolation):
        Driver(AT_ONCE, Notes()).call("finish", run, threading.Event(), FlushTimes())


def test_refused_rows_are_handed_to_the_flow_which_goes_on() -> None:
    def flow() -> FlushFlow:
        try:
            yield Effect("insert", failing(RowsRefused("bad row", 53)))
        except RowsRefused:
            found = yield Effect("find", lambda: [1])
            assert found == [1]
        return WRITTEN

    assert Driver(AT_ONCE, Notes()).drive(lambda _times: flow(), threading.Event()) is WRITTEN


def test_a_flow_that_needs_a_person_is_begun_again() -> None:
    begun = []

    def begin(_times: FlushTimes) -> FlushFlow:
        begun.append(1)
        yield Effect("insert", lambda: None)
        if len(begun) < 3:
            raise SinkMisconfigured("every row refused", 53)
        return None

    notes = Notes()
    assert Driver(AT_ONCE, notes).drive(begin, threading.Event()) is None
    assert len(begun) == 3
    assert notes.failures == [(53, True)] * 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (None, ErrorKind.RETRIABLE),
        (252, ErrorKind.RETRIABLE),
        (999, ErrorKind.RETRIABLE),
        (60, ErrorKind.CONFIG),
        (516, ErrorKind.CONFIG),
        (117, ErrorKind.DATA),
        (123_456, ErrorKind.CONFIG),
    ],
)
def test_codes_are_classified_and_unknown_ones_call_a_person(
    code: int | None, kind: ErrorKind
) -> None:
    assert kind_of(code) is kind
