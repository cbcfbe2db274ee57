"""Latency and errors: how slow calls are, which fail and why, by model, provider and service."""

from __future__ import annotations

import math

from tokentide_dashboards.boards.shared_calls import CALLS, COUNTED, NO_CALLS, both
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.limits import BURN_OF_ERRORS
from tokentide_dashboards.kit.link import BoardLink, column, label
from tokentide_dashboards.kit.override import Override, last_week
from tokentide_dashboards.kit.query import BUCKET, BUCKET_S, TOTALS, WINDOWS, where
from tokentide_dashboards.kit.series import Heatmap, Lines
from tokentide_dashboards.kit.table import Stat, Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = ["LATENCY"]

GROWTH = 1.01 / 0.99
"""Of the buckets of histograms: bucket b holds (GROWTH ** (b - 1), GROWTH ** b]."""
SIZES_MS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 600_000)
SLOWEST = (BoardLink("Slowest calls", Uid.REQUESTS),)
NO_TTFT = "No call in this range reported a time to first token: streams alone have one. Widen it."


def _heat(histogram: str) -> str:
    """Write the counts of each size, from a summed histogram."""
    bounds = [round(math.log(size) / math.log(GROWTH)) for size in SIZES_MS]
    lows = [-32_769, *bounds]
    highs = [*bounds[:-1], 32_767]
    counts = ",\n    ".join(
        f"arraySum((bucket, calls) -> if(bucket > {low} AND bucket <= {high}, calls, 0),"
        f' mapKeys(hist), mapValues(hist)) AS "{size}"'
        for low, high, size in zip(lows[: len(SIZES_MS)], highs, SIZES_MS, strict=True)
    )
    return f"""\
SELECT
    time,
    {counts}
FROM
(
    SELECT {BUCKET} AS time, sumMap({histogram}) AS hist
    FROM {WINDOWS} WHERE {CALLS}
    GROUP BY time
)
ORDER BY time"""


def _by(name: str, title: str) -> Table:
    """Return how slow each value of a dimension is, and how often it fails."""
    return Table(
        title=f"By {title}",
        description=f"Durations and failures by {title}, out of n calls; rate limits (429) apart. "
        "Percentiles are within 1 %.",
        unit=Unit.MILLISECONDS,
        no_value=NO_CALLS,
        sql=f"""\
SELECT
    toString({name}) AS {name},
    p50_from_hist(sumMap(latency_hist)) AS p50,
    p95_from_hist(sumMap(latency_hist)) AS p95,
    p99_from_hist(sumMap(latency_hist)) AS p99,
    p95_from_hist(sumMap(ttft_hist)) AS ttft,
    p50_from_hist(sumMap(output_tps_hist)) AS speed,
    (sum(errors) - sum(errors_rate_limit)) / sum(requests) AS failed,
    sum(errors_rate_limit) / sum(requests) AS limited,
    sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}
GROUP BY {name} ORDER BY n DESC LIMIT 50""",
        overrides=(
            Override(
                column=name,
                links=(
                    BoardLink(f"Only this {title}", Uid.LATENCY, {name: column(name)}),
                    BoardLink("Its calls", Uid.REQUESTS, {name: column(name)}),
                ),
            ),
            Override(column="ttft", title="p95 first token"),
            Override(column="speed", title="median speed", unit=Unit.TOKENS_PER_SECOND),
            Override(column="failed", unit=Unit.RATIO, cell="color-text", threshold=BURN_OF_ERRORS),
            Override(column="limited", title="429", unit=Unit.RATIO),
            COUNTED,
        ),
    )


DURATION = Stat(
    title="Duration",
    description="Half of the calls, 19 of 20, and 99 of 100 were faster than this. Within 1 %.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    p50_from_hist(sumMap(latency_hist)) AS p50,
    p95_from_hist(sumMap(latency_hist)) AS p95,
    p99_from_hist(sumMap(latency_hist)) AS p99
FROM {TOTALS} WHERE {CALLS}""",
    links=SLOWEST,
)
FIRST_TOKEN = Stat(
    title="Time to first token",
    description="Of the n calls that report it: half, and 19 of 20, began to answer within this.",
    unit=Unit.MILLISECONDS,
    no_value=NO_TTFT,
    sql=f"""\
SELECT
    p50_from_hist(sumMap(ttft_hist)) AS p50,
    p95_from_hist(sumMap(ttft_hist)) AS p95,
    sum(ttft_count) AS n
FROM {TOTALS} WHERE {CALLS}""",
    overrides=(COUNTED,),
    links=SLOWEST,
)
FAILED = Stat(
    title="Failed and limited",
    description="Shares of n calls: those that failed, and those a provider refused for their rate "
    "(429), which a retry or a higher limit cures.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=BURN_OF_ERRORS,
    sql=f"""\
SELECT
    (sum(errors) - sum(errors_rate_limit)) / nullIf(sum(requests), 0) AS failed,
    sum(errors_rate_limit) / nullIf(sum(requests), 0) AS limited,
    sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}""",
    overrides=(Override(column="limited", title="429"), COUNTED),
    links=(BoardLink("Failed calls", Uid.REQUESTS),),
)
DURATIONS = Heatmap(
    title="Durations",
    description="Calls of each duration, by its upper end; the last holds all above a minute. "
    "Two bands are two kinds of calls: choose a model above to part them.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=_heat("latency_hist"),
    links=SLOWEST,
)
FIRST_TOKENS = Heatmap(
    title="Times to first token",
    description="Calls of each time to first token, by its upper end; the last holds all above a "
    "minute.",
    unit=Unit.MILLISECONDS,
    no_value=NO_TTFT,
    sql=_heat("ttft_hist"),
    links=SLOWEST,
)
PERCENTILES = Lines(
    title="Durations over time",
    description="Half of the calls, 19 of 20, and 99 of 100 were faster than this; dashed: p95 a "
    "week before.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    {BUCKET} AS time,
    p50_from_hist(sumMapIf(latency_hist, is_now)) AS p50,
    p95_from_hist(sumMapIf(latency_hist, is_now)) AS p95,
    p99_from_hist(sumMapIf(latency_hist, is_now)) AS p99,
    p95_from_hist(sumMapIf(latency_hist, is_before)) AS week_before
FROM {both("latency_hist")}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before", "p95 last week"),),
    links=SLOWEST,
)
FAILED_OVER_TIME = Lines(
    title="Failed over time",
    description="Share of n calls that failed, and of those limited (429); dashed: failed a week "
    "before.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=BURN_OF_ERRORS,
    sql=f"""\
SELECT
    {BUCKET} AS time,
    sumIf(errors - errors_rate_limit, is_now) / nullIf(sumIf(requests, is_now), 0) AS failed,
    sumIf(errors_rate_limit, is_now) / nullIf(sumIf(requests, is_now), 0) AS "429",
    sumIf(errors - errors_rate_limit, is_before)
        / nullIf(sumIf(requests, is_before), 0) AS week_before,
    sumIf(requests, is_now) AS n
FROM {both("errors", "errors_rate_limit", "requests")}
GROUP BY time ORDER BY time""",
    overrides=(last_week("week_before"),),
    links=(BoardLink("Failed calls", Uid.REQUESTS),),
)
KINDS = Lines(
    title="How calls end badly",
    description="Calls a minute by how they ended: rate limits, timeouts, errors of the server and "
    "others, refused and filtered answers, cancelled and abandoned calls.",
    unit=Unit.PER_MINUTE,
    no_value=NO_CALLS,
    is_stacked=True,
    fill=60,
    sql=f"SELECT\n    {BUCKET} AS time,\n    "
    + ",\n    ".join(
        f'sum({name}) * 60 / {BUCKET_S} AS "{title}"'
        for name, title in (
            ("errors_rate_limit", "429"),
            ("errors_timeout", "timeout"),
            ("errors_server", "server"),
            ("errors_other", "other errors"),
            ("refused", "refused"),
            ("filtered", "filtered"),
            ("cancelled", "cancelled"),
            ("abandoned", "abandoned"),
        )
    )
    + f"\nFROM {WINDOWS} WHERE {CALLS}\nGROUP BY time ORDER BY time",
    links=(BoardLink("Failed calls", Uid.REQUESTS),),
)
SPEED = Lines(
    title="Speed by model",
    description="Median output tokens a second. A fall with nothing changed is the provider's.",
    unit=Unit.TOKENS_PER_SECOND,
    no_value="No call in this range reported output tokens and a duration: widen the range.",
    by=("model",),
    sql=f"""\
SELECT
    {BUCKET} AS time, toString(model) AS model, p50_from_hist(sumMap(output_tps_hist)) AS speed
FROM {WINDOWS} WHERE {CALLS}
GROUP BY time, model ORDER BY time""",
    links=(BoardLink("Only this model", Uid.LATENCY, {"model": label("model")}),),
)
LIMITED = Lines(
    title="Rate limits by provider",
    description="Calls a minute that a provider refused for their rate (429).",
    unit=Unit.PER_MINUTE,
    no_value=NO_CALLS,
    by=("provider",),
    sql=f"""\
SELECT
    {BUCKET} AS time, toString(provider) AS provider,
    sum(errors_rate_limit) * 60 / {BUCKET_S} AS limited
FROM {WINDOWS} WHERE {CALLS}
GROUP BY time, provider ORDER BY time""",
    links=(BoardLink("Capacity", Uid.GOVERNANCE, {"provider": label("provider")}),),
)
REGIONS = Table(
    title="By region",
    description="Durations and failures by region, out of n calls, of the last six hours of the "
    "range at most, since only single calls know their region.",
    unit=Unit.MILLISECONDS,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    toString(provider) AS provider,
    if(region = '', 'not reported', toString(region)) AS place,
    quantile(0.5)(duration_ms) AS p50,
    quantile(0.95)(duration_ms) AS p95,
    countIf(status = 'error') / count() AS failed,
    count() AS n
FROM requests
WHERE started_at >= greatest($__fromTime, $__toTime - toIntervalHour(6)) AND started_at <= $__toTime
    AND {where(*SCOPE_NAMES)}
GROUP BY provider, place ORDER BY n DESC LIMIT 50""",
    overrides=(
        Override(column="place", title="region"),
        Override(column="failed", unit=Unit.RATIO, cell="color-text", threshold=BURN_OF_ERRORS),
        COUNTED,
    ),
)

LATENCY = Board(
    uid=Uid.LATENCY,
    title="Latency and errors",
    description="How slow calls are, which fail and why, and since when.",
    rows=(
        Row((DURATION, FIRST_TOKEN, FAILED), height=4),
        Row((DURATIONS, FIRST_TOKENS)),
        Row((PERCENTILES, FAILED_OVER_TIME)),
        Row((KINDS, LIMITED, SPEED)),
        Row((_by("model", "model"), _by("provider", "provider")), title="Who is slow, who fails"),
        Row((_by("service", "service"), REGIONS)),
    ),
)
