-- The last transition of every alert that is not over for good: what the detect job goes on from.
SELECT identity, memory, state, at
FROM ${database}.alert_events FINAL
WHERE at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
ORDER BY alert_id, sequence DESC
LIMIT 1 BY alert_id
SETTINGS select_sequential_consistency = 1
