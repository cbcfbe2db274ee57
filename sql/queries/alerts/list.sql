-- Alerts as they are: all that are open, and those that changed since a moment. What a person did counts at
-- once, before the job that finds alerts has read it. `members` are those of the last transition, and of an open
-- alert also those that it absorbed since: their own rows say so.
SELECT * EXCEPT has_newer_action
FROM
(
    SELECT
        alert_id,
        if(has_newer_action, if(newest.verb = 'ack', 'acknowledged', 'closed'), stored.state) AS state,
        severity, kind, key, dimensions, metric, direction, sentence, held,
        if(has_newer_action, newest.reason, stored.why) AS why,
        if(has_newer_action, newest.author, stored.author) AS author,
        toUnixTimestamp64Micro(since) AS since_us,
        toUnixTimestamp64Micro(opened_at) AS opened_us,
        toUnixTimestamp64Micro(if(has_newer_action, newest.at, stored.changed_at)) AS changed_us,
        flaps, value, expected, lower, upper, unit, n, evidence, threshold, tests,
        toString(impact_usd_per_hour) AS impact_usd_per_hour, impact_failed_per_minute,
        contributors,
        if(stored.state IN ('open', 'acknowledged') AND notEmpty(absorbed.names),
            arrayDistinct(arrayConcat(arrayFilter(name -> NOT match(name, '^and [0-9]+ more$'), members), absorbed.names)),
            members) AS members,
        causes, first_action, runbook,
        newest.written_at > stored.written_at AND newest.at >= stored.changed_at
            AND (stored.state = 'open' OR (stored.state = 'acknowledged' AND newest.verb = 'close')) AS has_newer_action
    FROM (SELECT * REPLACE toString(alert_id) AS alert_id FROM ${database}.alerts) AS stored
    LEFT JOIN
    (
        SELECT alert_id, verb, author, reason, at, written_at
        FROM ${database}.alert_actions
        ORDER BY at DESC
        LIMIT 1 BY alert_id
    ) AS newest USING alert_id
    LEFT JOIN
    (
        SELECT splitByChar(' ', held)[2] AS alert_id, arraySort(groupUniqArray(if(startsWith(held, 'parent '), key, metric))) AS names
        FROM ${database}.alerts
        WHERE state = 'open' AND match(held, '^(parent|incident) ')
        GROUP BY alert_id
    ) AS absorbed USING alert_id
    WHERE (stored.state IN ('open', 'acknowledged') OR stored.changed_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC'))
        AND startsWith(alert_id, {alert_id:String})
)
ORDER BY changed_us DESC, alert_id
LIMIT {most:UInt32}
