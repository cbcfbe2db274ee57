-- Batches in flight: the intents beyond the ledger's positions. One row more, with partition -1, so that
-- the server's time is known when no batch is open.
SELECT
    i.log_id AS log_id,
    i.topic AS topic,
    i.partition AS partition,
    i.start_offset AS start,
    i.end_offset AS end,
    i.sealed_at_us AS sealed_at_us,
    toUnixTimestamp64Micro(now64(6)) AS now_us
FROM ${database}.ingest_intents AS i
LEFT JOIN
(
    SELECT log_id, topic, partition, max(end_offset) AS done
    FROM ${database}.ingest_positions
    GROUP BY log_id, topic, partition
) AS p ON i.log_id = p.log_id AND i.topic = p.topic AND i.partition = p.partition
WHERE i.start_offset >= p.done
UNION ALL
SELECT '', '', toInt32(-1), toInt64(0), toInt64(0), toInt64(0), toUnixTimestamp64Micro(now64(6))
SETTINGS select_sequential_consistency = 1
