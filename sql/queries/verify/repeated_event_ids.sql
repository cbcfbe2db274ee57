-- Rows beyond the first of each event id, over all types: what producers sent more than once.
SELECT sum(times - 1) AS repeated
FROM
(
    SELECT count() AS times
    FROM
    (
        SELECT event_id FROM ${database}.raw_requests
        UNION ALL
        SELECT event_id FROM ${database}.raw_evaluations
        UNION ALL
        SELECT event_id FROM ${database}.raw_feedback
        UNION ALL
        SELECT event_id FROM ${database}.raw_changes
        UNION ALL
        SELECT event_id FROM ${database}.raw_stats
    )
    GROUP BY event_id
    HAVING times > 1
)
SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2
