"""What boards of calls share: which rows they count, the week before, words for none, spend."""

from __future__ import annotations

from tokentide_dashboards.kit.override import Override, last_week
from tokentide_dashboards.kit.query import (
    BUCKET,
    BUCKET_S,
    TOTALS_TWICE,
    WEEK_S,
    WINDOWS_TWICE,
    where,
)
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Stat
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = [
    "CALLS",
    "COUNTED",
    "NO_CALLS",
    "OF_RANGE",
    "RANGE",
    "SPEND",
    "SPENT",
    "WEEK_BEFORE",
    "both",
]

NO_CALLS = (
    "No calls in this range: widen it, or choose All above. "
    "If no service sends yet, docs/producer.md says how."
)
CALLS = f"requests > 0 AND {where(*SCOPE_NAMES)}"


def both(*measures: str) -> str:
    """Write sums of calls over time, and those of a week before moved into the range.

    Rows of three weeks of a month belong to both. They are summed once, by what a point of the
    chart is, and then stand in both places: merging histograms is what such a chart costs.

    Args:
        measures: Columns of the windows.

    Returns:
        What to read FROM: `window_start`, `is_now`, `is_before`, and the measures; sum them again.
    """
    sums = ", ".join(
        f"{'sumMap' if one.endswith('_hist') else 'sum'}({one}) AS {one}_summed" for one in measures
    )
    return f"""(
    SELECT
        place.1 AS window_start, place.2 AS is_now, NOT place.2 AS is_before,
        {", ".join(f"{one}_summed AS {one}" for one in measures)}
    FROM
    (
        SELECT
            if({WEEK_S} % {BUCKET_S} = 0, {BUCKET}, window_start) AS began,
            is_now AS in_range, is_before AS in_week_before,
            {sums}
        FROM {WINDOWS_TWICE} WHERE {CALLS}
        GROUP BY began, in_range, in_week_before
    )
    ARRAY JOIN arrayConcat(
        if(in_range, [(began, true)], []),
        if(in_week_before, [(began + toIntervalSecond({WEEK_S}), false)], [])
    ) AS place
)"""


RANGE = "range_s AS span"
"""How long the range is, to stand beside a number that is of all of it."""
OF_RANGE = Override(column="span", title="range", unit=Unit.DURATION_S, color="text")
TIMES_OF_WEEK = Threshold(((1.5, "orange"), (2.0, "red")))
"""Half as much again as a week before, and twice as much: as a model that became slower."""
WEEK_BEFORE = Override(column="week_before", title="week before", color="text")
COUNTED = Override(column="n", unit=Unit.COUNT, color="text")

SPENT = Stat(
    title="Spent",
    description="Cost of all priced calls in the range, and of the same range a week before. "
    "Calls without a price are not in it: at least this much is spent.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    usd_from_pico(sumIf(cost_pico_usd, is_now)) AS spent,
    toFloat64(spent) / nullIf(toFloat64(week_before), 0) AS times,
    {RANGE},
    usd_from_pico(sumIf(cost_pico_usd, is_before)) AS week_before,
    sumIf(unpriced, is_now) AS unpriced
FROM {TOTALS_TWICE} WHERE {CALLS}""",
    overrides=(
        Override(column="spent", title="spent"),
        Override(
            column="times",
            title="of last week",
            unit=Unit.TIMES,
            decimals=1,
            threshold=TIMES_OF_WEEK,
        ),
        OF_RANGE,
        WEEK_BEFORE,
        Override(column="unpriced", title="calls more, no price", unit=Unit.COUNT, color="text"),
    ),
)
"""Each board adds where a click leads, here and below."""
SPEND = Lines(
    title="Spend an hour",
    description="Cost by the hour, to the last data; dashed: a week before.",
    unit=Unit.USD_PER_HOUR,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    {BUCKET} AS time,
    if(
        countIf(is_now) = 0 AND time > (
            SELECT max(done_at) FROM ingest_positions
            WHERE done_at <= $__toTime AND written_at >= $__toTime - toIntervalDay(2)
        ),
        NULL, usd_from_pico(sumIf(cost_pico_usd, is_now)) * 3600 / {BUCKET_S}
    ) AS spend,
    usd_from_pico(sumIf(cost_pico_usd, is_before)) * 3600 / {BUCKET_S} AS week_before
FROM {both("cost_pico_usd")}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
)
