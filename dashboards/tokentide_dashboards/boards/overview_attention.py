"""What needs attention: alerts and runs that are open at the end of the range, by what they cost.

And what is spent against plan. Both show what the detect job stored, whatever is chosen above.
"""

from __future__ import annotations

from tokentide_dashboards.kit.limits import BUDGET_USED, SPENT_SHARE
from tokentide_dashboards.kit.link import BoardLink
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit

__all__ = ["ATTENTION", "PLAN"]

ATTENTION = Table(
    title="Needs attention",
    description="Open alerts, and runs over their guard in the last hour of the range, those that "
    "cost most first, one row a run: what changed, against what, and since when. Empty cost: it is "
    "not known.",
    unit=Unit.NONE,
    no_value="✓ Nothing needs attention: no alert is open, and no run is over its guard.",
    sql="""\
SELECT
    usd_per_hour, severity, since, what, changed, first_action
FROM
(
    SELECT
        nullIf(impact_usd_per_hour, 0) AS usd_per_hour, toString(severity) AS severity,
        sentence AS what,
        if(empty(causes), '', causes[1]) AS changed, since, first_action,
        if(kind = 'run', ('run', tenant, dimensions['run']), ('', '', toString(alert_id))) AS about
    FROM alerts
    WHERE since <= $__toTime AND kind != 'test'
        AND (state IN ('open', 'acknowledged') OR (state = 'closed' AND changed_at > $__toTime))
    UNION ALL
    SELECT
        usd_from_pico(argMax(per_minute_pico_usd, s.at)) * 60, 'run',
        concat(
            'run ', s.run, if(s.agent = '', '', concat(' of ', toString(s.agent))), ': ',
            argMax(s.sentence, s.at)
        ),
        '', min(s.at), 'look at the run', ('run', toString(s.tenant), s.run)
    FROM run_status AS s FINAL
    WHERE s.at > $__toTime - toIntervalHour(1) AND s.at <= $__toTime AND NOT s.is_history
        AND s.run NOT IN (SELECT dimensions['run'] FROM alerts WHERE kind = 'run')
    GROUP BY s.tenant, s.run, s.agent
)
ORDER BY usd_per_hour DESC, severity, since
LIMIT 1 BY about
LIMIT 20""",
    overrides=(
        Override(
            column="usd_per_hour", title="costs", unit=Unit.USD_PER_HOUR, decimals=2, width=100
        ),
        Override(column="severity", title="severity", width=80),
        Override(
            column="what",
            title="what is wrong",
            links=(
                BoardLink("Evidence", Uid.ALERTS),
                BoardLink("Agents and runs", Uid.AGENTS),
            ),
        ),
        Override(column="changed", title="what changed", width=150),
        Override(column="since", title="since", unit=Unit.AGE, width=125),
        Override(column="first_action", title="do first", width=220),
    ),
)

PLAN = Table(
    title="Spend against plan",
    description="Budgets of the period that the range ends in: spent, planned, the share "
    "of it that is used, and where the period is expected to end; no end is shown once more is "
    "spent, or a tenth of the plan since the forecast was made. n counts calls.",
    unit=Unit.USD,
    no_value="No budget is set: write budgets.yaml (docs/budgets.md) for the detect worker.",
    sql="""\
WITH
    ifNull(
        f.made.1 >= toFloat64(b.spent_pico_usd)
        AND toFloat64(b.spent_pico_usd) - f.made.2 <= 0.1 * toFloat64(b.amount_pico_usd),
        false
    ) AS is_of_now
SELECT
    b.budget AS budget,
    toFloat64(b.spent_pico_usd) / nullIf(toFloat64(b.amount_pico_usd), 0) AS used,
    usd_from_pico(b.spent_pico_usd) AS spent,
    usd_from_pico(b.amount_pico_usd) AS plan,
    if(is_of_now, f.made.1 / 1e12, NULL) AS expected,
    b.requests AS n,
    multiIf(is_of_now, '', f.made.1 IS NULL, 'none yet', 'out of date')
        AS no_forecast
FROM budget_status AS b FINAL
LEFT JOIN
(
    SELECT
        tenant, budget, period_start,
        argMax((toFloat64(expected_pico_usd), toFloat64(spent_pico_usd)), made_at) AS made
    FROM forecasts FINAL
    WHERE made_at <= $__toTime
    GROUP BY tenant, budget, period_start
) AS f ON f.tenant = b.tenant AND f.budget = b.budget AND f.period_start = b.period_start
WHERE b.period_start <= $__toTime AND b.period_end > $__toTime
ORDER BY used DESC
LIMIT 20""",
    overrides=(
        Override(
            column="used",
            unit=Unit.RATIO,
            cell="color-text",
            threshold=Threshold(((BUDGET_USED, "orange"), (SPENT_SHARE, "red"))),
            links=(BoardLink("Budgets", Uid.COST),),
        ),
        Override(column="n", title="calls", unit=Unit.COUNT),
        Override(column="no_forecast", title="forecast", width=70),
    ),
)
