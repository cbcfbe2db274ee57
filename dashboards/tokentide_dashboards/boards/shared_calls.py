"""What boards of calls share: which rows they count, the week before, and words for none."""

from __future__ import annotations

from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import WINDOWS, WINDOWS_WEEK_BEFORE, where
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = [
    "BOTH",
    "CALLS",
    "COUNTED",
    "ERRORS_FROM",
    "NO_CALLS",
    "UNPRICED_FROM",
    "WEEK_BEFORE",
]

NO_CALLS = (
    "No calls in this range: widen it, or choose All above. "
    "If no service sends yet, docs/producer.md says how."
)
CALLS = f"requests > 0 AND {where(*SCOPE_NAMES)}"
BOTH = (
    f"(SELECT *, true AS is_now FROM {WINDOWS}"
    f" UNION ALL SELECT *, false AS is_now FROM {WINDOWS_WEEK_BEFORE})"
)
"""Windows of the range, and those of a week before moved into it."""
WEEK_BEFORE = Override(column="week_before", title="week before", color="text")
ERRORS_FROM = Threshold(((0.02, "orange"), (0.05, "red")))
UNPRICED_FROM = Threshold(((0.01, "orange"), (0.05, "red")))
COUNTED = Override(column="n", unit=Unit.COUNT, color="text")
