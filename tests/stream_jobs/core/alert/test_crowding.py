"""A full book: the least urgent alerts make room, and nothing goes unseen."""

from __future__ import annotations

import pytest

from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    MODEL,
    NOW_US,
    dollars_an_hour,
    finding,
)
from tests.stream_jobs.core.alert.test_book import states
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Impact, Kind
from tokentide_jobs.core.alert.transition import State


class TestTooMany:
    """A book of three alerts that is full."""

    PAGE = dollars_an_hour(100)

    def full(self, *impacts: Impact) -> AlertBook:
        book = AlertBook(AlertRules(most_alerts=3))
        for number, impact in enumerate(impacts):
            at_us = NOW_US + number
            one = finding(dimensions=(("tenant", f"t{number}"),), impact=impact, at_us=at_us)
            book.observe([one], at_us, at_us)
        assert book.is_full
        return book

    def take(self, book: AlertBook, **changed: object) -> list[tuple[str, State]]:
        at_us = NOW_US + MINUTE_US
        one = finding(dimensions=(("tenant", "new"),), at_us=at_us, **changed)
        return [(one.finding.key, one.state) for one in book.observe([one], at_us, at_us)]

    def test_the_oldest_of_the_less_urgent_makes_room_and_closes(self) -> None:
        book = self.full(self.PAGE, Impact(), Impact())
        assert self.take(book, impact=self.PAGE) == [
            ("tenant t1", "closed"), ("tenant new", "open"),
        ]  # fmt: skip
        assert (len(book.alerts), book.refused) == (3, 0)

    def test_what_is_closed_makes_room_first(self) -> None:
        book = self.full(Impact(), self.PAGE, Impact())
        page = (("tenant", "t1"),)
        at_us = NOW_US + 3
        book.observe([finding(change="ends", dimensions=page, at_us=at_us)], at_us, at_us)
        assert self.take(book) == [("tenant new", "open")]

    def test_an_alert_without_a_notification_makes_room_for_one_as_urgent(self) -> None:
        book = AlertBook(AlertRules(most_alerts=2))
        book.observe([finding(), finding(dimensions=MODEL)], NOW_US, NOW_US)
        assert self.take(book) == [
            ("provider openai, model gpt-5", "closed"), ("tenant new", "open"),
        ]  # fmt: skip

    def test_what_is_no_more_urgent_is_counted_and_dropped(self) -> None:
        book = self.full(Impact(), self.PAGE, Impact())
        many = [finding(dimensions=(("tenant", f"n{number}"),)) for number in range(5)]
        assert book.observe(many, NOW_US + 3, NOW_US + 3) == []
        assert book.refused == 5

    @pytest.mark.parametrize("kind", ["budget", "slo", "pipeline"])
    def test_a_configured_alert_is_never_dropped(self, kind: Kind) -> None:
        book = self.full(self.PAGE, self.PAGE, self.PAGE)
        made = self.take(book, kind=kind, severity="ticket")
        assert [key for key, _state in made] == ["tenant new"]
        assert book.refused == 0

    def test_what_was_over_when_it_was_found_is_recorded_and_not_held(self) -> None:
        book = AlertBook(AlertRules(most_alerts=3))
        old = [
            finding(kind="run", dimensions=(("run", f"r{number}"),), is_history=True, is_over=True)
            for number in range(9)
        ]
        made = book.observe(old, NOW_US, NOW_US)
        assert states(made) == [("open", "history"), ("closed", "unannounced")] * 9
        assert book.alerts == {}
        assert {one.id for one in book.observe(old, NOW_US, NOW_US)} == {one.id for one in made}
