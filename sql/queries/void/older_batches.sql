-- Batches in flight that do not know a decision: each may still store an event that it took out.
-- Without those of a former log of a topic that was made again: they have no successor.
SELECT DISTINCT i.topic AS topic, i.partition AS partition, i.start_offset AS start, i.end_offset AS end
FROM ${database}.ingest_intents AS i
INNER JOIN
(
    SELECT topic, argMax(log_id, sealed_at_us) AS log_id
    FROM ${database}.ingest_intents
    GROUP BY topic
) AS n ON i.topic = n.topic AND i.log_id = n.log_id
LEFT JOIN
(
    SELECT log_id, topic, partition, max(end_offset) AS position
    FROM ${database}.ingest_positions
    GROUP BY log_id, topic, partition
) AS p ON i.log_id = p.log_id AND i.topic = p.topic AND i.partition = p.partition
WHERE i.start_offset >= p.position AND i.void_revision < {revision:UInt32}
ORDER BY topic, partition, start
SETTINGS select_sequential_consistency = 1
