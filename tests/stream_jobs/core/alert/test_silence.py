"""A silence holds in its range, or in its stretch of each week on the clocks of its zone."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.each import each
from tokentide_jobs.core.alert.silence import Silence, Weekly


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


NIGHTLY = Weekly(
    days=("sat", "sun"), begin_minute=23 * 60, length_minutes=120, zone="Europe/Berlin"
)


def silence(**changed: object) -> Silence:
    fields: dict[str, object] = {
        "id": "s1",
        "matchers": (("tenant", "acme"),),
        "start_us": at("2026-01-01T00:00"),
        "end_us": at("2026-12-31T00:00"),
        "author": "dana",
        "reason": "upgrade",
    }
    return Silence(**{**fields, **changed})  # type: ignore[arg-type]  # fields by name


@each(
    ("when", "holds"),
    [
        ("2026-01-17T21:59", False),  # Saturday, 22:59 in Berlin
        ("2026-01-17T22:00", True),
        ("2026-01-17T23:59", True),  # Sunday there by now
        ("2026-01-18T00:00", False),
        ("2026-01-18T22:30", True),
        ("2026-01-19T22:30", False),  # Monday
        ("2026-07-18T21:00", True),  # an hour earlier in summer
        ("2026-07-18T20:59", False),
    ],
)
def test_a_weekly_stretch_follows_the_clocks_of_its_zone(when: str, holds: bool) -> None:
    assert NIGHTLY.holds(at(when)) is holds


def test_a_stretch_may_last_for_days() -> None:
    weekend = Weekly(days=("fri",), begin_minute=18 * 60, length_minutes=3 * 1_440, zone="UTC")
    assert weekend.holds(at("2026-01-19T17:59"))  # Monday
    assert not weekend.holds(at("2026-01-19T18:00"))


def test_a_weekly_silence_ends_with_its_range() -> None:
    short = silence(weekly=NIGHTLY, end_us=at("2026-01-17T23:00"))
    assert short.holds(at("2026-01-17T22:59"))
    assert not short.holds(at("2026-01-17T23:00"))


def test_all_matchers_must_match_and_a_missing_field_is_empty() -> None:
    one = silence(matchers=(("tenant", "acme*"), ("model", "")))
    now = at("2026-06-01T00:00")
    assert one.covers({"tenant": "acme-eu"}, now)
    assert not one.covers({"tenant": "acme-eu", "model": "gpt-5"}, now)
    assert not one.covers({"tenant": "ACME-eu"}, now)
    assert not one.covers({"tenant": "acme"}, at("2027-01-01T00:00"))


def test_brackets_in_a_name_are_themselves() -> None:
    one = silence(matchers=(("tenant", "team[1]*"),))
    now = at("2026-06-01T00:00")
    assert one.covers({"tenant": "team[1]-eu"}, now)
    assert not one.covers({"tenant": "team1"}, now)
