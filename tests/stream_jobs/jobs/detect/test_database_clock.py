"""The database is asked for its time rarely, and always before a clock is called wrong."""

from __future__ import annotations

from tests.stream_jobs.core.merge.delta_records import NOON_US, log
from tokentide_jobs.core.decide.decisions import Ahead
from tokentide_jobs.core.merge.completeness import AHEAD_US
from tokentide_jobs.core.tables import HOUR_US, MINUTE_US
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock

SECOND_US = 1_000_000


class World:
    """A database whose time passes, and a machine that counts seconds while it is awake."""

    def __init__(self) -> None:
        self.now_us, self.awake_s, self.asked = NOON_US, 0.0, 0
        self.clock = DatabaseClock(self._ask, lambda: self.awake_s)

    def passes(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND_US)
        self.awake_s += seconds

    def _ask(self) -> int:
        self.asked += 1
        return self.now_us


def test_it_is_asked_once_a_minute() -> None:
    world = World()
    assert world.clock.reckoned_us() == 0
    for _ in range(61):
        assert world.clock.now_us() == world.clock.reckoned_us() == world.now_us
        world.passes(1)
    assert world.asked == 2


def test_a_machine_that_slept_asks_before_it_calls_a_clock_wrong() -> None:
    world = World()
    world.clock.now_us()
    world.passes(2)
    world.now_us += HOUR_US  # asleep
    assert world.clock.now_us(newest_us=world.now_us) == world.now_us


def test_a_clock_that_stays_ahead_has_the_database_asked_once_a_second() -> None:
    world = World()
    for _ in range(50):
        world.clock.now_us(newest_us=world.now_us + AHEAD_US + 1)
        world.passes(0.1)
    assert world.asked <= 6


def test_whose_clock_is_ahead_is_named_while_it_is() -> None:
    world = World()
    world.clock.note([], world.now_us)
    assert world.clock.problem == ""
    world.clock.note([Ahead(log(n), n * HOUR_US) for n in range(7)], world.now_us)
    assert "tokentide.events.v1/3 and 3 more is 360 minutes ahead" in world.clock.problem
    world.passes(59)
    assert world.clock.problem
    world.passes(1)
    assert world.clock.problem == ""


def test_that_the_clock_of_the_database_was_set_back_is_said_with_the_way_out() -> None:
    world = World()
    world.clock.note([], world.now_us + AHEAD_US)
    assert world.clock.problem == ""
    world.clock.note([], world.now_us + 90 * MINUTE_US)
    assert "90 minutes beyond the clock of the database" in world.clock.problem
    assert "TRUNCATE TABLE detector_state" in world.clock.problem
