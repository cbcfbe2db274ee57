"""What boards of calls share: which rows they count, the week before, words for none, spend."""

from __future__ import annotations

from tokentide_dashboards.kit.override import Override, last_week
from tokentide_dashboards.kit.query import (
    BUCKET,
    BUCKET_S,
    TOTALS,
    TOTALS_WEEK_BEFORE,
    WINDOWS,
    WINDOWS_WEEK_BEFORE,
    where,
)
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Stat
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = [
    "BOTH",
    "BOTH_TOTALS",
    "CALLS",
    "COUNTED",
    "NO_CALLS",
    "SPEND",
    "SPENT",
    "WEEK_BEFORE",
]

NO_CALLS = (
    "No calls in this range: widen it, or choose All above. "
    "If no service sends yet, docs/producer.md says how."
)
CALLS = f"requests > 0 AND {where(*SCOPE_NAMES)}"


def _both(now: str, week_before: str) -> str:
    return (
        f"(SELECT *, true AS is_now FROM {now}"
        f" UNION ALL SELECT *, false AS is_now FROM {week_before})"
    )


BOTH = _both(WINDOWS, WINDOWS_WEEK_BEFORE)
"""Windows of the range, and those of a week before moved into it."""
BOTH_TOTALS = _both(TOTALS, TOTALS_WEEK_BEFORE)
"""The same, where nothing is grouped by time."""
WEEK_BEFORE = Override(column="week_before", title="week before", color="text")
COUNTED = Override(column="n", unit=Unit.COUNT, color="text")

SPENT = Stat(
    title="Spent",
    description="Cost of all priced calls in the range, and of the same range a week before.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    usd_from_pico(sumIf(cost_pico_usd, is_now)) AS spent,
    usd_from_pico(sumIf(cost_pico_usd, NOT is_now)) AS week_before
FROM {BOTH_TOTALS} WHERE {CALLS}""",
    overrides=(WEEK_BEFORE,),
)
"""Each board adds where a click leads, here and below."""
SPEND = Lines(
    title="Spend an hour",
    description="Cost by the hour; dashed: a week before.",
    unit=Unit.USD_PER_HOUR,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    {BUCKET} AS time,
    usd_from_pico(sumIf(cost_pico_usd, is_now)) * 3600 / {BUCKET_S} AS spend,
    usd_from_pico(sumIf(cost_pico_usd, NOT is_now)) * 3600 / {BUCKET_S} AS week_before
FROM {BOTH} WHERE {CALLS}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
)
