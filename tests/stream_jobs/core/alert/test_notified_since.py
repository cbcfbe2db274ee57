"""A receiver is notified of what comes since it is one, of a severity since it asks for it."""

from __future__ import annotations

from tokentide_jobs.core.alert.finding import Severity
from tokentide_jobs.core.alert.notified_since import since_by_key

PAGES: tuple[Severity, ...] = ("page",)
TICKETS: tuple[Severity, ...] = ("ticket", "page")


def test_the_first_receivers_of_an_installation_are_notified_of_everything() -> None:
    assert since_by_key(None, [("a", TICKETS)], 5) == {"a/ticket": 0, "a/page": 0}


def test_a_receiver_that_stays_misses_nothing_and_a_new_one_begins_now() -> None:
    before = since_by_key(None, [("a", PAGES)], 5)
    assert since_by_key(before, [("a", PAGES), ("b", PAGES)], 9) == {"a/page": 0, "b/page": 9}


def test_a_lower_severity_begins_when_it_is_asked_for() -> None:
    before = since_by_key({}, [("a", PAGES)], 5)
    lowered = since_by_key(before, [("a", TICKETS)], 9)
    assert lowered == {"a/page": 5, "a/ticket": 9}
    raised = since_by_key(lowered, [("a", PAGES)], 11)
    assert since_by_key(raised, [("a", TICKETS)], 13) == {"a/page": 5, "a/ticket": 13}


def test_a_receiver_that_was_left_out_begins_anew() -> None:
    before = since_by_key(since_by_key({}, [("a", PAGES)], 5), [], 7)
    assert before == {}
    assert since_by_key(before, [("a", PAGES)], 9) == {"a/page": 9}
