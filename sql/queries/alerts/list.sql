-- Alerts as they are: all that are open, and those that changed since a moment.
SELECT
    toString(alert_id) AS alert_id, state, severity, kind, key, dimensions, metric, direction, sentence, held, why, author,
    toUnixTimestamp64Micro(since) AS since_us,
    toUnixTimestamp64Micro(opened_at) AS opened_us,
    toUnixTimestamp64Micro(changed_at) AS changed_us,
    flaps, value, expected, lower, upper, unit, n, evidence, threshold, tests,
    toString(impact_usd_per_hour) AS impact_usd_per_hour, impact_failed_per_minute,
    contributors, members, causes, first_action, runbook
FROM ${database}.alerts
WHERE (state IN ('open', 'acknowledged') OR changed_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC'))
    AND startsWith(alert_id, {alert_id:String})
ORDER BY changed_at DESC, alert_id
LIMIT {most:UInt32}
