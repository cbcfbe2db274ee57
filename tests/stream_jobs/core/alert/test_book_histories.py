"""Random histories of findings: what holds for the lifecycle of alerts whatever happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import permutations
from operator import attrgetter
from random import Random

import pytest

from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    NOW_US,
    RULES,
    SEEDS,
    finding,
    history,
)
from tokentide_jobs.core.alert.alert_memory import recall
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.transition import NEXT_STATES, State, Transition


def play(book: AlertBook, steps: list[tuple[int, list[Finding]]]) -> list[Transition]:
    """Let a book live through a history whose stream is never late."""
    return [one for now_us, step in steps for one in book.observe(step, now_us, now_us)]


@pytest.mark.parametrize("seed", SEEDS)
class TestRandomHistories:
    def test_every_transition_is_valid_and_named_once(self, seed: int) -> None:
        by_alert: dict[str, list[Transition]] = defaultdict(list)
        made = play(AlertBook(RULES), history(seed))
        for one in made:
            by_alert[one.alert_id].append(one)
        assert made
        assert len({one.id for one in made}) == len(made)
        for life in by_alert.values():
            assert [one.sequence for one in life] == list(range(len(life)))
            last: State | None = None
            for one in life:
                assert one.state in NEXT_STATES[last]
                last = one.state

    def test_receivers_hear_of_an_end_where_they_heard_of_the_beginning(self, seed: int) -> None:
        announced: dict[str, bool] = defaultdict(bool)
        for one in play(AlertBook(RULES), history(seed)):
            if one.state == "closed":
                assert (not one.held) == announced[one.alert_id]
                announced[one.alert_id] = False
            elif not one.held:
                announced[one.alert_id] = True

    def test_no_more_openings_are_announced_than_make_a_storm(self, seed: int) -> None:
        book = AlertBook(RULES)
        opens = [
            (now_us, one.alert_id)
            for now_us, step in history(seed)
            for one in book.observe(step, now_us, now_us)
            if one.state == "open" and (not one.held) and one.finding.kind != "storm"
        ]
        for begin_us, _ in opens:
            end_us = begin_us + RULES.storm_us
            within = {alert for at_us, alert in opens if begin_us <= at_us < end_us}
            assert len(within) <= RULES.storm_opens

    def test_who_is_spoken_for_has_a_leader_that_is_no_less_urgent(self, seed: int) -> None:
        known: dict[str, str] = {}
        order = ("info", "ticket", "page")
        for one in play(AlertBook(RULES), history(seed)):
            what, _, leader = one.held.partition(" ")
            if one.state == "open" and what in ("parent", "incident", "storm"):
                assert order.index(known[leader]) >= order.index(one.severity)
            known[one.alert_id] = one.severity

    def test_a_book_that_went_on_from_the_store_says_nothing_twice(self, seed: int) -> None:
        """It dies again and again, and is given what came before its death once more."""
        steps = history(seed)
        whole = play(AlertBook(RULES), steps)
        chance = Random(seed)
        stored: dict[str, Transition] = {}
        book, at = AlertBook(RULES), 0
        while at < len(steps):
            now_us, step = steps[at]
            for one in book.observe(step, now_us, now_us):
                stored.setdefault(one.id, one)
            at += 1
            if chance.random() < 0.1:
                book = AlertBook(RULES)
                restore(book, stored.values())
                at = max(0, at - chance.randint(0, 3))
        assert finally_of(stored.values()) == finally_of(whole)
        announced: dict[str, bool] = defaultdict(bool)
        for one in sorted(stored.values(), key=attrgetter("alert_id", "sequence")):
            if one.state == "closed":
                assert (not one.held) == announced[one.alert_id]
            announced[one.alert_id] |= not one.held
            announced[one.alert_id] &= one.state != "closed"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_several_alerts_about_one_thing_the_newest_goes_on(order: tuple[int, ...]) -> None:
    """Each came after the cooldown of the one before; only the last one is still open."""
    book, stored = AlertBook(RULES), []
    for number in range(3):
        at_us = NOW_US + number * 60 * MINUTE_US
        stored += book.observe([finding(at_us=at_us)], at_us, at_us)
        end_us = at_us + 10 * MINUTE_US
        if number < 2:
            ends = finding(change="ends", at_us=end_us)
            stored += book.observe([ends], end_us, end_us)
    lasts = [[one for one in stored if one.alert_id == name][-1] for name in names_of(stored)]
    assert [one.state for one in lasts] == ["closed", "closed", "open"]
    after = AlertBook(RULES)
    after.restore([recall(lasts[place].memory) for place in order], [])
    (closed,) = after.observe([finding(change="ends", at_us=end_us)], end_us, end_us)
    assert (closed.alert_id, closed.state) == (lasts[-1].alert_id, "closed")


def names_of(made: Iterable[Transition]) -> list[str]:
    """Return the alerts of transitions, in the order in which they began."""
    return list(dict.fromkeys(one.alert_id for one in made))


def restore(book: AlertBook, stored: Iterable[Transition]) -> None:
    """Let a book go on from stored transitions."""
    last = {one.alert_id: one for one in sorted(stored, key=attrgetter("sequence"))}
    opens = [
        (one.at_us, one.finding.identity)
        for one in stored
        if (not one.held) and one.state == "open" and one.finding.kind != "storm"
    ]
    newest = max((at_us for at_us, _ in opens), default=0)
    book.restore(
        [recall(one.memory) for one in last.values()],
        [one for one in opens if one[0] > newest - RULES.storm_us],
    )


def finally_of(stored: Iterable[Transition]) -> dict[str, str]:
    """Return the last state of every alert but storms, which count what is announced."""
    last = {one.alert_id: one for one in sorted(stored, key=attrgetter("sequence"))}
    return {
        f"{one.finding.kind} {one.finding.key} {one.finding.metric} {one.opened_us}": one.state
        for one in last.values()
        if one.finding.kind != "storm"
    }


def test_an_alert_that_another_version_remembers_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        recall('{"finding": {}}')
