"""The pipeline itself: one alert for an outage, none for a restart, and the truth about shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.each import each
from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.pipeline import (
    PartOfWhole,
    SharedMetric,
    SourceState,
    share_findings,
    silence_finding,
    source_findings,
)
from tokentide_jobs.core.alert.pipeline_rules import PipelineRules
from tokentide_jobs.core.alert.transition import Transition

RULES = PipelineRules()
SECOND_US = 1_000_000
EVENTS = "tokentide.events.v1"
Arrived = Callable[[int], int | None]
"""By seconds since the beginning: until which second everything is stored."""


def source(arrived_us: int | None, lag: int = 0, partition: int = 0) -> SourceState:
    return SourceState(EVENTS, partition, arrived_us, lag)


def looks(arrived: Arrived, until_s: int) -> Iterator[tuple[int, list[Finding]]]:
    """Yield what is found every ten seconds at two partitions, of which one is as said."""
    for second in range(0, until_s, 10):
        clock_us, reached = NOW_US + second * SECOND_US, arrived(second)
        at_us = None if reached is None else NOW_US + reached * SECOND_US
        waiting = 0 if reached is None else (second - reached) * 5_000
        both = [source(at_us, waiting), source(clock_us, partition=1)]
        yield clock_us, list(source_findings(both, NOW_US - MINUTE_US, clock_us, RULES))


def announced(arrived: Arrived, until_s: int = 3_600) -> list[Transition]:
    book, made = AlertBook(AlertRules()), []
    for clock_us, found in looks(arrived, until_s):
        made += book.observe(found, NOW_US, clock_us)  # the stream stands still
    return [one for one in made if not one.held]


def test_an_outage_is_one_alert_that_ends_when_everything_is_stored() -> None:
    def arrived(second: int) -> int:
        return second if second < 300 or second >= 1_500 else 300

    opened, closed = announced(arrived)
    assert (opened.state, opened.finding.metric, opened.severity) == ("open", "late", "page")
    assert (opened.at_us - NOW_US) // SECOND_US == 300 + 190 + 120
    assert opened.sentence == (
        "1 of 2 partitions of the log have waited for up to 5 minutes to be stored, "
        "tokentide.events.v1/0 longest: windows, runs and budgets are behind"
    )
    assert (closed.state, (closed.at_us - NOW_US) // SECOND_US) == ("closed", 1_500)
    assert closed.alert_id == opened.alert_id


@pytest.mark.parametrize(
    "arrived",
    [
        pytest.param(lambda second: second, id="all is well"),
        pytest.param(lambda second: second if second > 100 else None, id="ingest restarts"),
        pytest.param(
            lambda second: second if second % 600 > 120 else second - second % 600,
            id="a rebalance of two minutes every ten",
        ),
        pytest.param(lambda second: second - 170, id="a backlog below the limit"),
        pytest.param(
            lambda second: 300 if 300 <= second < 560 else second, id="an outage of four minutes"
        ),
    ],
)
def test_what_ends_within_minutes_is_no_alert(arrived: Arrived) -> None:
    assert announced(arrived) == []


def test_a_detector_that_stood_still_itself_raises_nothing_while_it_catches_up() -> None:
    book, made = AlertBook(AlertRules()), []
    # An hour without a look, as in an outage of the store; then a minute of old marks.
    for second in (0, 10, 3_610, 3_620, 3_670, 3_680):
        clock_us = NOW_US + second * SECOND_US
        arrived_us = clock_us if second < 100 or second > 3_670 else NOW_US + 10 * SECOND_US
        found = list(source_findings([source(arrived_us)], NOW_US, clock_us, RULES))
        made += book.observe(found, NOW_US, clock_us)
    assert [one.state for one in made] == ["pending", "closed"]
    assert all(one.held for one in made)


def test_who_begins_waits_as_long_for_the_first_word_as_for_any_other() -> None:
    soon, late = NOW_US + 170 * SECOND_US, NOW_US + 190 * SECOND_US
    for sources in ([], [source(None)], [source(NOW_US - 60 * MINUTE_US)]):
        changes = [
            [one.change for one in source_findings(sources, NOW_US, at_us, RULES)]
            for at_us in (soon, late)
        ]
        assert changes == [["ends", "ends"], ["fires", "ends"]]
    (silent, _lag) = source_findings([], NOW_US, late, RULES)
    assert silent.sentence == "ingest has said nothing for 3 minutes: nothing new is stored"


@each(
    ("metric", "part", "whole", "change"),
    [
        ("dead_letters", 99, 100, "ends"),
        ("dead_letters", 100, 10_000, "ends"),
        ("dead_letters", 101, 10_000, "fires"),
        ("unpriced", 20, 100, "fires"),
        ("unpriced", 19, 19, "ends"),
        ("lost", 100, 0, "fires"),
        ("lost", 0, 0, "ends"),
        ("lost", 100, 100_000, "ends"),
    ],
)
def test_a_share_fires_beyond_what_is_allowed_and_only_if_there_are_enough(
    metric: SharedMetric, part: int, whole: int, change: str
) -> None:
    (found,) = share_findings({metric: PartOfWhole(part, whole)}, NOW_US, RULES)
    assert found.change == change


def test_a_share_is_said_in_numbers() -> None:
    (found,) = share_findings({"dead_letters": PartOfWhole(300, 10_000)}, NOW_US, RULES)
    assert found.sentence == (
        "300 of 10,000 events were refused and are dead letters (3 %) in 10 min; 1 % are allowed"
    )
    assert (found.evidence.value, found.evidence.upper, found.evidence.n) == (0.03, 0.01, 10_000)


def test_services_that_fell_silent_are_named_until_they_report_again() -> None:
    silent = [(f"s{n}", NOW_US - 20 * MINUTE_US) for n in range(7)]
    found = silence_finding(silent, NOW_US, NOW_US, RULES)
    assert found.sentence == (
        "7 services that always reported fell silent, up to 20 minutes ago: "
        "s0, s1, s2, s3, s4 and 2 more"
    )
    assert silence_finding([], NOW_US, NOW_US, RULES).change == "ends"
    assert silence_finding([], NOW_US, NOW_US, RULES).identity == found.identity
