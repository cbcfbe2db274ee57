"""What people do about alerts counts from its time on, and is over with what it was about."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    NOW_US,
    dollars_an_hour,
    finding,
)
from tests.stream_jobs.core.alert.test_book import states
from tokentide_jobs.core.alert.alert import Action, Alert
from tokentide_jobs.core.alert.alert_memory import recall
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.transition import Transition


@pytest.fixture
def book() -> AlertBook:
    return AlertBook(AlertRules())


class TestPeople:
    def act(
        self, book: AlertBook, verb: Literal["ack", "close"], name: str, minute: int
    ) -> list[Transition]:
        at_us = NOW_US + minute * MINUTE_US
        action = Action(alert_id=name, verb=verb, author="dana", reason="on it", at_us=at_us)
        return book.observe([], at_us, at_us, [action])

    def test_an_acknowledged_alert_opens_again_only_when_it_gets_worse(
        self, book: AlertBook
    ) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        (acknowledged,) = self.act(book, "ack", opened.alert_id, 1)
        assert (acknowledged.state, acknowledged.author) == ("acknowledged", "dana")
        assert self.act(book, "ack", opened.alert_id, 2) == []
        later = NOW_US + 3 * MINUTE_US
        assert book.observe([finding(at_us=later)], later, later) == []
        worse = finding(at_us=later, impact=dollars_an_hour(100))
        assert states(book.observe([worse], later, later)) == [("open", "")]

    def test_what_a_person_closed_does_not_come_back_while_it_goes_on(
        self, book: AlertBook
    ) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        (closed,) = self.act(book, "close", opened.alert_id, 1)
        assert closed.sentence.endswith("closed by dana after 1 min, on it")
        for minute in (2, 40, 80):
            at_us = NOW_US + minute * MINUTE_US
            assert book.observe([finding(at_us=at_us)], at_us, at_us) == []
        at_us = NOW_US + 90 * MINUTE_US
        ends = finding(change="ends", at_us=at_us)
        assert states(book.observe([ends], at_us, at_us)) == [("closed", "unannounced")]
        assert book.observe([replace(ends, at_us=at_us + 1)], at_us + 1, at_us + 1) == []
        at_us += 40 * MINUTE_US
        (again,) = book.observe([finding(at_us=at_us)], at_us, at_us)
        assert again.alert_id != opened.alert_id

    def test_what_a_person_knows_is_said_again_after_300_days_in_which_nothing_changed(
        self, book: AlertBook
    ) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        self.act(book, "ack", opened.alert_id, 1)
        day_us = 24 * 60 * MINUTE_US
        stated = []
        for day in range(1, 620):
            at_us = NOW_US + day * day_us
            stated += [(day, *state) for state in states(book.observe([], at_us, at_us))]
        assert stated == [(301, "acknowledged", ""), (601, "acknowledged", "")]
        (alert,) = book.alerts.values()
        assert alert.changed_us == NOW_US + MINUTE_US

    def test_what_a_person_closed_and_what_then_ended_comes_back_also_after_a_restart(
        self, book: AlertBook
    ) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        self.act(book, "close", opened.alert_id, 1)
        end_us = NOW_US + 10 * MINUTE_US
        (ended,) = book.observe([finding(change="ends", at_us=end_us)], end_us, end_us)
        for minute, name in ((20, opened.alert_id), (300, "")):
            one = AlertBook(AlertRules())
            one.restore([recall(ended.memory)], [])
            at_us = NOW_US + minute * MINUTE_US
            (again,) = one.observe([finding(at_us=at_us)], at_us, at_us)
            assert (again.state, again.held) == ("open", "")
            assert (again.alert_id == name) == bool(name)

    def test_members_of_a_storm_that_a_person_closed_are_announced_ten_minutes_later(
        self, book: AlertBook
    ) -> None:
        many = [finding(dimensions=(("tenant", f"t{number}"),)) for number in range(8)]
        made = book.observe(many, NOW_US, NOW_US)
        held = {one.alert_id for one in made if one.held}
        (storm,) = (one for one in made if one.finding.kind == "storm")
        self.act(book, "close", storm.alert_id, 15)
        at_us = NOW_US + 24 * MINUTE_US
        assert book.observe([], at_us, at_us) == []
        at_us = NOW_US + 25 * MINUTE_US
        late = book.observe([], at_us, at_us)
        assert {one.alert_id for one in late if not one.held} == held
        assert len(held) == 3
        at_us += MINUTE_US
        assert book.observe([], at_us, at_us) == []

    @pytest.mark.parametrize("verb", ["ack", "close"])
    def test_an_action_on_what_a_clock_that_is_ahead_reported_counts(
        self, book: AlertBook, verb: Literal["ack", "close"]
    ) -> None:
        ahead = finding(kind="run", at_us=NOW_US + 50 * MINUTE_US)
        (opened,) = book.observe([ahead], NOW_US, NOW_US)
        (acted,) = self.act(book, verb, opened.alert_id, 1)
        assert (acted.state, acted.author) == (
            "acknowledged" if verb == "ack" else "closed", "dana",
        )  # fmt: skip

    def test_an_action_counts_from_its_time_on_even_if_it_is_read_early(
        self, book: AlertBook
    ) -> None:
        name = Alert(finding(), NOW_US).id
        at_us = NOW_US + 2 * MINUTE_US
        ack = Action(alert_id=name, verb="ack", author="dana", reason="seen", at_us=at_us)
        assert states(book.observe([finding()], NOW_US, NOW_US, [ack])) == [("open", "")]
        assert states(book.observe([], at_us, at_us)) == [("acknowledged", "")]

    def test_an_action_is_done_at_once_while_the_stream_stands_still_and_once(
        self, book: AlertBook
    ) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        clock_us = NOW_US + 5 * MINUTE_US
        ack = Action(
            alert_id=opened.alert_id, verb="ack", author="dana", reason="seen", at_us=clock_us
        )
        (acknowledged,) = book.observe([], NOW_US, clock_us, [ack])
        assert (acknowledged.state, acknowledged.at_us) == ("acknowledged", clock_us)
        # What the stream says later of earlier times is newer than the action: it got worse.
        worse = finding(at_us=NOW_US + MINUTE_US, impact=dollars_an_hour(100))
        (raised,) = book.observe([worse], NOW_US + MINUTE_US, clock_us + MINUTE_US, [ack])
        assert (raised.state, raised.severity) == ("open", "page")
        assert book.observe([], NOW_US + MINUTE_US, clock_us + 2 * MINUTE_US, [ack]) == []
