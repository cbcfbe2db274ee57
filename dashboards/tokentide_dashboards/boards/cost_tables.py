"""Tables of Cost and budgets: unit prices, subjects, waste, forecasts, and how sure the cost is."""

from __future__ import annotations

from tokentide_dashboards.boards.shared_calls import CALLS, COUNTED, NO_CALLS
from tokentide_dashboards.kit.limits import UNPRICED_SHARE, up_to
from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import OF_CALLS, TOTALS, chosen, where
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE_NAMES, Choice

__all__ = [
    "CERTAINTY",
    "FORECAST",
    "MODELS",
    "PRICE_VERSIONS",
    "SUBJECTS",
    "SUBJECT_KIND",
    "WASTE",
    "WITHOUT_COST",
]

PLAIN_INPUT = "toFloat64(sum(input_tokens)) - sum(cache_read_tokens) - sum(cache_write_tokens)"
OF_MODEL = (
    BoardLink("Calls of this model", Uid.REQUESTS, {"model": column("model")}),
    BoardLink("How slow this model is", Uid.LATENCY, {"model": column("model")}),
)

MODELS = Table(
    title="What a unit costs, by model",
    description="Dollars a million tokens as they were paid (discounts and tiers included), a "
    "thousand priced calls, and the share of input that came from caches, out of n input tokens. "
    "Tokens of a model's unpriced calls count as free.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    toString(provider) AS provider,
    toString(model) AS model,
    usd_from_pico(sum(cost_pico_usd)) AS spent,
    sum(requests) - sum(unpriced) AS priced_calls,
    sum(cost_pico_usd) / 1e9 / nullIf(priced_calls, 0) AS per_thousand,
    sum(cost_input_pico_usd) / 1e6 / nullIf({PLAIN_INPUT}, 0) AS input_price,
    sum(cost_cache_read_pico_usd) / 1e6 / nullIf(sum(cache_read_tokens), 0) AS cached_price,
    sum(cost_output_pico_usd) / 1e6 / nullIf(sum(output_tokens), 0) AS output_price,
    sum(cache_read_tokens) / nullIf(sum(input_tokens), 0) AS cached_share,
    sum(input_tokens) AS n
FROM {TOTALS} WHERE {CALLS}
GROUP BY provider, model HAVING priced_calls > 0 ORDER BY spent DESC LIMIT 50""",
    overrides=(
        Override(column="model", links=OF_MODEL),
        Override(column="priced_calls", title="priced calls", unit=Unit.COUNT),
        Override(column="per_thousand", title="$ a thousand calls"),
        Override(column="input_price", title="$ a million input"),
        Override(column="cached_price", title="$ a million cache reads"),
        Override(column="output_price", title="$ a million output"),
        Override(column="cached_share", title="from caches", unit=Unit.RATIO),
        COUNTED,
    ),
)
SUBJECT_KIND = Choice(
    name="subject_kind",
    label="Subject",
    description="By whom the table of subjects counts",
    options={
        "user": "User",
        "key": "API key",
        "agent": "Agent",
        "run": "Run",
        "tool": "Tool",
        "mcp_server": "MCP server",
    },
)
SUBJECTS = Table(
    title="Who costs most",
    description="Users, keys, agents, runs, tools or MCP servers, as chosen above; by whole hours, "
    "and by tenant and service alone of the filters. (other): what a batch had beyond the "
    "configured number of subjects.",
    unit=Unit.USD,
    no_value="No call names such a subject in this range: choose another kind above, "
    "widen the range, or let services name it (docs/subjects.md).",
    sql=f"""\
SELECT
    subject,
    toString(tenant) AS tenant,
    usd_from_pico(sum(cost_pico_usd)) AS spent,
    sum(requests) AS calls,
    sum(cost_pico_usd) / 1e9 / nullIf(toFloat64(sum(requests)) - sum(unpriced), 0) AS per_thousand,
    sum(input_tokens) + sum(output_tokens) AS tokens,
    sum(errors) AS failed
FROM subjects_1h
WHERE kind = {chosen("subject_kind")} AND hour >= toStartOfHour($__fromTime) AND hour <= $__toTime
    AND {where("tenant", "service")}
GROUP BY subject, tenant ORDER BY spent DESC LIMIT 50""",
    overrides=(
        Override(column="calls", unit=Unit.COUNT),
        Override(column="per_thousand", title="$ a thousand calls"),
        Override(column="tokens", unit=Unit.COUNT),
        Override(column="failed", unit=Unit.COUNT),
    ),
)
WASTE = Table(
    title="Waste",
    description="What failed calls cost (exact); what answers cut off at the token limit and "
    "retries cost, at the mean cost of a priced call of the model (an estimate).",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    toString(model) AS model,
    usd_from_pico(sum(cost_errors_pico_usd)) AS errors_usd,
    sum(truncated) * mean_usd AS truncated_usd,
    sum(retries) * mean_usd AS retries_usd,
    sum(cost_pico_usd) / 1e12 / nullIf(toFloat64(sum(requests)) - sum(unpriced), 0) AS mean_usd,
    sum(errors) AS failed,
    sum(truncated) AS cut_off,
    sum(retries) AS retried,
    sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}
GROUP BY model
ORDER BY toFloat64(errors_usd) + ifNull(truncated_usd, 0) + ifNull(retries_usd, 0) DESC LIMIT 20""",
    overrides=(
        Override(column="model", links=OF_MODEL),
        Override(column="errors_usd", title="failed"),
        Override(column="truncated_usd", title="cut off"),
        Override(column="retries_usd", title="retries"),
        Override(column="mean_usd", title="a call"),
        Override(column="failed", title="failed calls", unit=Unit.COUNT),
        Override(column="cut_off", title="cut off calls", unit=Unit.COUNT),
        Override(column="retried", title="retried calls", unit=Unit.COUNT),
        COUNTED,
    ),
)
FORECAST = Lines(
    title="Where periods are expected to end",
    description="Forecast of each budget's period as it was made by the hour, with its 80 % "
    "interval, what was spent by then, and the plan.",
    unit=Unit.USD,
    no_value="No forecast in this range: the detect worker makes one an hour of each budget in "
    "budgets.yaml, after it has seen enough of the period (docs/budgets.md).",
    by=("budget", "line"),
    interval="1h",
    sql="""\
SELECT time, budget, point.1 AS line, point.2 AS usd
FROM
(
    SELECT
        made_at AS time,
        budget,
        arrayJoin([
            ('expected', toFloat64(expected_pico_usd) / 1e12),
            ('low', toFloat64(low_pico_usd) / 1e12),
            ('high', toFloat64(high_pico_usd) / 1e12),
            ('spent', toNullable(toFloat64(spent_pico_usd) / 1e12)),
            ('plan', toNullable(toFloat64(amount_pico_usd) / 1e12))
        ]) AS point
    FROM forecasts FINAL
    WHERE $__timeFilter(made_at)
)
ORDER BY time, budget, line
LIMIT 10000""",
)
WITHOUT_COST = Table(
    title="Calls without a cost",
    description="Share of n calls of a model without a price, and of those without reported usage. "
    "Close gaps in prices.yaml (docs/prices.md); report usage in the service (docs/providers.md).",
    unit=Unit.RATIO,
    no_value="Every call in this range has a cost, or there are no calls: widen the range to see.",
    sql=f"""\
SELECT
    toString(provider) AS provider,
    toString(model) AS model,
    sum(unpriced) / sum(requests) AS unpriced_share,
    sum(usage_missing) / sum(requests) AS usage_missing_share,
    sum(unpriced) AS unpriced_calls,
    sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}
GROUP BY provider, model HAVING unpriced_calls > 0 OR usage_missing_share > 0
ORDER BY unpriced_calls DESC LIMIT 50""",
    overrides=(
        Override(column="model", links=OF_MODEL),
        Override(
            column="unpriced_share",
            title="no price",
            cell="color-text",
            threshold=up_to(UNPRICED_SHARE),
        ),
        Override(column="usage_missing_share", title="no usage"),
        Override(column="unpriced_calls", title="unpriced calls", unit=Unit.COUNT),
        COUNTED,
    ),
)
CERTAINTY = Table(
    title="How the prices were found",
    description="Spend by price_status: exact and override are prices, every other word says what "
    "stands in for one (docs/prices.md). The rule is one example; doubts stand behind its !.",
    unit=Unit.COUNT,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    toString(price_status) AS price_status, sum(of_model) AS calls,
    usd_from_pico(sum(pico_usd)) AS spent, count() AS models,
    toString(argMax(model, of_model)) AS for_example, min(a_rule) AS rule
FROM
(
    SELECT
        price_status, provider, model, count() AS of_model,
        sum(toInt128(cost_pico_usd)) AS pico_usd, min(price_rule) AS a_rule
    FROM requests WHERE {OF_CALLS} AND {where(*SCOPE_NAMES)}
    GROUP BY price_status, provider, model
)
GROUP BY price_status ORDER BY price_status IN ('exact', 'override'), spent DESC LIMIT 20""",
    overrides=(
        Override(column="price_status", title="price"),
        Override(column="spent", unit=Unit.USD),
        Override(column="for_example", title="for example"),
        Override(column="rule", title="one of its rules"),
    ),
)
PRICE_VERSIONS = Table(
    title="Price versions",
    description="Which cards priced the calls of the range as they came in, of all tenants. Two "
    "at a time mean workers of two releases; `tokentide reprice` prices old calls again.",
    unit=Unit.COUNT,
    no_value="No batch was finished in this range: `tokentide status` says whether ingest runs.",
    sql="""\
SELECT
    toString(price_version) AS price_version,
    sum(requests) AS calls,
    usd_from_pico(sum(cost_pico_usd)) AS spent,
    min(done_at) AS first_used,
    max(done_at) AS last_used
FROM ingest_positions
WHERE written_at >= $__fromTime AND $__timeFilter(done_at) AND requests > 0
GROUP BY price_version ORDER BY last_used DESC LIMIT 20""",
    overrides=(
        Override(column="price_version", title="version"),
        Override(column="spent", unit=Unit.USD),
        Override(column="first_used", title="first used", unit=Unit.MOMENT),
        Override(column="last_used", title="last used", unit=Unit.MOMENT),
    ),
)
