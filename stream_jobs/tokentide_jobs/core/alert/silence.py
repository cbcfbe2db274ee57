"""Silences and maintenance windows: one thing, what it matches and when.

A silence holds in [start, end), or every week on some days for a while, in its time zone, within
that range. It holds back announcements; alerts are recorded as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final
from zoneinfo import ZoneInfo

__all__ = ["WEEKDAYS", "Silence", "Weekly", "silenced_by"]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A stretch of the week, on the clocks of a zone.

    Attributes:
        days: On which it begins.
        begin_minute: Minute of the day at which it begins.
        length_minutes: How long it lasts; it may pass midnight.
        zone: IANA name.
    """

    days: tuple[str, ...]
    begin_minute: int
    length_minutes: int
    zone: str

    def holds(self, at_us: int) -> bool:
        """Tell whether an instant lies in one of its stretches."""
        zone = ZoneInfo(self.zone)
        at = datetime.fromtimestamp(at_us / 1e6, UTC)
        length = timedelta(minutes=self.length_minutes)
        reach = self.length_minutes // 1_440 + 1
        for back in range(reach + 1):
            day = at.astimezone(zone).date() - timedelta(days=back)
            if WEEKDAYS[day.weekday()] not in self.days:
                continue
            hour, minute = divmod(self.begin_minute, 60)
            begin = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            begin = begin.astimezone(UTC)
            if begin <= at < begin + length:
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What is not announced, when, and who decided so.

    Attributes:
        id: Its name.
        matchers: Field and pattern (`*` and `?`), all of which must match; a field that an alert
            does not have is empty.
        start_us: Inclusive.
        end_us: Exclusive.
        weekly: Only then, within that range; None: all of it.
        author: Who.
        reason: Why.
    """

    id: str
    matchers: tuple[tuple[str, str], ...]
    start_us: int
    end_us: int
    weekly: Weekly | None = None
    author: str
    reason: str

    def holds(self, at_us: int) -> bool:
        """Tell whether it holds at an instant."""
        is_within = self.start_us <= at_us < self.end_us
        return is_within and (self.weekly is None or self.weekly.holds(at_us))

    def covers(self, fields: Mapping[str, str], at_us: int) -> bool:
        """Tell whether it holds back an alert with these fields at an instant."""
        return self.holds(at_us) and all(
            fnmatchcase(fields.get(name, ""), pattern.replace("[", "[[]"))  # `*` and `?` alone
            for name, pattern in self.matchers
        )


def silenced_by(row: Mapping[str, Any], silences: Iterable[Silence], now_us: int) -> str:
    """Return the id of a silence that holds back a stored alert now; empty: none does.

    Args:
        row: With its kind, key, metric, severity and dimensions.
        silences: Those that are not over.
        now_us: The present.
    """
    own = {name: str(row[name]) for name in ("kind", "key", "metric", "severity")}
    fields = {**row["dimensions"], **own}
    return next((one.id for one in silences if one.covers(fields, now_us)), "")
