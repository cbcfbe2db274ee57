"""A table in one item loses no case: all are checked, and the failure names each that fails."""

from __future__ import annotations

import inspect
from typing import NoReturn

import pytest

from tests.each import each


def test_every_case_is_checked_and_all_that_fail_are_named() -> None:
    seen: list[int] = []

    @each("value", [1, 2, 3, 4], ids=lambda value: f"number {value}")
    def check(value: int) -> None:
        seen.append(value)
        assert value % 2

    with pytest.raises(BaseExceptionGroup) as failed:
        check()
    assert seen == [1, 2, 3, 4]
    assert failed.value.message == "2 of 4 cases fail: 1: number 2; 3: number 4"
    assert [type(one) for one in failed.value.exceptions] == [AssertionError, AssertionError]
    assert failed.value.exceptions[1].__notes__ == ["in the case number 4"]


def test_an_error_that_is_not_raised_fails_its_case() -> None:
    @each(("text", "base"), [("12", 10), ("x", 10), ("0x1f", 16)])
    def check(text: str, base: int) -> None:
        with pytest.raises(ValueError):
            int(text, base)

    with pytest.raises(BaseExceptionGroup, match="2 of 3 cases fail: 0: 12-10; 2: 0x1f-16"):
        check()


def test_two_tables_are_checked_in_all_pairs_and_keep_the_fixtures_of_the_test() -> None:
    seen: list[tuple[str, int, str]] = []

    @each("left", ["a", "b"])
    @each("right", [1, 2], ids=["one", "two"])
    def check(capture: str, left: str, right: int) -> None:
        seen.append((left, right, capture))
        assert (left, right) != ("b", 2)

    assert list(inspect.signature(check).parameters) == ["capture"]
    with pytest.raises(BaseExceptionGroup, match="1 of 2 cases fail: 1: b") as failed:
        check(capture="fixture")
    assert "1 of 2 cases fail: 1: two" in str(failed.value.exceptions[0])
    assert seen == [(left, right, "fixture") for left in "ab" for right in (1, 2)]


def test_a_skip_skips_the_test_and_the_name_of_a_case_looks_into_no_object() -> None:
    class Hostile:
        def __repr__(self) -> NoReturn:
            raise RuntimeError("looked into")

    @each("value", [Hostile()])
    def fails(value: object) -> None:
        raise ValueError(type(value).__name__)

    with pytest.raises(BaseExceptionGroup, match="0: Hostile"):
        fails()

    @each("value", [1, 2])
    def skips(value: int) -> None:
        pytest.skip(f"no {value}")

    with pytest.raises(pytest.skip.Exception, match="no 1"):
        skips()


@each(
    ("cases", "complaint"),
    [([], "without a case"), ([(1, 2)], "takes"), ([(1,)], "zip")],
    ids=["no case", "a parameter that the test has not", "a value too few"],
)
def test_a_table_that_cannot_be_checked_is_refused(cases: list[object], complaint: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=complaint):

        @each(("value", "other"), cases)
        def check(value: int) -> None:
            assert value


def test_an_asynchronous_test_is_refused() -> None:
    with pytest.raises(AssertionError, match="is asynchronous"):

        @each("value", [1])  # type: ignore[arg-type] # what is refused
        async def check(value: int) -> None:
            assert value
