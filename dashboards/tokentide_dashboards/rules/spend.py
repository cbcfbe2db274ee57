"""Rules about money: thresholds, burn and forecasts of budgets, and runs of agents."""

from __future__ import annotations

from typing import Final

from tokentide_dashboards.kit.limits import BUDGET_USED, FORECAST_SHARE, SPENT_SHARE
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.core.budget.burn import BURN_RULES
from tokentide_jobs.core.tables import BUDGET_STATUS, FORECASTS, RUN_STATUS

__all__ = ["SPEND_RULES"]

_NOW: Final = "period_start <= $__toTime AND period_end > $__toTime"
_BUDGETS: Final = f"""\
    SELECT
        budget, toString(tenant) AS tenant, toString(kind) AS kind, toString(period) AS period,
        spent_pico_usd / amount_pico_usd AS share,
        toFloat64(greatest(spent_pico_usd - amount_pico_usd, 0)) / 1e12 AS beyond_usd
    FROM {BUDGET_STATUS} FINAL
    WHERE {_NOW} AND amount_pico_usd > 0"""

_SHOW: Final = {
    "How every budget stands": f"""\
SELECT budget, tenant, kind, period, period_start, spent_pico_usd / 1e12 AS spent_usd,
    amount_pico_usd / 1e12 AS amount_usd, unpriced, at
FROM {BUDGET_STATUS} FINAL WHERE period_end > now() ORDER BY spent_pico_usd DESC""",
    "Who spends in the last day": """\
SELECT team, tenant, model, sum(cost_usd) AS usd
FROM spend_by_hour WHERE hour >= now() - INTERVAL 1 DAY
GROUP BY team, tenant, model ORDER BY usd DESC LIMIT 20""",
}

_LONG_S: Final = f"transform(period, {list(BURN_RULES)}, {[rules[0].long_s for rules in BURN_RULES.values()]}, 3600)"
# Two stretches as in core/budget: a forecast of every hour holds what was spent by then. What a
# period has not seen yet counts as nothing spent.
_BURN: Final = f"""\
    SELECT
        budget, tenant, period,
        transform(period, {list(BURN_RULES)}, {[rules[0].factor for rules in BURN_RULES.values()]}, 14.4) AS factor,
        {_LONG_S} AS long_s,
        least(
            (spent - before_long.2) / greatest(until_s - before_long.1, long_s),
            (spent - before_short.2) / greatest(until_s - before_short.1, 300)
        ) AS usd_per_s,
        usd_per_s * length_s / amount AS burn
    FROM
    (
        SELECT
            b.budget AS budget, toString(b.tenant) AS tenant, toString(b.period) AS period,
            any(toFloat64(b.spent_pico_usd)) / 1e12 AS spent, any(toFloat64(b.amount_pico_usd)) / 1e12 AS amount,
            toUnixTimestamp($__toTime) AS until_s,
            any(toUnixTimestamp(b.period_end) - toUnixTimestamp(b.period_start)) AS length_s,
            {_LONG_S} AS age_s,
            maxIf((toUnixTimestamp(f.made_at), toFloat64(f.spent_pico_usd) / 1e12),
                f.budget != '' AND f.made_at <= $__toTime - age_s) AS found_long,
            maxIf((toUnixTimestamp(f.made_at), toFloat64(f.spent_pico_usd) / 1e12),
                f.budget != '' AND f.made_at <= $__toTime - 300) AS found_short,
            (any(toUnixTimestamp(b.period_start)), 0.) AS begin,
            if(found_long.1 = 0, begin, found_long) AS before_long,
            if(found_short.1 = 0, begin, found_short) AS before_short
        FROM (SELECT * FROM {BUDGET_STATUS} FINAL WHERE {_NOW} AND amount_pico_usd > 0) AS b
        LEFT JOIN (SELECT * FROM {FORECASTS} FINAL WHERE {_NOW} AND made_at <= $__toTime) AS f
            ON f.budget = b.budget AND f.tenant = b.tenant AND f.period_start = b.period_start
        GROUP BY budget, tenant, period
    )"""

_FORECAST: Final = f"""\
    SELECT
        budget, toString(tenant) AS tenant,
        argMax((expected_pico_usd, amount_pico_usd, period_end), made_at) AS newest,
        ifNull(toFloat64(newest.1), 0) / 1e12 AS expected_usd,
        toFloat64(newest.2) / 1e12 AS amount_usd,
        greatest(expected_usd - amount_usd, 0) * 3600
            / greatest(toUnixTimestamp(newest.3) - toUnixTimestamp($__toTime), 3600) AS beyond_usd_per_hour
    FROM {FORECASTS} FINAL
    WHERE {_NOW} AND made_at > $__toTime - 10800 AND made_at <= $__toTime AND amount_pico_usd > 0
    GROUP BY budget, tenant"""

_RUNS: Final = f"""\
    SELECT
        toString(tenant) AS tenant, toString(agent) AS agent,
        uniqExactIf(run, last_at > $__fromTime AND NOT was_history) AS runs,
        sumIf(per_minute, last_at > $__fromTime AND NOT was_history) * 60 AS usd_per_hour
    FROM
    (
        SELECT tenant, agent, run, max(at) AS last_at, argMax(is_history, at) AS was_history,
            max(toFloat64(per_minute_pico_usd)) / 1e12 AS per_minute
        FROM {RUN_STATUS} FINAL
        WHERE at > $__toTime - 604800 AND at <= $__toTime
        GROUP BY tenant, agent, run
    )
    GROUP BY tenant, agent"""

SPEND_RULES: Final = (
    Rule(
        name="budget-threshold",
        title="Most of a budget is spent",
        severity="ticket",
        signal="cost",
        source=_BUDGETS,
        labels=("budget", "tenant", "kind", "period"),
        value="share",
        above=BUDGET_USED,
        unit="of the amount",
        board=Uid.COST,
        panel="Spend against plan",
        pending="0s",
        meaning="Four fifths of what may be spent in this period are spent.",
        first_action="See what spends (`tokentide budgets show NAME`), and whether it will last.",
        look=_SHOW,
        owner="who answers for the budget",
    ),
    Rule(
        name="budget-spent",
        title="A budget is spent",
        severity="page",
        signal="cost",
        source=_BUDGETS,
        labels=("budget", "tenant", "kind", "period"),
        value="share",
        above=SPENT_SHARE,
        unit="of the amount",
        board=Uid.COST,
        panel="Spend against plan",
        pending="0s",
        meaning="More is spent in this period than its amount. A hard budget stops services that ask for it.",
        first_action="See what spends (`tokentide budgets show NAME`); raise the budget or cut the use.",
        look=_SHOW,
        owner="who answers for the budget, and on-call for a hard one",
    ),
    Rule(
        name="budget-burn",
        title="A budget burns too fast",
        severity="page",
        signal="cost",
        source=_BURN,
        labels=("budget", "tenant", "period"),
        value="burn / factor",
        above=1.0,
        unit="of what pages",
        seen="burn",
        expected="factor",
        impact="usd_per_s * 3600",
        board=Uid.COST,
        panel="Spend against plan",
        meaning="Money goes many times faster than even spending of the amount allows, over the long and the "
        "short stretch of the fastest rule of docs/budgets.md. Value and expectation are multiples of even spending.",
        first_action="Find the agent, run or user that spends: `tokentide runs`, and the view spend_by_subject_day.",
        look=_SHOW,
    ),
    Rule(
        name="forecast-over-plan",
        title="A budget will not last its period",
        severity="ticket",
        signal="cost",
        source=_FORECAST,
        labels=("budget", "tenant"),
        value="expected_usd / amount_usd",
        above=FORECAST_SHARE,
        unit="of the amount",
        impact="beyond_usd_per_hour",
        board=Uid.COST,
        panel="Where periods are expected to end",
        pending="30m",
        keep_firing="1h",
        meaning="The newest forecast expects more than 110 % of the amount by the end of the period. "
        "Without an honest forecast it is silent.",
        first_action="See the forecast and what it rests on (`tokentide budgets show NAME`), then plan with its owner.",
        look={
            "Forecasts of the last day": f"""\
SELECT budget, tenant, made_at, expected_pico_usd / 1e12 AS expected_usd, low_pico_usd / 1e12 AS low_usd,
    high_pico_usd / 1e12 AS high_usd, amount_pico_usd / 1e12 AS amount_usd, method, rests_on
FROM {FORECASTS} FINAL WHERE made_at > now() - INTERVAL 1 DAY ORDER BY made_at DESC LIMIT 50"""
        },
        owner="who answers for the budget",
    ),
    Rule(
        name="run-guard",
        title="Runs of an agent run away",
        severity="page",
        signal="runs",
        source=_RUNS,
        labels=("tenant", "agent"),
        value="runs",
        above=0.0,
        unit="runs in 15 minutes",
        impact="usd_per_hour",
        range_s=900,
        pending="0s",
        board=Uid.AGENTS,
        panel="Runs over their guard",
        meaning="At least one run broke a rule of the run guard: it spends too fast, too much, or repeats itself.",
        first_action="Look at the run (`tokentide runs --flagged`) and stop it if it is not wanted.",
        look={
            "Runs that broke a rule in the last day": f"""\
SELECT at, tenant, agent, run, rule, spend_pico_usd / 1e12 AS usd, calls, sentence
FROM {RUN_STATUS} FINAL WHERE at > now() - INTERVAL 1 DAY ORDER BY at DESC LIMIT 50"""
        },
    ),
)
"""What is about money."""
