-- The newest snapshot that is whole and that this version can read.
SELECT
    slot,
    snapshot_id,
    any(topic_id) AS topic_id,
    any(partitions) AS partitions,
    any(offsets) AS offsets,
    any(taken_at_us) AS taken_at_us
FROM ${database}.detector_state
WHERE version = {version:UInt32}
GROUP BY slot, snapshot_id
HAVING uniqExact(chunk) = any(chunks)
ORDER BY taken_at_us DESC
LIMIT 1
