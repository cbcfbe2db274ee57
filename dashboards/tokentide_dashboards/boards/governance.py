"""Governance and capacity: who uses which model from where, and how near to its limit each one is.

Limits of providers are not in the events. What stands for them is seen: the busiest minute that no
call was refused in for its rate, beside the minutes that had refusals (429).
"""

from __future__ import annotations

from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink, column, label
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import BUCKET, BUCKET_S, WINDOWS, where
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = ["GOVERNANCE"]

NO_CALLS = (
    "No calls in this range: widen it, or choose All above. "
    "If no service sends yet, docs/producer.md says how."
)
BY_MODEL = ("provider", "model")
OF_MODEL = (
    BoardLink(
        "Requests of this model",
        Uid.REQUESTS,
        {"provider": label("provider"), "model": label("model")},
    ),
)


def _rate(title: str, description: str, unit: Unit, amount: str) -> Lines:
    return Lines(
        title=title,
        description=description,
        unit=unit,
        no_value=NO_CALLS,
        by=BY_MODEL,
        sql=f"""\
SELECT {BUCKET} AS time, provider, model, {amount} AS amount
FROM {WINDOWS}
WHERE requests > 0 AND {where(*SCOPE_NAMES)}
GROUP BY time, provider, model ORDER BY time""",
        links=OF_MODEL,
    )


CONCURRENCY = _rate(
    "Calls in flight",
    "Mean number of calls under way at once by Little's law: their durations added up, over the "
    "length of the point. A pool of connections or a limit of concurrency must be above it.",
    Unit.COUNT,
    f"sum(duration_us_sum) / 1e6 / {BUCKET_S}",
)
CALLS = _rate(
    "Requests a minute",
    "Mean over the point; a limit of requests per minute must be above its peaks.",
    Unit.PER_MINUTE,
    f"sum(requests) * 60 / {BUCKET_S}",
)
TOKENS = _rate(
    "Tokens a minute",
    "Input and output tokens that were reported; calls without usage count as none.",
    Unit.TOKENS_PER_MINUTE,
    f"sum(input_tokens + output_tokens) * 60 / {BUCKET_S}",
)
REFUSALS = Lines(
    title="Refused for their rate (429)",
    description="Share of calls that a provider refused because there were too many.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=Threshold(((0.01, "yellow"), (0.05, "red"))),
    by=BY_MODEL,
    sql=f"""\
SELECT
    {BUCKET} AS time, provider, model, sum(errors_rate_limit) / n AS refused_share,
    sum(requests) AS n
FROM {WINDOWS}
WHERE requests > 0 AND {where(*SCOPE_NAMES)}
GROUP BY time, provider, model ORDER BY time""",
    links=OF_MODEL,
)

HEADROOM = Table(
    title="Headroom by model",
    description=(
        "Busiest point of the range (a minute; beyond two days the mean of an hour, beyond two "
        "months of a day), and the "
        "busiest one in which nothing was refused for its rate: what surely fits. `Last / fits` "
        "sets the last point beside it; n is the number of points seen. Limits that providers "
        "state are not known here: compare with your contract."
    ),
    unit=Unit.COUNT,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    provider, model, max(calls) AS peak_calls, max(tokens) AS peak_tokens,
    max(in_flight) AS peak_in_flight,
    maxOrNullIf(calls, refused = 0) AS fits_calls, maxOrNullIf(tokens, refused = 0) AS fits_tokens,
    argMax(calls, time) / fits_calls AS last_of_fits, count() AS n,
    countIf(refused > 0) AS points_refused, sum(refused) AS calls_refused
FROM (
    SELECT
        {BUCKET} AS time, provider, model, sum(requests) * 60 / {BUCKET_S} AS calls,
        sum(input_tokens + output_tokens) * 60 / {BUCKET_S} AS tokens,
        sum(duration_us_sum) / 1e6 / {BUCKET_S} AS in_flight, sum(errors_rate_limit) AS refused
    FROM {WINDOWS}
    WHERE requests > 0 AND {where(*SCOPE_NAMES)}
    GROUP BY time, provider, model
)
GROUP BY provider, model
ORDER BY calls_refused DESC, peak_calls DESC LIMIT 100""",
    overrides=(
        Override(column="provider", title="Provider"),
        Override(column="model", title="Model"),
        Override(column="peak_calls", title="Peak", unit=Unit.PER_MINUTE),
        Override(column="peak_tokens", title="Peak tokens", unit=Unit.TOKENS_PER_MINUTE),
        Override(column="peak_in_flight", title="Peak in flight", decimals=1),
        Override(column="fits_calls", title="Fits", unit=Unit.PER_MINUTE),
        Override(column="fits_tokens", title="Fits, tokens", unit=Unit.TOKENS_PER_MINUTE),
        Override(
            column="last_of_fits",
            title="Last / fits",
            unit=Unit.RATIO,
            threshold=Threshold(((0.8, "yellow"), (1, "red"))),
            cell="color-text",
        ),
        Override(column="n", title="of n points"),
        Override(column="points_refused", title="Points with 429"),
        Override(column="calls_refused", title="Calls with 429"),
    ),
    links=(
        BoardLink(
            "Requests of this model",
            Uid.REQUESTS,
            {"provider": column("provider"), "model": column("model")},
        ),
    ),
)

USE = Table(
    title="Who uses which model, from where",
    description=(
        "Each tenant, team, service and environment with each model that answered it, most "
        "expensive first, with calls that broke a policy. First and last use are of this range."
    ),
    unit=Unit.COUNT,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    tenant, team, service, environment, provider, model, sum(requests) AS n,
    sum(input_tokens + output_tokens) AS tokens, usd_from_pico(sum(cost_pico_usd)) AS usd,
    sum(policy_violations) AS violations, sum(unpriced) / n AS unpriced_share,
    min(window_start) AS first_at, max(window_start) AS last_at
FROM {WINDOWS}
WHERE requests > 0 AND {where(*SCOPE_NAMES)}
GROUP BY tenant, team, service, environment, provider, model
ORDER BY usd DESC, n DESC LIMIT 200""",
    overrides=(
        Override(column="tenant", title="Tenant"),
        Override(column="team", title="Team"),
        Override(column="service", title="Service"),
        Override(column="environment", title="Environment"),
        Override(column="provider", title="Provider"),
        Override(
            column="model",
            title="Model",
            links=(
                BoardLink(
                    "Requests of this service and model",
                    Uid.REQUESTS,
                    {"service": column("service"), "model": column("model")},
                ),
            ),
        ),
        Override(column="n", title="Calls, n"),
        Override(column="tokens", title="Tokens"),
        Override(column="usd", title="Spent", unit=Unit.USD),
        Override(column="violations", title="Broke a policy", threshold=Threshold(((1, "red"),))),
        Override(column="unpriced_share", title="Without a price", unit=Unit.RATIO),
        Override(column="first_at", title="First", unit=Unit.MOMENT),
        Override(column="last_at", title="Last", unit=Unit.MOMENT),
    ),
)
NEW = Table(
    title="Models taken up last",
    description=(
        "When a service first called a model within 30 days before the end of the range, newest "
        "first: approved, or only tried? A first call at the very start of them may be older."
    ),
    unit=Unit.COUNT,
    no_value=NO_CALLS,
    sql=f"""\
SELECT service, provider, model, min(window_start) AS first_at, sum(requests) AS calls,
    usd_from_pico(sum(cost_pico_usd)) AS usd
FROM windows_1h
WHERE window_start >= $__toTime - toIntervalDay(30) AND window_start <= $__toTime
    AND requests > 0 AND {where(*SCOPE_NAMES)}
GROUP BY service, provider, model
ORDER BY first_at DESC LIMIT 100""",
    overrides=(
        Override(column="service", title="Service"),
        Override(column="provider", title="Provider"),
        Override(column="model", title="Model"),
        Override(column="first_at", title="First call", unit=Unit.MOMENT),
        Override(column="calls", title="Calls"),
        Override(column="usd", title="Spent", unit=Unit.USD),
    ),
)

GOVERNANCE = Board(
    uid=Uid.GOVERNANCE,
    title="Governance and capacity",
    description="Who uses which model from where, and how much more of it would fit.",
    rows=(
        Row((HEADROOM,), height=9),
        Row((CONCURRENCY, REFUSALS), title="Capacity"),
        Row((CALLS, TOKENS)),
        Row((USE,), title="Use", height=10),
        Row((NEW,), height=7),
    ),
)
