-- Of everything that alerts were about the newest alert, as its last transition left it, without those that closed long
-- ago, or as soon as they opened: what the detect job goes on from.
WITH lasts AS
(
    SELECT identity, memory, state, at, opened_at
    FROM ${database}.alert_events FINAL
    WHERE at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    ORDER BY alert_id, sequence DESC
    LIMIT 1 BY alert_id
), newest AS
(
    SELECT identity, memory, state, at, opened_at
    FROM lasts
    ORDER BY JSONExtractInt(memory, 'began_us') DESC
    LIMIT 1 BY identity
)
SELECT identity, memory, state, at
FROM newest
WHERE state != 'closed' OR (at > opened_at AND at >= fromUnixTimestamp64Micro({ended_since_us:Int64}, 'UTC'))
SETTINGS select_sequential_consistency = 1
