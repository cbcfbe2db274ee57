"""What was held back is announced late only where it is known to go on."""

from __future__ import annotations

import pytest

from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US, RULES, finding
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.core.alert.transition import Transition
from tokentide_jobs.core.tables import DAY_US, HOUR_US

LATER_US = NOW_US + HOUR_US
FIRES = finding()
ENDS = finding(change="ends", at_us=LATER_US)


def held(by: str) -> AlertBook:
    """Return a book with an alert that is held back until LATER_US."""
    book = AlertBook(RULES)
    clock_us = LATER_US if by == "history" else NOW_US
    if by == "silence":
        silence = Silence(
            id="s", matchers=(), start_us=0, end_us=LATER_US, author="dana", reason="test"
        )
        book.silences = [silence]
    (opened,) = book.observe([FIRES], NOW_US, clock_us)
    assert opened.held.startswith(by)
    return book


def states(made: list[Transition]) -> list[tuple[str, str]]:
    return [(one.state, one.held) for one in made]


@pytest.mark.parametrize("by", ["history", "silence"])
class TestHeldBack:
    def test_it_is_announced_once_nothing_holds_it_back(self, by: str) -> None:
        assert states(held(by).observe([], LATER_US, LATER_US)) == [("open", "")]

    def test_it_is_not_announced_while_it_may_be_over(self, by: str) -> None:
        book = held(by)
        book.unsure = {FIRES.identity}
        assert book.observe([], LATER_US, LATER_US) == []
        book.unsure = ()
        assert states(book.observe([], LATER_US, LATER_US)) == [("open", "")]

    def test_it_ends_unannounced_where_it_turns_out_to_be_over(self, by: str) -> None:
        book = held(by)
        book.unsure = {FIRES.identity}
        other = finding(dimensions=(("tenant", "other"),), at_us=LATER_US - MINUTE_US)
        made = book.observe([other, ENDS], LATER_US, LATER_US)
        mine = [one for one in made if one.finding.identity == FIRES.identity]
        assert states(mine) == [("closed", "unannounced")]

    def test_it_is_not_announced_in_the_moment_of_its_end(self, by: str) -> None:
        assert states(held(by).observe([ENDS], LATER_US, LATER_US)) == [("closed", "unannounced")]


def test_what_waits_to_open_waits_on_while_it_may_be_over() -> None:
    book, run = AlertBook(RULES), finding(kind="run")
    assert states(book.observe([run], NOW_US, NOW_US)) == [("pending", "pending")]
    book.unsure = {run.identity}
    assert book.observe([], LATER_US, LATER_US) == []
    book.unsure = ()
    late = book.observe([], LATER_US, LATER_US)
    assert states(late) == [("open", "history"), ("open", "")]


def test_what_is_open_for_long_is_not_announced_again_while_it_may_be_over() -> None:
    book = AlertBook(RULES)
    assert states(book.observe([FIRES], NOW_US, NOW_US)) == [("open", "")]
    book.unsure = {FIRES.identity}
    later_us = NOW_US + 301 * DAY_US
    assert book.observe([], later_us, later_us) == []
    ends = finding(change="ends", at_us=later_us)
    assert states(book.observe([ends], later_us, later_us)) == [("closed", "")]
