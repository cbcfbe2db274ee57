"""Candidate causes: what shares most and came shortly before, and nothing that contradicts."""

from __future__ import annotations

from typing import Any

from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US
from tokentide_jobs.core.change.cause import Change, likely_causes

DIMENSIONS = (("prompt_name", "summarise"), ("prompt_version", "7"), ("service", "search"))
RUN = (("service", "search"), ("environment", "production"), ("agent", "researcher"),
       ("agent", "critic"), ("model", "gpt-5"), ("prompt_name", "summarise"))  # fmt: skip


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


def test_what_is_changed_counts_and_not_who_reports_it() -> None:
    registry = {"service": "registry", "environment": "production"}
    prompt = change(4, kind="prompt", subject="summarise", dimensions=registry)
    other = change(4, kind="prompt", subject="translate", dimensions=registry)
    elsewhere = change(
        4, kind="prompt", subject="summarise", dimensions={**registry, "environment": "staging"}
    )
    found = likely_causes([prompt, other, elsewhere], RUN, NOW_US)
    assert [(one.subject, one.shared) for one in found] == [
        ("summarise", ("environment", "prompt_name"))
    ]


def test_of_what_took_long_a_change_in_its_midst_may_be_the_cause() -> None:
    deploys = [change(minutes, subject="critic", to_version=str(minutes)) for minutes in (9, -9)]
    long = [*deploys, change(-41, subject="critic", to_version="too late")]
    found = likely_causes(long, RUN, NOW_US, NOW_US + 40 * MINUTE_US)
    assert [(one.to_version, one.shared) for one in found] == [
        ("-9", ("agent", "service")), ("9", ("agent", "service")),
    ]  # fmt: skip
    assert str(found[0]) == "deploy of critic to -9, 9 min after it began"


def test_what_shares_more_comes_first_however_much_is_known_of_the_finding() -> None:
    agent = change(10, subject="researcher", dimensions={"service": "search"})
    price = change(10, kind="price", subject="gpt-5", dimensions={"service": "finance"})
    tenant = change(1, kind="policy", subject="limits", dimensions={})
    found = likely_causes([price, tenant, agent], RUN, NOW_US)
    assert [one.subject for one in found] == ["researcher", "gpt-5"]


def test_a_change_long_before_or_after_explains_nothing() -> None:
    assert subjects(change(121), change(-6)) == []
    assert subjects(change(120), change(-5)) == ["search", "search"]


def test_a_cause_reads_as_one_line() -> None:
    (cause,) = likely_causes([change(4, from_version="1", to_version="2")], DIMENSIONS, NOW_US)
    assert str(cause) == "deploy of search from 1 to 2, 4 min before it began"
