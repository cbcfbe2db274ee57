-- Rows that are written down as taken out and are still there: `tokentide void` was interrupted, or is at work.
SELECT
    toString(r.event_id) AS id,
    concat(r.log_id, ' ', r._topic, ' ', toString(r._partition), ' ', toString(r._offset), ' ', toString(r._idx)) AS place
FROM
(
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_requests
    WHERE event_id IN (SELECT event_id FROM ${database}.voided_events)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_evaluations
    WHERE event_id IN (SELECT event_id FROM ${database}.voided_events)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_feedback
    WHERE event_id IN (SELECT event_id FROM ${database}.voided_events)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_changes
    WHERE event_id IN (SELECT event_id FROM ${database}.voided_events)
    UNION ALL
    SELECT event_id, log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_stats
    WHERE event_id IN (SELECT event_id FROM ${database}.voided_events)
) AS r
INNER JOIN ${database}.voided_events AS v
    ON r.log_id = v.log_id AND r._topic = v._topic AND r._partition = v._partition
    AND r._offset = v._offset AND r._idx = v._idx
ORDER BY id, place
SETTINGS select_sequential_consistency = 1
