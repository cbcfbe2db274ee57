"""Tests are traced for as long as they may run new lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage

from tests import selection

pytestmark = pytest.mark.no_cover  # it measures by itself


@contextmanager
def measured() -> Iterator[Coverage]:
    """Measure the lines of this file."""
    coverage = Coverage(data_file=None, config_file=False, include=[__file__])
    coverage.start()
    try:
        yield coverage
    finally:
        coverage.stop()


def lines_of(coverage: Coverage, run: object) -> set[int]:
    """Which lines of this file were measured, counted from where a function begins."""
    code = run.__code__  # type: ignore[attr-defined] # a function
    found = coverage.get_data().lines(__file__) or []
    last = max(line for _start, _end, line in code.co_lines() if line)
    return {line - code.co_firstlineno for line in found if code.co_firstlineno < line <= last}


def compute_for(cpu_s: float) -> None:
    until_s = time.process_time() + cpu_s
    while time.process_time() < until_s:
        pass


def long_test() -> int:
    early = 1
    compute_for(0.5)
    late = 2
    return early + late


def short_test() -> int:
    early = 1
    return early + 1


def run(test: object) -> None:
    """As pytest does around the call of a test."""
    around = selection.pytest_runtest_call()
    next(around)
    with pytest.raises(StopIteration):
        test()  # type: ignore[operator] # a function
        around.send(None)


@pytest.fixture(autouse=True)
def short_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "TRACED_S", 0.1)


def test_the_beginning_of_a_test_is_measured_and_what_it_does_later_is_not() -> None:
    with measured() as coverage:
        run(long_test)
    assert lines_of(coverage, long_test) == {1, 2}


def test_the_test_after_a_long_one_is_measured_again() -> None:
    with measured() as coverage:
        run(long_test)
        run(short_test)
    assert lines_of(coverage, short_test) == {1, 2}
