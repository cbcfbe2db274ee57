-- What people did about alerts since a moment of the server's clock.
SELECT
    alert_id,
    verb,
    author,
    reason,
    toUnixTimestamp64Micro(at) AS at_us,
    toUnixTimestamp64Micro(written_at) AS written_us
FROM ${database}.alert_actions
WHERE written_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
ORDER BY at, id
