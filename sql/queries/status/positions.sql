-- How far each partition of the present logs is finished, and when the last batch was (epoch µs).
SELECT
    log_id,
    topic,
    partition,
    max(end_offset) AS position,
    max(p.done_at_us) AS done_at_us
FROM ${database}.ingest_positions AS p
WHERE log_id IN {log_ids:Array(String)}
GROUP BY log_id, topic, partition
