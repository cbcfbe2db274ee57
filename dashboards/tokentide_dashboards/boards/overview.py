"""Overview: what is spent, how slow it is, what is wrong, and since when, without scrolling."""

from __future__ import annotations

from dataclasses import replace

from tokentide_dashboards.boards import shared_calls
from tokentide_dashboards.boards.overview_attention import ATTENTION, PLAN
from tokentide_dashboards.boards.shared_calls import (
    CALLS,
    NO_CALLS,
    OF_RANGE,
    RANGE,
    WEEK_BEFORE,
    both,
)
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.limits import BURN_OF_ERRORS, STALE_S, UNPRICED_SHARE, up_to
from tokentide_dashboards.kit.link import BoardLink, column, label
from tokentide_dashboards.kit.override import Override, last_week
from tokentide_dashboards.kit.query import (
    BUCKET,
    BUCKET_S,
    TOTALS,
    TOTALS_TWICE,
    WINDOWS,
)
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Bars, Stat, Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit

__all__ = ["OVERVIEW"]

FAILED_NOW = "sumIf(errors - errors_rate_limit, is_now) / nullIf(sumIf(requests, is_now), 0)"
FAILED_BEFORE = (
    "sumIf(errors - errors_rate_limit, is_before) / nullIf(sumIf(requests, is_before), 0)"
)
LIMITED_NOW = "sumIf(errors_rate_limit, is_now) / nullIf(sumIf(requests, is_now), 0)"
P95_NOW = "p95_from_hist(sumMapIf(latency_hist, is_now))"
P95_BEFORE = "p95_from_hist(sumMapIf(latency_hist, is_before))"

MUCH_SLOWER = Threshold(((0.5, "orange"), (1.0, "red")))
"""Half as slow again as last week, and twice as slow."""

WORST = f"""\
(
    SELECT max(share)
    FROM
    (
        SELECT sum(errors - errors_rate_limit) / sum(requests) AS share
        FROM {WINDOWS} WHERE {CALLS}
        GROUP BY toStartOfInterval(window_start, toIntervalSecond(greatest(300, step_s)))
        HAVING sum(requests) >= 20
    )
)"""
"""Of the range, the five minutes (beyond two days the hour, then the day) that failed most."""
OF_CALLS = Override(column="n", title="calls", unit=Unit.COUNT, color="text")
SPENT = replace(shared_calls.SPENT, links=(BoardLink("Where the money goes", Uid.COST),))
FAILED = Stat(
    title="Failed",
    description="Share of n calls that ended in an error, in the whole range and in its worst "
    "five minutes of at least 20 calls (beyond two days: its worst hour, then day), and a week "
    "before; those refused for their rate (429) apart.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=BURN_OF_ERRORS,
    sql=f"""\
SELECT
    {FAILED_NOW} AS failed, {WORST} AS worst, {RANGE}, {FAILED_BEFORE} AS week_before,
    {LIMITED_NOW} AS limited, sumIf(requests, is_now) AS n
FROM {TOTALS_TWICE} WHERE {CALLS}""",
    overrides=(
        Override(column="failed", title="whole range"),
        Override(column="worst", title="worst part"),
        OF_RANGE,
        WEEK_BEFORE,
        Override(column="limited", title="rate-limited (429)", color="text"),
        OF_CALLS,
    ),
    links=(BoardLink("Latency and errors", Uid.LATENCY),),
)
SLOW = Stat(
    title="p95 duration",
    description="19 of 20 calls were faster than this, and a week before. Within 1 %.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT {P95_NOW} AS p95, {RANGE}, {P95_BEFORE} AS week_before
FROM {TOTALS_TWICE} WHERE {CALLS}""",
    overrides=(OF_RANGE, WEEK_BEFORE),
    links=(BoardLink("Latency and errors", Uid.LATENCY),),
)
UNPRICED = Stat(
    title="Without a price",
    description="Share of n calls that have no cost: more is spent than these boards show. "
    "`tokentide prices` names the models that lack a price.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=up_to(UNPRICED_SHARE),
    sql=f"""\
SELECT sum(unpriced) / nullIf(sum(requests), 0) AS unpriced_share, {RANGE}, sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}""",
    overrides=(
        Override(column="unpriced_share", title="unpriced"),
        OF_RANGE,
        OF_CALLS,
    ),
    links=(BoardLink("Cost and budgets", Uid.COST),),
)
AGE = Stat(
    title="Age of the data",
    description="Time from the last batch that was stored to the end of the range: producers "
    "report every 30 s, calls or none. Beyond two minutes, look at the pipeline first. Beside it: "
    "time since the last call, whatever is chosen above.",
    unit=Unit.DURATION_S,
    no_value="Nothing is stored in the two days before the end of this range: "
    "`tokentide status` says what does not work.",
    threshold=up_to(STALE_S),
    sql="""\
SELECT
    dateDiff('second', max(done_at), $__toTime) AS age,
    (
        SELECT if(
            count() = 0, NULL,
            greatest(0, dateDiff('second', max(window_start) + 59, $__toTime))
        )
        FROM windows_1m
        WHERE window_start <= $__toTime AND window_start > $__toTime - toIntervalDay(2)
            AND requests > 0
    ) AS last_call
FROM ingest_positions
WHERE done_at <= $__toTime AND written_at >= $__toTime - toIntervalDay(2)
HAVING count() > 0""",
    overrides=(Override(column="last_call", title="since the last call", color="text"),),
    links=(BoardLink("Pipeline health", Uid.PIPELINE),),
)

SLOWER = Table(
    title="p95 by model, against last week",
    description="19 of 20 of n calls to a model were faster than p95. Those that became slower "
    "than in the same range a week before come first; with fewer than 20 calls in one of the two "
    "there is no change.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    toString(model) AS model, {P95_NOW} AS p95, {P95_BEFORE} AS week_before,
    if(n >= 20 AND sumIf(requests, is_before) >= 20, p95 / week_before - 1, NULL) AS change,
    sumIf(requests, is_now) AS n
FROM {TOTALS_TWICE} WHERE {CALLS}
GROUP BY model HAVING n > 0
ORDER BY change DESC NULLS LAST, p95 DESC NULLS LAST, model LIMIT 20""",
    overrides=(
        Override(
            column="model",
            links=(BoardLink("How slow this model is", Uid.LATENCY, {"model": column("model")}),),
        ),
        Override(column="week_before", title="last week", color="text"),
        Override(
            column="change", unit=Unit.RATIO, decimals=0, cell="color-text", threshold=MUCH_SLOWER
        ),
        OF_CALLS,
    ),
)

SPEND = replace(shared_calls.SPEND, links=(BoardLink("Where the money goes", Uid.COST),))
DURATION = Lines(
    title="p95 duration over time",
    description="19 of 20 calls were faster than this; dashed: a week before.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT {BUCKET} AS time, {P95_NOW} AS p95, {P95_BEFORE} AS week_before
FROM {both("latency_hist")}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
    links=(BoardLink("Latency and errors", Uid.LATENCY),),
)
ERRORS = Lines(
    title="Failed over time",
    description="Share of n calls that ended in an error, 429 left out; dashed: a week before.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=BURN_OF_ERRORS,
    sql=f"""\
SELECT
    {BUCKET} AS time,
    {FAILED_NOW} AS failed, {FAILED_BEFORE} AS week_before, sumIf(requests, is_now) AS n
FROM {both("errors", "errors_rate_limit", "requests")}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
    links=(BoardLink("Latency and errors", Uid.LATENCY),),
)

RATE_BY_PROVIDER = Lines(
    title="Calls by provider",
    description="Calls a minute by provider. A line that falls to nothing is an outage of theirs, "
    "or of yours.",
    unit=Unit.PER_MINUTE,
    no_value=NO_CALLS,
    by=("provider",),
    sql=f"""\
SELECT {BUCKET} AS time, toString(provider) AS provider, sum(requests) * 60 / {BUCKET_S} AS calls
FROM {WINDOWS} WHERE {CALLS}
GROUP BY time, provider ORDER BY time""",
    links=(BoardLink("Latency and errors", Uid.LATENCY, {"provider": label("provider")}),),
)
ERRORS_BY_PROVIDER = Lines(
    title="Failed by provider",
    description="Share of n calls that ended in an error, 429 left out, by provider.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=BURN_OF_ERRORS,
    by=("provider",),
    sql=f"""\
SELECT
    {BUCKET} AS time, toString(provider) AS provider,
    sum(errors - errors_rate_limit) / sum(requests) AS failed, sum(requests) AS n
FROM {WINDOWS} WHERE {CALLS}
GROUP BY time, provider ORDER BY time""",
    links=(BoardLink("Latency and errors", Uid.LATENCY, {"provider": label("provider")}),),
)
DURATION_BY_PROVIDER = Lines(
    title="p95 duration by provider",
    description="19 of 20 calls of a provider were faster than this.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    by=("provider",),
    sql=f"""\
SELECT
    {BUCKET} AS time, toString(provider) AS provider,
    p95_from_hist(sumMap(latency_hist)) AS p95
FROM {WINDOWS} WHERE {CALLS}
GROUP BY time, provider ORDER BY time""",
    links=(BoardLink("Latency and errors", Uid.LATENCY, {"provider": label("provider")}),),
)
SPEND_BY_SERVICE = Bars(
    title="Spend by service",
    description="The ten services that cost most in the range.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT toString(service) AS service, usd_from_pico(sum(cost_pico_usd)) AS spent
FROM {TOTALS} WHERE {CALLS}
GROUP BY service ORDER BY spent DESC LIMIT 10""",
    links=(BoardLink("Cost of this service", Uid.COST, {"service": column("service")}),),
)

OVERVIEW = Board(
    uid=Uid.OVERVIEW,
    title="Overview",
    description="What is spent against plan, how slow it is, what is wrong, and since when.",
    rows=(
        Row((ATTENTION,), height=9),
        Row(
            (
                SPENT,
                replace(FAILED, width=6),
                replace(SLOW, width=4),
                replace(UNPRICED, width=4),
                AGE,
            ),
            height=5,
        ),
        Row((replace(PLAN, width=12), replace(SLOWER, width=7), replace(SPEND, width=5)), height=6),
        Row((DURATION, ERRORS, SPEND_BY_SERVICE), height=7),
        Row((RATE_BY_PROVIDER, ERRORS_BY_PROVIDER, DURATION_BY_PROVIDER), height=7),
    ),
)
