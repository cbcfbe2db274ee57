-- Finished batches with events of a time that do not have their raw rows: lost ones, or some twice.
-- Also such as have older events, of which retention may have taken rows: the caller separates them.
WITH
    batches AS
    (
        SELECT
            log_id, topic, partition, start_offset, end_offset, events,
            first_started_at_us, last_started_at_us
        FROM ${database}.ingest_positions
        WHERE events > 0
            AND first_started_at_us < {to_us:Int64}
            AND last_started_at_us >= {from_us:Int64}
        LIMIT 1 BY log_id, topic, partition, start_offset
    ),
    (SELECT min(first_started_at_us) FROM batches) AS begin_us,
    (SELECT max(last_started_at_us) FROM batches) AS until_us
SELECT b.log_id AS log_id, b.topic AS topic, b.partition AS partition, b.start_offset AS start,
    b.end_offset AS end, b.events AS events, f.found AS found,
    b.first_started_at_us AS first_us, b.last_started_at_us AS last_us
FROM batches AS b
LEFT JOIN
(
    SELECT s.log_id AS log_id, s.topic AS topic, s.partition AS partition,
        s.start_offset AS start_offset, count() AS found
    FROM
    (
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.raw_requests
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
        UNION ALL
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.raw_evaluations
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
        UNION ALL
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.raw_feedback
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
        UNION ALL
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.raw_changes
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
        UNION ALL
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.raw_stats
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
        UNION ALL -- what was taken out answers for its place, except where its row is still there
        SELECT log_id, _topic, _partition, _offset
        FROM ${database}.voided_events
        WHERE started_at >= fromUnixTimestamp64Micro(begin_us, 'UTC')
            AND started_at <= fromUnixTimestamp64Micro(until_us, 'UTC')
            AND concat(log_id, ' ', _topic, ' ', toString(_partition), ' ', toString(_offset), ' ', toString(_idx))
                NOT IN {unfinished:Array(String)}
    ) AS e
    ASOF JOIN batches AS s ON e.log_id = s.log_id AND e._topic = s.topic
        AND e._partition = s.partition AND e._offset >= s.start_offset
    WHERE e._offset < s.end_offset
    GROUP BY log_id, topic, partition, start_offset
) AS f ON b.log_id = f.log_id AND b.topic = f.topic AND b.partition = f.partition
    AND b.start_offset = f.start_offset
WHERE b.events != f.found
ORDER BY topic, partition, start
SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2, select_sequential_consistency = 1
