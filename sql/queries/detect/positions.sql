-- How far ingest has finished every partition of every log that it ever read.
SELECT
    log_id,
    topic,
    partition,
    max(end_offset) AS position
FROM ${database}.ingest_positions
GROUP BY log_id, topic, partition
ORDER BY log_id, topic, partition
