"""What needs attention: alerts and runs that are open at the end of the range, by what they cost.

And what is spent against plan. Both show what the detect job stored, whatever is chosen above.
"""

from __future__ import annotations

from tokentide_dashboards.kit.limits import (
    BUDGET_USED,
    FORECAST_SHARE,
    NO_DETECTOR_S,
    SPENT_SHARE,
)
from tokentide_dashboards.kit.link import BoardLink
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit

__all__ = ["ATTENTION", "PLAN"]

SEEN_S = 300
"""An alert goes on while calls of what it is about are not older at the end of the range.

Where nothing at all was stored since, its state is unknown."""
STALE = f"""\
SELECT
    0 AS place, NULL AS usd_per_hour, 'page' AS severity,
    if(is_stale, 'no data', 'not judged') AS goes_on,
    if(toUnixTimestamp(last_at) > 0, last_at, NULL) AS began_at, began_at AS seen_at,
    if(
        is_stale,
        'No data arrives, this board is old: ask `tokentide status`.',
        'Detection does not run, no alert opens: ask `tokentide status`.'
    ) AS what,
    '' AS perhaps, 0 AS alerts
FROM
(
    SELECT true AS is_stale, {SEEN_S} AS most_s, max(done_at) AS last_at
    FROM ingest_positions
    WHERE done_at <= $__toTime AND written_at >= $__toTime - toIntervalDay(2)
    UNION ALL
    SELECT false, {NO_DETECTOR_S:g}, max(fromUnixTimestamp64Micro(taken_at_us, 'UTC'))
    FROM detector_state WHERE taken_at_us <= toUnixTimestamp($__toTime) * 1000000
    HAVING count() > 0
)
WHERE dateDiff('second', last_at, $__toTime) > most_s
ORDER BY is_stale DESC LIMIT 1"""
"""One row where an empty list proves nothing: no data is stored any more, or none is judged."""
FOUND = """\
SELECT
    toString(kind) AS kind, toString(alert_id) AS alert_id, dimensions,
    if(state = 'closed' AND changed_at <= $__toTime, changed_at, NULL) AS ended_at,
    usd_from_pico(impact_pico_usd_hour) AS usd_per_hour, toString(severity) AS severity,
    sentence, since,
    arrayElementOrNull(
        causes,
        arrayFirstIndex(
            one -> JSONLength(one, 'shared') > 0, JSONExtractArrayRaw(payload, 'causes')
        )
    ) AS cause,
    multiIf(
        kind = 'run', toString(('run', tenant, dimensions['run'])),
        kind = 'anomaly', toString((metric, direction, since, value, n)),
        toString(identity)
    ) AS numbers,
    first_value(numbers) OVER (
        PARTITION BY if(
            match(held, '^(parent|incident) '), splitByChar(' ', held)[2], toString(identity)
        )
        ORDER BY held != '', opened_at
    ) AS incident
FROM
(
    SELECT
        alert_id, sequence, state, at AS changed_at, severity, held, identity, kind, dimensions,
        tenant, metric, direction, sentence, value, n, since, opened_at, impact_pico_usd_hour,
        causes, payload
    FROM alert_events FINAL
    ORDER BY alert_id, sequence DESC LIMIT 1 BY alert_id
)
WHERE since <= $__toTime AND kind != 'test'
    AND (
        state IN ('open', 'acknowledged')
        OR (state = 'closed' AND changed_at > $__toTime - toIntervalHour(1))
    )
UNION ALL
SELECT
    'run', '', map('run', s.run), NULL, usd_from_pico(argMax(per_minute_pico_usd, s.at)) * 60,
    'run', argMax(s.sentence, s.at), min(s.at), NULL,
    toString(('run', toString(s.tenant), s.run)) AS numbers, numbers
FROM run_status AS s FINAL
WHERE s.at > $__toTime - toIntervalHour(1) AND s.at <= $__toTime AND NOT s.is_history
    AND s.run NOT IN (SELECT dimensions['run'] FROM alert_events WHERE kind = 'run')
GROUP BY s.tenant, s.run"""
"""Alerts, each with the incident that it belongs to: those of a run are one, those that another one
speaks for are that one, and those that saw the same numbers at once saw the same calls."""
ABOUT = """\
SELECT argMax(dimensions, sequence) AS dimensions
FROM alert_events
WHERE since <= $__toTime AND kind != 'test'
GROUP BY alert_id
HAVING argMax(state, sequence) IN ('open', 'acknowledged') AND notEmpty(dimensions)"""
"""What alerts that did not end are about."""
SEEN = """\
SELECT
    map(
        'tenant', toString(tenant), 'service', toString(service),
        'environment', toString(environment), 'operation', toString(operation),
        'provider', toString(provider), 'model', toString(model),
        'prompt_name', toString(prompt_name), 'prompt_version', toString(prompt_version),
        'feature', toString(feature), 'team', toString(team)
    ) AS dims,
    max(window_start) + 59 AS last
FROM windows_1m
WHERE window_start > $__toTime - toIntervalHour(6) AND window_start <= $__toTime AND requests > 0
GROUP BY
    tenant, service, environment, operation, provider, model, prompt_name, prompt_version,
    feature, team
UNION ALL
SELECT map('tenant', toString(tenant), 'run', subject), toDateTime(max(last_started_at), 'UTC')
FROM subjects_1h
WHERE kind = 'run' AND hour > $__toTime - toIntervalHour(6) AND hour <= $__toTime
    AND subject IN (SELECT dimensions['run'] FROM alert_events WHERE kind = 'run')
GROUP BY tenant, subject"""
"""When what an alert can be about called last."""
INCIDENTS = f"""\
SELECT
    1 + is_over AS place, nullIf(most_usd_per_hour, 0) AS usd_per_hour, severity,
    multiIf(
        is_over, 'ended', NOT is_seen, 'open',
        dateDiff('second', called_at, $__toTime) <= {SEEN_S}, 'going on', 'calls stopped'
    ) AS goes_on,
    began_at, multiIf(is_over, ended_at, is_seen, called_at, NULL) AS seen_at,
    concat(
        splitByString('; ', worst.1)[1], if(empty(others), '', '; also '),
        arrayStringConcat(arrayMap(pair -> concat(pair.1, ' ', pair.2), others), ', ')
    ) AS what,
    ifNull(cause, '') AS perhaps, alerts
FROM
(
    SELECT
        countIf(f.ended_at IS NULL) = 0 AS is_over,
        max(f.usd_per_hour) AS most_usd_per_hour,
        argMin(f.severity, indexOf(['page', 'ticket', 'run', 'info'], f.severity)) AS severity,
        argMax(
            (f.sentence, f.dimensions),
            (f.usd_per_hour, -toUnixTimestamp(f.since), f.cause IS NOT NULL, f.alert_id)
        ) AS worst,
        max(l.last) AS called_at, toUnixTimestamp(called_at) > 0 AS is_seen,
        min(f.since) AS began_at, max(f.ended_at) AS ended_at,
        arrayFilter(
            pair -> worst.2[pair.1] != pair.2,
            arraySort(groupUniqArrayArray(CAST(f.dimensions, 'Array(Tuple(String, String))')))
        ) AS others,
        max(f.cause) AS cause, count() AS alerts
    FROM ({FOUND}) AS f
    LEFT JOIN
    (
        SELECT a.dimensions AS dimensions, max(s.last) AS last
        FROM ({ABOUT}) AS a CROSS JOIN ({SEEN}) AS s
        WHERE arrayAll(name -> s.dims[name] = a.dimensions[name], mapKeys(a.dimensions))
        GROUP BY dimensions
    ) AS l ON l.dimensions = f.dimensions
    GROUP BY f.incident
)"""
MOST_ROWS = 20
RANK = "place, usd_per_hour DESC NULLS LAST, severity, began_at"
ATTENTION = Table(
    title="Needs attention",
    description="One row an incident, the most expensive first, however many alerts it has. State: "
    "'going on': calls of it came in the last five minutes of the range; 'calls stopped': it is "
    "open, and none came since; 'unknown': no data arrives to judge by; 'ended': closed in "
    "the last hour of the range. The rate is no spend of now: it is what a run spent, or others "
    "spent beyond the expected, as an hour of the minutes before the alert was last judged. "
    "Perhaps because of: a change that shares service, model or another dimension with the alert.",
    unit=Unit.NONE,
    no_value="✓ Nothing needs attention: data arrives, no alert is open, no run is over its guard.",
    sql=f"""\
SELECT
    usd_per_hour, severity,
    if(place = 1 AND has_no_data, 'unknown: no data', goes_on) AS state,
    began_at AS since, seen_at AS last_seen,
    concat(
        what,
        if(
            nth = {MOST_ROWS} AND rows > {MOST_ROWS},
            concat('. And ', toString(rows - {MOST_ROWS}), ' rows more: board Alerts.'), ''
        )
    ) AS what_is_wrong,
    perhaps, alerts
FROM
(
    SELECT
        *, row_number() OVER (ORDER BY {RANK}) AS nth, count() OVER () AS rows,
        max(goes_on = 'no data') OVER () AS has_no_data
    FROM (({STALE}) UNION ALL {INCIDENTS})
)
ORDER BY nth
LIMIT {MOST_ROWS}""",
    overrides=(
        Override(
            column="usd_per_hour",
            title="rate when judged",
            unit=Unit.USD_PER_HOUR,
            decimals=2,
            width=120,
        ),
        Override(column="severity", title="severity", width=64),
        Override(
            column="state",
            title="state",
            cell="color-text",
            colors={
                "no data": "red",
                "not judged": "red",
                "going on": "red",
                "open": "orange",
                "calls stopped": "orange",
                "unknown: no data": "purple",
                "ended": "text",
            },
            width=125,
        ),
        Override(column="since", title="since", unit=Unit.MOMENT, width=165),
        Override(column="last_seen", title="last seen", unit=Unit.AGE, width=135),
        Override(
            column="what_is_wrong",
            title="what is wrong",
            links=(
                BoardLink("Evidence", Uid.ALERTS),
                BoardLink("Agents and runs", Uid.AGENTS),
            ),
        ),
        Override(column="perhaps", title="perhaps because of", width=260),
        Override(column="alerts", title="alerts", width=50),
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
    concat('this ', toString(b.period)) AS period,
    toFloat64(b.spent_pico_usd) / nullIf(toFloat64(b.amount_pico_usd), 0) AS used,
    usd_from_pico(b.spent_pico_usd) AS spent,
    usd_from_pico(b.amount_pico_usd) AS plan,
    if(is_of_now, f.made.1 / 1e12, NULL) AS expected,
    expected / nullIf(plan, 0) AS expected_share,
    b.requests AS n,
    multiIf(
        is_of_now, concat(toString(dateDiff('minute', f.last_made_at, $__toTime)), ' min old'),
        f.budget = '', 'none yet: one is made each hour', 'out of date: more is spent since'
    ) AS forecast
FROM budget_status AS b FINAL
LEFT JOIN
(
    SELECT
        tenant, budget, period_start,
        argMax((toFloat64(expected_pico_usd), toFloat64(spent_pico_usd)), made_at) AS made,
        max(made_at) AS last_made_at
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
        Override(
            column="expected_share",
            title="of plan",
            unit=Unit.RATIO,
            decimals=0,
            cell="color-text",
            threshold=Threshold(((SPENT_SHARE, "orange"), (FORECAST_SHARE, "red"))),
        ),
        Override(column="n", title="calls", unit=Unit.COUNT),
        Override(column="forecast", title="forecast", width=90),
    ),
)
