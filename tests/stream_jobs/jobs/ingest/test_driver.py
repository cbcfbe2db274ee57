"""The driver of the write protocol: it retries for ever, and ends only by success or by order."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest

from tests.each import each
from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.life import Acknowledge, Collect, Effect, Life
from tokentide_jobs.errors import InvariantViolation, RetriableSinkError
from tokentide_jobs.io.clickhouse.error_codes import (
    ErrorKind,
    RowsRefused,
    SinkMisconfigured,
    kind_of,
)
from tokentide_jobs.jobs.ingest.driver import Abandoned, Driver

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


def test_an_effect_is_tried_until_it_succeeds() -> None:
    notes = Notes()
    run = failing(RetriableSinkError("busy", 202), SinkMisconfigured("no table", 60))
    assert Driver(AT_ONCE, notes).run_effect(Effect("insert", run), threading.Event()) == "done"
    assert notes.failures == [(202, False), (60, True)]
    assert notes.steps == ["insert"]


def test_what_an_effect_held_is_let_go_of_before_the_next_one_is_made() -> None:
    rows: list[weakref.ref[Notes]] = []
    were_freed: list[bool] = []

    def life() -> Life:
        held = Notes()
        rows.append(weakref.ref(held))
        yield Effect("insert", partial(held.step_succeeded, "", 0.0))
        del held
        were_freed.append(rows[0]() is None)
        yield Collect(0, None)

    Driver(AT_ONCE, Notes()).advance(life(), None, threading.Event())
    assert were_freed == [True]


def test_the_order_to_stop_ends_the_retries() -> None:
    stop = threading.Event()

    def run() -> None:
        stop.set()
        raise RetriableSinkError("down")

    with pytest.raises(Abandoned):
        Driver(Backoff(first_s=60), Notes()).run_effect(Effect("insert", run), stop)


def test_an_error_that_is_no_outage_is_not_retried() -> None:
    run = failing(InvariantViolation("torn"))
    with pytest.raises(InvariantViolation):
        Driver(AT_ONCE, Notes()).run_effect(Effect("finish", run), threading.Event())


def test_a_life_goes_on_until_it_asks_for_something_other_than_an_effect() -> None:
    def life() -> Life:
        assert (yield Effect("position", lambda: 7)) == 7
        batch = yield Collect(7, None)
        yield Effect("insert", failing(RetriableSinkError("busy", 202)))
        yield Acknowledge(batch)

    notes, living, go_on = Notes(), life(), threading.Event()
    driver = Driver(AT_ONCE, notes)
    assert driver.advance(living, None, go_on) == Collect(7, None)
    assert notes.steps == ["position"]
    assert driver.advance(living, 9, go_on) == Acknowledge(9)
    assert notes.steps == ["position", "insert"]


def test_refused_rows_are_handed_to_the_life_which_goes_on() -> None:
    def life() -> Life:
        try:
            yield Effect("insert", failing(RowsRefused("bad row", 53)))
        except RowsRefused:
            found = yield Effect("find", lambda: [1])
            yield Acknowledge(found[0])

    step = Driver(AT_ONCE, Notes()).advance(life(), None, threading.Event())
    assert step == Acknowledge(1)


@each(
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
