-- Events stored under two identities of one topic: the same id at the same place of the log. A log was read
-- again under another name, or a topic was made again with the same records.
SELECT
    topic,
    count() AS events,
    arraySort(groupUniqArrayArray([first_log_id, last_log_id])) AS log_ids
FROM
(
    SELECT
        _topic AS topic,
        min(toString(log_id)) AS first_log_id,
        max(toString(log_id)) AS last_log_id
    FROM
    (
        SELECT event_id, _topic, _partition, _offset, _idx, log_id FROM ${database}.raw_requests
        UNION ALL
        SELECT event_id, _topic, _partition, _offset, _idx, log_id FROM ${database}.raw_evaluations
        UNION ALL
        SELECT event_id, _topic, _partition, _offset, _idx, log_id FROM ${database}.raw_feedback
        UNION ALL
        SELECT event_id, _topic, _partition, _offset, _idx, log_id FROM ${database}.raw_changes
        UNION ALL
        SELECT event_id, _topic, _partition, _offset, _idx, log_id FROM ${database}.raw_stats
    )
    GROUP BY event_id, _topic, _partition, _offset, _idx
    HAVING first_log_id != last_log_id
)
GROUP BY topic
ORDER BY topic
SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2
