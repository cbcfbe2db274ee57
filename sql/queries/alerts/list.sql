-- Alerts as they are: all that are open, and those that changed since a moment. What a person did counts at
-- once, before the job that finds alerts has read it. `members` are those of the last transition, and of an open
-- alert also those that it absorbed since: their own rows name it.
SELECT * EXCEPT has_newer_action
FROM
(
    SELECT
        alert_id,
        if(has_newer_action, if(n.verb = 'ack', 'acknowledged', 'closed'), s.state) AS state,
        severity, kind, key, dimensions, metric, direction, sentence, held,
        if(has_newer_action, n.reason, s.why) AS why,
        if(has_newer_action, n.author, s.author) AS author,
        toUnixTimestamp64Micro(since) AS since_us,
        toUnixTimestamp64Micro(opened_at) AS opened_us,
        toUnixTimestamp64Micro(if(has_newer_action, n.at, s.changed_at)) AS changed_us,
        flaps, value, expected, lower, upper, unit, n, evidence, threshold, tests,
        toString(impact_usd_per_hour) AS impact_usd_per_hour, impact_failed_per_minute,
        contributors,
        if(s.state IN ('open', 'acknowledged') AND notEmpty(a.names),
            arrayDistinct(arrayConcat(arrayFilter(name -> NOT match(name, '^and [0-9]+ more$'), members), a.names)),
            members) AS members,
        causes, first_action, runbook,
        n.written_at > s.written_at AND n.at >= s.changed_at
            AND (s.state = 'open' OR (s.state = 'acknowledged' AND n.verb = 'close')) AS has_newer_action
    FROM (SELECT * REPLACE toString(alert_id) AS alert_id FROM ${database}.alerts) AS s
    LEFT JOIN
    (
        SELECT alert_id, verb, author, reason, at, written_at
        FROM ${database}.alert_actions
        ORDER BY at DESC
        LIMIT 1 BY alert_id
    ) AS n USING alert_id
    LEFT JOIN
    (
        SELECT splitByChar(' ', held)[2] AS alert_id, arraySort(groupUniqArray(if(startsWith(held, 'parent '), key, metric))) AS names
        FROM ${database}.alerts
        WHERE state = 'open' AND match(held, '^(parent|incident) ')
        GROUP BY alert_id
    ) AS a USING alert_id
    WHERE (s.state IN ('open', 'acknowledged') OR s.changed_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC'))
        AND startsWith(alert_id, {alert_id:String})
)
ORDER BY changed_us DESC, alert_id
LIMIT {most:UInt32}
