"""The changes of the last hours: bounded, and the same after a restart."""

from __future__ import annotations

import json

from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.change.recent_changes import RecentChanges

HOUR_US = 3_600_000_000
NOW_US = 1_790_000_000_000_000


def change(at_us: int, subject: str = "chat") -> Change:
    return Change(kind="deploy", subject=subject, at_us=at_us, dimensions={"service": "chat"})


def test_changes_of_six_hours_are_kept() -> None:
    recent = RecentChanges()
    recent.add([change(NOW_US - 7 * HOUR_US), change(NOW_US - 5 * HOUR_US)], NOW_US)
    assert [one.at_us for one in recent.all()] == [NOW_US - 5 * HOUR_US]
    recent.add([change(NOW_US + HOUR_US)], NOW_US + 2 * HOUR_US)
    assert [one.at_us for one in recent.all()] == [NOW_US + HOUR_US]


def test_a_flood_of_changes_leaves_the_last_thousand() -> None:
    recent = RecentChanges()
    recent.add((change(NOW_US, str(n)) for n in range(5_000)), NOW_US)
    assert [one.subject for one in recent.all()] == [str(n) for n in range(4_000, 5_000)]


def test_a_restart_goes_on_with_the_same_changes() -> None:
    recent = RecentChanges()
    recent.add([change(NOW_US), change(NOW_US - 1, "search")], NOW_US)
    again = RecentChanges.from_rows(json.loads(json.dumps(recent.to_rows())))
    assert again.all() == recent.all()
    assert again.to_rows() == recent.to_rows()
