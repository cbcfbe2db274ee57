-- Ids of the events that were out at one decision.
SELECT toString(event_id) AS event_id
FROM ${database}.event_voids
WHERE revision <= {revision:UInt32}
GROUP BY event_id
HAVING argMax(is_void, revision)
ORDER BY event_id
SETTINGS select_sequential_consistency = 1
