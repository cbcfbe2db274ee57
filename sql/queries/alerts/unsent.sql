-- Transitions that a receiver is to be notified of, without a final result, in the order of their alerts.
SELECT
    toString(id) AS id,
    toString(alert_id) AS alert_id,
    toUnixTimestamp64Micro(written_at) AS written_us,
    severity,
    payload
FROM ${database}.alert_events FINAL
WHERE held = ''
    AND written_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND severity IN {severities:Array(String)}
    AND toUnixTimestamp64Micro(written_at)
        >= transform(toString(severity), {severities:Array(String)}, {begins_us:Array(Int64)}, toInt64(0))
    AND id NOT IN
    (
        SELECT transition_id
        FROM ${database}.notifications
        WHERE receiver = {receiver:String} AND outcome != 'retry'
            AND at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') - INTERVAL 1 DAY
    )
ORDER BY written_at, alert_id, sequence
LIMIT 10 BY alert_id
LIMIT 1000
SETTINGS select_sequential_consistency = 1
