"""The lifecycle of alerts: what opens, what is announced, what is one, and what a replay says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    MODEL,
    NOW_US,
    PROVIDER,
    TENANT,
    dollars_an_hour,
    finding,
)
from tokentide_jobs.core.alert.alert import Action, Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Impact, Severity
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.core.alert.transition import State, Transition
from tokentide_jobs.errors import InvariantViolation


def states(transitions: list[Transition]) -> list[tuple[State, str]]:
    """Return states, and the first words of why they are not announced."""
    return [(one.state, one.held.partition(" ")[0]) for one in transitions]


@pytest.fixture
def book() -> AlertBook:
    return AlertBook(AlertRules())


class TestOneAlert:
    def test_it_opens_at_once_and_closes_with_the_reason(self, book: AlertBook) -> None:
        (opened,) = book.observe([finding()], NOW_US, NOW_US)
        end_us = NOW_US + 12 * MINUTE_US
        ends = finding(change="ends", at_us=end_us, sentence="it is back to usual")
        (closed,) = book.observe([ends], end_us, end_us)
        assert states([opened, closed]) == [("open", ""), ("closed", "")]
        assert opened.sentence.startswith("error_ratio of provider openai is 40 %")
        assert closed.sentence == (
            "error_ratio of provider openai: closed after 12 min, it is back to usual"
        )

    def test_what_still_fires_says_nothing_new(self, book: AlertBook) -> None:
        book.observe([finding()], NOW_US, NOW_US)
        later = NOW_US + MINUTE_US
        assert book.observe([finding(at_us=later)], later, later) == []

    def test_it_is_announced_again_when_it_gets_worse(self, book: AlertBook) -> None:
        book.observe([finding()], NOW_US, NOW_US)
        later = NOW_US + MINUTE_US
        worse = finding(at_us=later, impact=dollars_an_hour(100))
        (raised,) = book.observe([worse], later, later)
        assert (raised.state, raised.severity, raised.held) == ("open", "page", "")

    @pytest.mark.parametrize(
        ("impact", "severity"),
        [
            (Impact(pico_usd_per_hour=50 * 10**12), "page"),
            (Impact(pico_usd_per_hour=50 * 10**12 - 1), "ticket"),
            (Impact(failed_per_minute=10.0), "page"),
            (Impact(failed_per_minute=9.9), "ticket"),
        ],
    )
    def test_impact_decides_how_urgent_it_is(
        self, book: AlertBook, impact: Impact, severity: str
    ) -> None:
        (opened,) = book.observe([finding(impact=impact)], NOW_US, NOW_US)
        assert opened.severity == severity

    def test_a_young_baseline_makes_a_ticket_at_most(self, book: AlertBook) -> None:
        young = finding(impact=dollars_an_hour(1_000), at_most="ticket")
        (opened,) = book.observe([young], NOW_US, NOW_US)
        assert opened.severity == "ticket"

    def test_a_kind_that_has_to_last_opens_when_it_did(self, book: AlertBook) -> None:
        slow = finding(kind="slo")
        (pending,) = book.observe([slow], NOW_US, NOW_US)
        later = NOW_US + 5 * MINUTE_US
        (opened,) = book.observe([], later, later)
        assert states([pending, opened]) == [("pending", "pending"), ("open", "")]
        assert [pending.since_us, opened.since_us] == [NOW_US, NOW_US]  # it began when it was found
        assert opened.at_us == NOW_US + 2 * MINUTE_US

    def test_what_does_not_last_is_never_announced(self, book: AlertBook) -> None:
        book.observe([finding(kind="slo")], NOW_US, NOW_US)
        later = NOW_US + MINUTE_US
        ends = finding(kind="slo", change="ends", at_us=later)
        assert states(book.observe([ends], later, later)) == [("closed", "pending")]

    def test_levels_are_announced_each_and_once(self, book: AlertBook) -> None:
        made: list[Transition] = []
        for number, percent in enumerate((50, 80, 80, 50, 95)):
            at_us = NOW_US + number * MINUTE_US
            one = finding(kind="budget", severity="ticket", level=percent, at_us=at_us)
            made += book.observe([one], at_us, at_us)
        assert [one.finding.level for one in made if not one.held] == [50, 80, 95]

    @pytest.mark.parametrize("later_level", [80, 100])
    def test_a_level_that_is_reached_by_an_earlier_window_is_announced(
        self, book: AlertBook, later_level: int
    ) -> None:
        """One partition lags behind the other; what is given again says nothing."""
        first = finding(kind="budget", severity="ticket", level=50)
        book.observe([first], NOW_US, NOW_US)
        earlier = replace(first, at_us=NOW_US - MINUTE_US, level=later_level, severity="page")
        now_us = NOW_US + MINUTE_US
        (worse,) = book.observe([earlier], now_us, now_us)
        assert (worse.finding.level, worse.severity, worse.held) == (later_level, "page", "")
        assert book.observe([first, earlier], now_us, now_us) == []

    def test_what_a_person_closed_comes_back_by_the_level_of_an_earlier_window(
        self, book: AlertBook
    ) -> None:
        first = finding(kind="budget", severity="ticket", level=80)
        (opened,) = book.observe([first], NOW_US, NOW_US)
        now_us = NOW_US + MINUTE_US
        close = Action(
            alert_id=opened.alert_id, verb="close", author="dana", reason="ok", at_us=now_us
        )
        book.observe([], now_us, now_us, [close])
        earlier = replace(first, at_us=NOW_US - MINUTE_US, level=100)
        (again,) = book.observe([earlier], now_us, now_us)
        assert (again.state, again.finding.level, again.held) == ("open", 100, "")

    @pytest.mark.parametrize("severities", [("info", "ticket", "page"), ("ticket",) * 3])
    def test_levels_that_are_reached_at_once_are_one_announcement_of_the_highest(
        self, book: AlertBook, severities: tuple[Severity, ...]
    ) -> None:
        levels = zip((50, 80, 100), severities, strict=True)
        at_once = [finding(kind="budget", level=level, severity=stated) for level, stated in levels]
        (opened,) = book.observe(at_once, NOW_US, NOW_US)
        assert opened.finding.level == 100
        now_us = NOW_US + MINUTE_US
        ack = Action(alert_id=opened.alert_id, verb="ack", author="dana", reason="", at_us=now_us)
        (acknowledged,) = book.observe([], now_us, now_us, [ack])
        assert acknowledged.finding.level == 100


class TestFlapping:
    def at(self, book: AlertBook, minute: int, change: str) -> list[Transition]:
        at_us = NOW_US + minute * MINUTE_US
        return book.observe([finding(change=change, at_us=at_us)], at_us, at_us)

    def test_within_the_cooldown_it_is_the_same_alert(self, book: AlertBook) -> None:
        first = self.at(book, 0, "fires") + self.at(book, 5, "ends")
        (again,) = self.at(book, 20, "fires")
        assert again.alert_id == first[0].alert_id
        assert (again.sequence, again.flaps) == (2, 1)

    def test_a_finding_that_is_given_again_is_no_return(self, book: AlertBook) -> None:
        first = self.at(book, 0, "fires") + self.at(book, 5, "ends")
        assert len(first) == 2
        now_us = NOW_US + 6 * MINUTE_US
        again = [finding(), finding(change="ends", at_us=NOW_US + 5 * MINUTE_US)]
        assert book.observe(again, now_us, now_us) == []

    def test_after_the_cooldown_it_is_another_alert(self, book: AlertBook) -> None:
        first = self.at(book, 0, "fires") + self.at(book, 5, "ends")
        (again,) = self.at(book, 36, "fires")
        assert again.alert_id != first[0].alert_id
        assert (again.sequence, again.flaps) == (0, 0)

    def test_after_some_returns_it_stays_open_until_it_was_quiet_for_long(
        self, book: AlertBook
    ) -> None:
        made: list[Transition] = []
        for minute in range(0, 120, 10):
            made += self.at(book, minute, "fires") + self.at(book, minute + 5, "ends")
        end_us = NOW_US + 200 * MINUTE_US
        made += book.observe([], end_us, end_us)
        sent = [one.state for one in made if not one.held]
        assert sent == ["open", "closed", "open", "closed", "open", "closed"]
        assert made[-1].at_us == NOW_US + (115 + 30) * MINUTE_US


class TestWhoSpeaksForWhom:
    def test_a_provider_absorbs_its_models_and_the_tenants_it_carries(
        self, book: AlertBook
    ) -> None:
        carried = finding(dimensions=TENANT, carriers=(PROVIDER,))
        other = finding(dimensions=(("tenant", "globex"),), carriers=((("provider", "groq"),),))
        made = book.observe([carried, finding(dimensions=MODEL), finding(), other], NOW_US, NOW_US)
        held = {one.finding.key: one.held.partition(" ")[0] for one in made}
        assert held == {
            "provider openai": "",
            "provider openai, model gpt-5": "parent",
            "tenant acme": "parent",
            "tenant globex": "",
        }

    def test_a_carried_alert_comes_after_its_provider_whatever_its_name(
        self, book: AlertBook
    ) -> None:
        tenants = [
            finding(dimensions=(("tenant", f"t{number}"),), carriers=(PROVIDER,))
            for number in range(5)
        ]
        made = book.observe([*tenants, finding()], NOW_US, NOW_US)
        assert [one.finding.key for one in made if not one.held] == ["provider openai"]

    def test_a_parent_of_another_direction_absorbs_nothing(self, book: AlertBook) -> None:
        down = finding(dimensions=MODEL, metric="requests", direction="down")
        up = finding(metric="requests", direction="up")
        assert states(book.observe([down, up], NOW_US, NOW_US)) == [("open", ""), ("open", "")]

    def test_a_child_that_is_worse_than_its_parent_speaks_for_itself(self, book: AlertBook) -> None:
        page = finding(dimensions=MODEL, impact=dollars_an_hour(100))
        made = book.observe([finding(), page], NOW_US, NOW_US)
        assert [one.severity for one in made if not one.held] == ["ticket", "page"]

    def test_a_child_that_outlives_its_parent_is_announced_then(self, book: AlertBook) -> None:
        book.observe([finding(), finding(dimensions=MODEL)], NOW_US, NOW_US)
        end_us = NOW_US + MINUTE_US
        book.observe([finding(change="ends", at_us=end_us)], end_us, end_us)
        assert book.observe([], end_us + 9 * MINUTE_US, end_us + 9 * MINUTE_US) == []
        later = end_us + 10 * MINUTE_US
        (opened,) = book.observe([], later, later)
        assert (opened.finding.dimensions, opened.held) == (MODEL, "")

    def test_metrics_of_one_key_are_one_incident(self, book: AlertBook) -> None:
        book.observe([finding()], NOW_US, NOW_US)
        soon, late = NOW_US + 9 * MINUTE_US, NOW_US + 11 * MINUTE_US
        second = finding(metric="latency_p95_ms", at_us=soon)
        third = finding(metric="ttft_p50_ms", at_us=late)
        made = book.observe([second], soon, soon) + book.observe([third], late, late)
        assert states(made) == [("open", "incident"), ("open", "")]

    def test_many_at_once_are_one_storm_that_lists_them(self, book: AlertBook) -> None:
        many = [finding(dimensions=(("tenant", f"t{number}"),)) for number in range(40)]
        made = book.observe(many, NOW_US, NOW_US)
        announced = [one for one in made if not one.held]
        assert [one.finding.kind for one in announced] == ["anomaly"] * 5 + ["storm"]
        assert announced[-1].sentence.startswith("6 alerts opened, most of them within 10 minutes")
        end_us = NOW_US + 20 * MINUTE_US
        ends = [finding(change="ends", dimensions=one.dimensions, at_us=end_us) for one in many]
        closed = [one for one in book.observe(ends, end_us, end_us) if not one.held]
        assert [one.finding.kind for one in closed] == ["anomaly"] * 5 + ["storm"]
        assert len(closed[-1].members) == 40

    def test_a_page_in_a_storm_of_tickets_makes_the_storm_a_page(self, book: AlertBook) -> None:
        tickets = [finding(dimensions=(("tenant", f"t{number}"),)) for number in range(7)]
        book.observe(tickets, NOW_US, NOW_US)
        later = NOW_US + MINUTE_US
        page = finding(dimensions=TENANT, at_us=later, impact=dollars_an_hour(100))
        announced = [one for one in book.observe([page], later, later) if not one.held]
        assert [(one.finding.kind, one.severity) for one in announced] == [("storm", "page")]

    def test_a_member_that_becomes_a_page_makes_the_storm_a_page(self, book: AlertBook) -> None:
        tickets = [finding(dimensions=(("tenant", f"t{number}"),)) for number in range(7)]
        swallowed = book.observe(tickets, NOW_US, NOW_US)[-1].finding
        later = NOW_US + MINUTE_US
        worse = replace(swallowed, at_us=later, impact=dollars_an_hour(100))
        announced = [one for one in book.observe([worse], later, later) if not one.held]
        assert [(one.finding.kind, one.severity) for one in announced] == [("storm", "page")]


class TestHeldBack:
    def test_history_is_recorded_and_never_announced(self, book: AlertBook) -> None:
        old, now = finding(is_history=True), NOW_US + MINUTE_US
        ends = finding(change="ends", at_us=now)
        made = book.observe([old], NOW_US, NOW_US) + book.observe([ends], now, now)
        assert states(made) == [("open", "history"), ("closed", "unannounced")]

    def test_what_came_and_went_in_an_outage_is_never_announced(self, book: AlertBook) -> None:
        hour = 60 * MINUTE_US
        ends = finding(change="ends", at_us=NOW_US + MINUTE_US)
        made = book.observe([finding(), ends], NOW_US + 2 * MINUTE_US, NOW_US + hour)
        made += book.observe([], NOW_US + hour, NOW_US + hour)
        assert states(made) == [("open", "history"), ("closed", "unannounced")]

    def test_what_is_still_open_after_an_outage_is_announced_once(self, book: AlertBook) -> None:
        hour = 60 * MINUTE_US
        made = book.observe([finding()], NOW_US, NOW_US + hour)
        for minute in (44, 45, 46, 60):
            made += book.observe([], NOW_US + minute * MINUTE_US, NOW_US + hour)
        assert states(made) == [("open", "history"), ("open", "")]
        assert made[-1].at_us == NOW_US + 45 * MINUTE_US

    def silence(self, pattern: str) -> Silence:
        return Silence(
            id="s1",
            matchers=(("provider", pattern), ("kind", "anomaly")),
            start_us=NOW_US,
            end_us=NOW_US + 10 * MINUTE_US,
            author="dana",
            reason="maintenance",
        )

    def test_a_silence_holds_back_and_what_outlasts_it_is_announced(self, book: AlertBook) -> None:
        book.silences = [self.silence("open*")]
        made = book.observe([finding()], NOW_US, NOW_US)
        for minute in (9, 10, 11):
            at_us = NOW_US + minute * MINUTE_US
            made += book.observe([], at_us, at_us)
        assert states(made) == [("open", "silence"), ("open", "")]
        assert made[-1].at_us == NOW_US + 10 * MINUTE_US

    def test_a_silence_of_others_holds_nothing_back(self, book: AlertBook) -> None:
        book.silences = [self.silence("groq")]
        assert states(book.observe([finding()], NOW_US, NOW_US)) == [("open", "")]

    def test_the_end_of_an_announced_alert_is_announced_in_a_silence(self, book: AlertBook) -> None:
        book.observe([finding()], NOW_US, NOW_US)
        book.silences = [self.silence("*")]
        at_us = NOW_US + MINUTE_US
        ends = finding(change="ends", at_us=at_us)
        assert states(book.observe([ends], at_us, at_us)) == [("closed", "")]


def test_no_state_follows_but_the_ones_that_may() -> None:
    alert = Alert(finding(), NOW_US)
    with pytest.raises(InvariantViolation, match="from None to closed"):
        alert.enter("closed", NOW_US, "")
