-- What the detect job has merged, by its newest whole snapshot.
SELECT
    any(consumed) AS consumed,
    any(taken_at_us) AS taken_at_us
FROM ${database}.detector_state
GROUP BY slot, snapshot_id
HAVING uniqExact(chunk) = any(chunks)
ORDER BY taken_at_us DESC
LIMIT 1
