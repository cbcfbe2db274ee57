"""Periods of a calendar: the half-open interval of UTC microseconds that an instant lies in.

The periods of a kind and a zone tile time: the end of one is the start of the next. A day begins
with its first instant on the clocks of the zone, so it has 23 or 25 hours where they are changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal

from tokentide_jobs.core.tables import HOUR_US

__all__ = ["KINDS", "Period", "PeriodKind", "instant", "period_at", "period_before"]

PeriodKind = Literal["hour", "day", "week", "month"]
KINDS: Final[tuple[PeriodKind, ...]] = ("hour", "day", "week", "month")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """[start_us, end_us) in UTC, and what people call it.

    Attributes:
        start_us: Inclusive.
        end_us: Exclusive.
        label: `2026-11`, `week of 2026-11-23`, `2026-11-29`, `2026-11-29 14:00`, as in the zone.
    """

    start_us: int
    end_us: int
    label: str

    @property
    def length_us(self) -> int:
        """Return how long it is."""
        return self.end_us - self.start_us


def instant(at_us: int, zone: tzinfo) -> datetime:
    """Return an instant on the clocks of a zone."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def period_at(kind: PeriodKind, zone: tzinfo, at_us: int) -> Period:
    """Return the period that holds `at_us`."""
    first = _first_day(kind, instant(at_us, zone).date())
    # Where clocks were set back over midnight, a date comes twice: its return is the next day.
    while (end_us := _start_us(_next(kind, first), zone)) <= at_us:
        first = _next(kind, first)
    start_us = _start_us(first, zone)
    if kind != "hour":
        return Period(start_us, end_us, _label(kind, first))
    start_us += (at_us - start_us) // HOUR_US * HOUR_US
    label = f"{instant(start_us, zone):%Y-%m-%d %H:%M}"
    return Period(start_us, min(end_us, start_us + HOUR_US), label)


def period_before(kind: PeriodKind, zone: tzinfo, period: Period) -> Period:
    """Return the period that ends where `period` begins."""
    return period_at(kind, zone, period.start_us - 1)


def _first_day(kind: PeriodKind, day: date) -> date:
    if kind == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "month" else day


def _next(kind: PeriodKind, first: date) -> date:
    if kind == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if kind == "week" else 1)


def _start_us(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day.

    `fold=0` is the earlier of two midnights, and where clocks skip midnight it is the instant at
    which they do.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0)
    return (midnight - _EPOCH) // _US


def _label(kind: PeriodKind, first: date) -> str:
    if kind == "month":
        return f"{first:%Y-%m}"
    return f"week of {first}" if kind == "week" else str(first)
