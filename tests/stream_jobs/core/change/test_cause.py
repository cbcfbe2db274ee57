"""Candidate causes: what shares most and came shortly before, and nothing that contradicts."""

from __future__ import annotations

from typing import Any

from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US
from tokentide_jobs.core.change.cause import Change, likely_causes

DIMENSIONS = {"prompt_name": "summarise", "prompt_version": "7", "service": "search"}


def change(minutes_before: int, **fields: Any) -> Change:
    known = {"kind": "deploy", "subject": "search", "dimensions": {"service": "search"}}
    return Change(at_us=NOW_US - minutes_before * MINUTE_US, **{**known, **fields})


def subjects(*changes: Change) -> list[str]:
    return [cause.subject for cause in likely_causes(changes, DIMENSIONS, NOW_US)]


def test_the_prompt_that_changed_comes_before_the_deploy_of_the_service() -> None:
    prompt = change(
        4, kind="prompt", subject="summarise", dimensions={"service": "search"}, to_version="7"
    )
    assert subjects(change(4), prompt) == ["summarise", "search"]


def test_of_equal_changes_the_later_one_is_likelier() -> None:
    first = change(90, to_version="41")
    found = likely_causes([first, change(2, to_version="42")], DIMENSIONS, NOW_US)
    assert [one.to_version for one in found] == ["42", "41"]


def test_a_change_of_something_else_explains_nothing() -> None:
    assert subjects(change(4, dimensions={"service": "billing"}, subject="billing")) == []
    assert subjects(change(4, kind="prompt", subject="translate")) == []


def test_a_change_long_before_or_after_explains_nothing() -> None:
    assert subjects(change(121), change(-6)) == []
    assert subjects(change(120), change(-5)) == ["search", "search"]


def test_a_cause_reads_as_one_line() -> None:
    (cause,) = likely_causes([change(4, from_version="1", to_version="2")], DIMENSIONS, NOW_US)
    assert str(cause) == "deploy of search from 1 to 2, 4 min before it began"
