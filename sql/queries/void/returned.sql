-- Rows of events that are out, stored all the same at places that are not written down: read again, or sent again, by a
-- worker that did not know yet.
WITH events_out AS (
    SELECT v.event_id AS event_id
    FROM ${database}.event_voids AS v
    GROUP BY v.event_id
    HAVING argMax(v.is_void, v.revision)
)
SELECT toString(event_id) AS id, count() AS rows
FROM
(
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_requests
    WHERE event_id IN (SELECT event_id FROM events_out)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_evaluations
    WHERE event_id IN (SELECT event_id FROM events_out)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_feedback
    WHERE event_id IN (SELECT event_id FROM events_out)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_changes
    WHERE event_id IN (SELECT event_id FROM events_out)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_stats
    WHERE event_id IN (SELECT event_id FROM events_out)
)
WHERE (log_id, _topic, _partition, _offset, _idx) NOT IN (
    SELECT log_id, _topic, _partition, _offset, _idx FROM ${database}.voided_events
)
GROUP BY event_id
ORDER BY id
SETTINGS select_sequential_consistency = 1
