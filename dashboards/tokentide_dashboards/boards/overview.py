"""Overview: what is spent, how slow it is, what is wrong, and since when, without scrolling."""

from __future__ import annotations

from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink, label
from tokentide_dashboards.kit.override import Override, last_week
from tokentide_dashboards.kit.query import (
    BUCKET,
    BUCKET_S,
    WINDOWS,
    WINDOWS_WEEK_BEFORE,
    where,
)
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Stat
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = ["OVERVIEW"]

NO_CALLS = (
    "No calls in this range: widen it, or choose All above. "
    "If no service sends yet, docs/producer.md says how."
)

SPENT = Stat(
    title="Spent",
    description="Cost of all priced calls in the range, and of the same range a week before.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT sum(usd_now) AS spent, sum(usd_before) AS week_before
FROM (
    SELECT usd_from_pico(sum(cost_pico_usd)) AS usd_now, 0 AS usd_before
    FROM {WINDOWS} WHERE {where(*SCOPE_NAMES)}
    UNION ALL
    SELECT 0, usd_from_pico(sum(cost_pico_usd))
    FROM {WINDOWS_WEEK_BEFORE} WHERE {where(*SCOPE_NAMES)}
)""",
    overrides=(Override(column="week_before", title="week before", color="text"),),
    width=6,
)

SPEND = Lines(
    title="Spend an hour",
    description="Cost by the hour; dashed: a week before.",
    unit=Unit.USD_PER_HOUR,
    no_value=NO_CALLS,
    sql=f"""\
SELECT time, sum(now) AS spend, sum(before) AS week_before
FROM (
    SELECT
        {BUCKET} AS time,
        usd_from_pico(sum(cost_pico_usd)) * 3600 / {BUCKET_S} AS now, 0 AS before
    FROM {WINDOWS} WHERE {where(*SCOPE_NAMES)} GROUP BY time
    UNION ALL
    SELECT {BUCKET} AS time, 0, usd_from_pico(sum(cost_pico_usd)) * 3600 / {BUCKET_S}
    FROM {WINDOWS_WEEK_BEFORE} WHERE {where(*SCOPE_NAMES)} GROUP BY time
)
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
    links=(BoardLink("Where the money goes", Uid.COST),),
)

ERRORS = Lines(
    title="Errors by provider",
    description="Share of calls that ended in an error.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=Threshold(((0.05, "red"),)),
    by=("provider",),
    sql=f"""\
SELECT
    {BUCKET} AS time, provider,
    sum(errors) / sum(requests) AS errors_share, sum(requests) AS n
FROM {WINDOWS}
WHERE requests > 0 AND {where(*SCOPE_NAMES)}
GROUP BY time, provider ORDER BY time""",
    links=(BoardLink("Latency and errors", Uid.LATENCY, {"provider": label("provider")}),),
)

OVERVIEW = Board(
    uid=Uid.OVERVIEW,
    title="Overview",
    description="What is spent, how slow it is, what is wrong, and since when.",
    rows=(Row((SPENT, SPEND, ERRORS)),),
)
