"""Periods tile time in every zone of the world, and their edges are where its clocks put them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from tokentide_jobs.core.budget.period import (
    KINDS,
    PeriodKind,
    instant,
    period_at,
    period_before,
)

HOUR_US = 3_600_000_000
ZONES = sorted(available_timezones())
MOMENTS = st.integers(946_684_800_000_000, 2_200_000_000_000_000)  # 2000 to 2039


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@given(st.sampled_from(KINDS), st.sampled_from(ZONES), MOMENTS)
def test_periods_tile_time(kind: PeriodKind, name: str, at_us: int) -> None:
    zone = ZoneInfo(name)
    period = period_at(kind, zone, at_us)
    assert period.start_us <= at_us < period.end_us
    assert period_at(kind, zone, period.start_us) == period
    assert period_at(kind, zone, period.end_us - 1) == period
    assert period_at(kind, zone, period.end_us).start_us == period.end_us
    assert period_before(kind, zone, period).end_us == period.start_us
    assert period.start_us % 60_000_000 == 0, "rollups of a minute can resolve it"


@given(st.sampled_from(ZONES), MOMENTS)
def test_a_longer_period_ends_where_a_shorter_one_does(name: str, at_us: int) -> None:
    zone = ZoneInfo(name)
    for outer, inner in (("day", "hour"), ("week", "day"), ("month", "day")):
        long: PeriodKind = "day" if outer == "day" else "week" if outer == "week" else "month"
        short: PeriodKind = "hour" if inner == "hour" else "day"
        period = period_at(long, zone, at_us)
        assert period_at(short, zone, period.start_us).start_us == period.start_us
        assert period_at(short, zone, period.end_us - 1).end_us == period.end_us


@each(
    ("zone", "at", "hours", "start"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23, "2026-03-28T23:00"),
        ("Europe/Berlin", "2026-10-25T12:00", 25, "2026-10-24T22:00"),
        ("Europe/Berlin", "2026-11-29T12:00", 24, "2026-11-28T23:00"),
        ("America/New_York", "2026-11-01T12:00", 25, "2026-11-01T04:00"),
        ("America/Sao_Paulo", "2018-11-04T12:00", 23, "2018-11-04T03:00"),  # midnight is skipped
        ("America/Havana", "2026-11-01T12:00", 25, "2026-11-01T04:00"),  # midnight comes twice
        ("Asia/Kathmandu", "2026-11-29T12:00", 24, "2026-11-28T18:15"),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_have(
    zone: str, at: str, hours: int, start: str
) -> None:
    day = period_at("day", ZoneInfo(zone), us(at))
    assert day.length_us == hours * HOUR_US
    assert day.start_us == us(start)


def test_a_date_that_returns_belongs_to_the_day_that_had_begun() -> None:
    # In St. John's, clocks went from 00:01 back to 23:01 of the day before.
    zone = ZoneInfo("America/St_Johns")
    again_us = us("2010-11-07T03:00")
    assert instant(again_us, zone).strftime("%m-%d %H:%M") == "11-06 23:30"
    assert period_at("day", zone, again_us).label == "2010-11-07"


def test_a_week_begins_on_monday_and_a_month_on_its_first() -> None:
    zone = ZoneInfo("Asia/Tokyo")
    week = period_at("week", zone, us("2026-11-29T14:59"))  # Sunday 23:59 in Tokyo
    assert (week.start_us, week.end_us) == (us("2026-11-22T15:00"), us("2026-11-29T15:00"))
    assert week.label == "week of 2026-11-23"
    month = period_at("month", zone, us("2026-12-31T15:00"))
    assert month.label == "2027-01"
    assert (month.start_us, month.end_us) == (us("2026-12-31T15:00"), us("2027-01-31T15:00"))
    assert period_at("hour", zone, us("2026-11-29T05:30")).label == "2026-11-29 14:00"
