"""A table of small cases in one test item: every case is checked, and each that fails is named.

An item of pytest costs more than most tables compute in a hundred cases, in each worker. Where a
case needs fixtures of its own, or takes long, `pytest.mark.parametrize` is right.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, cast

import pytest

Test = Callable[..., None]

_FAILS = (Exception, pytest.fail.Exception)
_LONGEST_NAME = 60


def each(
    names: str | Sequence[str], cases: Iterable[Any], ids: object = None
) -> Callable[[Test], Test]:
    """Call a test once for each case, and fail at the end with every failure.

    Fixtures of the test are made once, for all of its cases. Over another `each`, or a
    `parametrize`, the test is called for all pairs.

    Args:
        names: The parameter of the test that a case stands for, or the parameters it lists.
        cases: What to call the test with.
        ids: What the cases are called where they fail: a function of a value, or a list.
    """
    parameters = [names] if isinstance(names, str) else names
    table = [
        dict(zip(parameters, [case] if isinstance(names, str) else case, strict=True))
        for case in cases
    ]
    given = list(ids) if isinstance(ids, Iterable) else None
    assert table, "a test without a case cannot fail"
    assert given is None or len(given) == len(table), "each case has an id"

    def name_of(number: int) -> str:
        named = ids if callable(ids) else _name
        text = given[number] if given else "-".join(map(named, table[number].values()))
        return text[:_LONGEST_NAME] or f"number {number}"

    def decorate(test: Test) -> Test:
        assert not inspect.iscoroutinefunction(test), f"{test.__name__} is asynchronous"

        @functools.wraps(test)
        def check_all(**fixtures: Any) -> None:
            failures: dict[str, BaseException] = {}
            for number, case in enumerate(table):
                try:
                    test(**fixtures, **case)
                except _FAILS as failure:
                    failure.add_note(f"in the case {name_of(number)}")
                    failures[f"{number}: {name_of(number)}"] = failure
            if failures:
                raise BaseExceptionGroup(
                    f"{len(failures)} of {len(table)} cases fail: {'; '.join(failures)}",
                    list(failures.values()),
                )

        check_all.__signature__ = _without(test, table[0])  # type: ignore[attr-defined] # read by pytest
        return check_all

    return decorate


def _without(test: Test, case: Mapping[str, object]) -> inspect.Signature:
    signature = inspect.signature(test)
    assert case.keys() <= signature.parameters.keys(), f"{test.__name__} takes {signature}"
    others = [one for name, one in signature.parameters.items() if name not in case]
    return signature.replace(parameters=others)


def _name(value: object) -> str:
    """Return what stands for a value in the name of a case; nothing looks into hostile objects."""
    if type(value) in (str, bytes, int, float, bool, type(None)):
        return str(value)
    if type(value) in (type, FunctionType):
        return cast("FunctionType", value).__name__
    return type(value).__name__
