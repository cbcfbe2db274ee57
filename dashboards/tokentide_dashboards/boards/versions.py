"""SQL that sets two versions of a prompt side by side, each number with its n and 95 % interval.

Means and ratios come from sums of windows. Their intervals treat a minute (beyond two days: an
hour) as one observation, so calls that vary together do not pass for many; shares of failures and
passes take Wilson's interval, which stands with no failure at all; percentiles take ranks.
"""

from __future__ import annotations

from tokentide_dashboards.kit.query import TOTALS, WINDOWS, chosen, where
from tokentide_dashboards.kit.variable import SCOPE_NAMES

__all__ = ["PROMPT_FILTER", "SIDE_BY_SIDE"]

PROMPT_FILTER = f"prompt_name = {chosen('prompt')} AND {where(*SCOPE_NAMES)}"

MEANS = (
    ("Cost per 1,000 calls, $", "toFloat64(sum(cost_pico_usd)) / 1e9", "sum(requests - unpriced)"),
    ("Input tokens a call", "sum(input_tokens)", "sum(requests - usage_missing)"),
    ("Output tokens a call", "sum(output_tokens)", "sum(requests - usage_missing)"),
    ("Mean latency, ms", "sum(duration_us_sum) / 1e3", "sum(requests)"),
    ("Quality score", "sum(evaluation_score_micro_sum) / 1e6", "sum(evaluations_scored)"),
    ("Feedback score", "sum(feedback_score_micro_sum) / 1e6", "sum(feedback_scored)"),
)
SHARES = (
    ("Evaluations passed, %", "sum(evaluations_passed)", "sum(evaluations)"),
    ("Calls that failed, %", "sum(errors)", "sum(requests)"),
    ("Answers cut at the token limit, %", "sum(truncated)", "sum(requests)"),
)
PERCENTILES = (
    ("Latency p50, ms", "latency_hist", 0.5),
    ("Latency p95, ms", "latency_hist", 0.95),
    ("Time to first token p95, ms", "ttft_hist", 0.95),
)
ORDER = (
    "Cost per 1,000 calls, $",
    "Quality score",
    "Evaluations passed, %",
    "Feedback score",
    "Calls that failed, %",
    "Answers cut at the token limit, %",
    "Latency p50, ms",
    "Latency p95, ms",
    "Mean latency, ms",
    "Time to first token p95, ms",
    "Input tokens a call",
    "Output tokens a call",
)
LEAST_CLUSTERS = 8
"""Minutes or hours that the interval of a mean needs; with fewer there is none."""
Z = 1.96


def _triples(measures: tuple[tuple[str, str, str], ...]) -> str:
    return ", ".join(
        f"('{name}', toFloat64({part}), toFloat64({whole}))" for name, part, whole in measures
    )


VERSIONS = f"prompt_version IN ({chosen('left')}, {chosen('right')})"

_MEANS = f"""\
    SELECT
        version, measure, toUInt64(x) AS n, y / x AS value,
        if(count() < {LEAST_CLUSTERS}, NULL, {Z} * sqrt(greatest(0,
            sum(part * part) - 2 * value * sum(part * whole) + value * value * sum(whole * whole)
        ) * count() / (count() - 1)) / x) AS half,
        value - half AS low, value + half AS high, sum(part) AS y, sum(whole) AS x
    FROM (
        SELECT
            prompt_version AS version,
            arrayJoin([{_triples(MEANS)}]) AS one,
            one.1 AS measure, one.2 AS part, one.3 AS whole
        FROM {WINDOWS}
        WHERE {VERSIONS} AND {PROMPT_FILTER}
        GROUP BY version, window_start
    )
    WHERE whole > 0
    GROUP BY version, measure"""
_SHARES = f"""\
    SELECT
        version, measure, toUInt64(whole) AS n, 100 * part / whole AS value,
        {Z * Z} / whole AS z2,
        sqrt(z2 * (part / whole * (1 - part / whole) + z2 / 4)) AS half,
        100 * greatest(0, (part / whole + z2 / 2 - half) / (1 + z2)) AS low,
        100 * least(1, (part / whole + z2 / 2 + half) / (1 + z2)) AS high
    FROM (
        SELECT
            prompt_version AS version,
            arrayJoin([{_triples(SHARES)}]) AS one,
            one.1 AS measure, one.2 AS part, one.3 AS whole
        FROM {TOTALS}
        WHERE {VERSIONS} AND {PROMPT_FILTER}
        GROUP BY version
    )
    WHERE whole > 0"""
_PERCENTILES = f"""\
    SELECT
        version, one.1 AS measure, arraySum(mapValues(one.2)) AS n,
        quantile_from_hist(one.2, one.3) AS value, {Z} * sqrt(one.3 * (1 - one.3) / n) AS half,
        if(one.3 + half > 1, NULL, quantile_from_hist(one.2, greatest(0, one.3 - half))) AS low,
        if(one.3 + half > 1, NULL, quantile_from_hist(one.2, least(1, one.3 + half))) AS high
    FROM (
        SELECT
            prompt_version AS version,
            arrayJoin([{", ".join(f"('{n}', sumMap({h}), {q})" for n, h, q in PERCENTILES)}]) AS one
        FROM {TOTALS}
        WHERE requests > 0 AND {VERSIONS} AND {PROMPT_FILTER}
        GROUP BY version
    )
    WHERE notEmpty(one.2)"""


def _rounded(column: str) -> str:
    """Write a number with about four digits, whatever its size."""
    return (
        f"multiIf(abs({column}) >= 1000, round({column}), abs({column}) >= 10, round({column}, 1),"
        f" abs({column}) >= 0.1, round({column}, 3), round({column}, 5))"
    )


def _side(side: str) -> str:
    """Write what stands for one version: its number, interval and n, or nothing."""
    is_it = f"version = {chosen(side)}"
    span = f"concat(toString({_rounded('low')}), ' to ', toString({_rounded('high')}))"
    return f"""\
    anyOrNullIf({_rounded("value")}, {is_it}) AS {side}_value,
    anyOrNullIf({span}, {is_it} AND low IS NOT NULL) AS {side}_interval,
    anyOrNullIf(n, {is_it}) AS {side}_n,
    anyOrNullIf(low, {is_it}) AS {side}_low,
    anyOrNullIf(high, {is_it}) AS {side}_high"""


SIDE_BY_SIDE = f"""\
SELECT
    measure, left_value, left_interval, left_n, right_value, right_interval, right_n,
    if(left_value = 0, NULL, 100 * (right_value - left_value) / left_value) AS change_percent,
    multiIf(
        left_value IS NULL OR right_value IS NULL, 'only one was measured',
        left_low IS NULL OR right_low IS NULL, 'too few to say',
        right_low > left_high, 'second is higher',
        right_high < left_low, 'second is lower',
        'no difference seen') AS verdict
FROM (
SELECT measure,
{_side("left")},
{_side("right")}
FROM (
    SELECT version, measure, n, toFloat64(value) AS value,
        toNullable(toFloat64(low)) AS low, toNullable(toFloat64(high)) AS high
    FROM (
{_MEANS}
    )
    UNION ALL
    SELECT version, measure, n, value, low, high FROM (
{_SHARES}
    )
    UNION ALL
    SELECT version, measure, n, value, low, high FROM (
{_PERCENTILES}
    )
)
GROUP BY measure
)
ORDER BY indexOf([{", ".join(f"'{name}'" for name in ORDER)}], measure)"""
