-- Of everything that alerts were about the newest alert, as its last transition left it, without those that closed long
-- ago, or as soon as they opened: what the detect job goes on from. However long ago one opened, it is open until it
-- closes. What is remembered is read of the alerts that are of use alone.
WITH lasts AS
(
    SELECT
        alert_id,
        identity,
        min(at) AS began_at,
        max(sequence) AS last,
        argMax(state, sequence) AS last_state,
        argMax(at, sequence) AS last_at,
        argMax(opened_at, sequence) AS last_opened_at
    FROM ${database}.alert_events
    GROUP BY alert_id, identity
), newest AS
(
    SELECT *
    FROM lasts
    ORDER BY began_at DESC
    LIMIT 1 BY identity
)
SELECT identity, memory, state, at
FROM ${database}.alert_events FINAL
WHERE (alert_id, sequence) IN
(
    SELECT alert_id, last
    FROM newest
    WHERE last_state != 'closed'
        OR (last_at > last_opened_at AND last_at >= fromUnixTimestamp64Micro({ended_since_us:Int64}, 'UTC'))
)
SETTINGS select_sequential_consistency = 1
