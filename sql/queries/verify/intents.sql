-- The winning intent of every start: the range that a batch was promised to have.
SELECT log_id, topic, partition, start_offset, end_offset
FROM ${database}.ingest_intents
ORDER BY log_id, topic, partition, start_offset, written_at, sealed_at_us, worker
LIMIT 1 BY log_id, topic, partition, start_offset
SETTINGS select_sequential_consistency = 1
