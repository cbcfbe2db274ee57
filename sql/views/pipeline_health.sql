-- Grain: (log_id, topic, partition), over the last seven days of the ledger.
-- Reads: ingest_intents, ingest_positions, both written by the ingest job.
-- What the store knows of the pipeline; lag behind the broker is a metric of the worker, because
-- only the broker knows the end of the log.
--   position         next offset to ingest: the end of the last finished batch
--   sealed_until     end of the last sealed batch; beyond position a batch is open
--   open_batches     sealed and not finished: more than one, or an old one, means trouble
--   missing_offsets  holes between finished batches: 0, or events were skipped
--   *_delay_ms       from the youngest record of a batch to all its rows being queryable

CREATE OR REPLACE VIEW ${database}.pipeline_health ${on_cluster} AS
SELECT
    log_id,
    topic,
    partition,
    maxIf(end_offset, is_done) AS position,
    maxIf(end_offset, NOT is_done) AS sealed_until,
    greatest(uniqExactIf(start_offset, NOT is_done) - uniqExactIf(start_offset, is_done), 0) AS open_batches,
    maxIf(end_offset, is_done) - minIf(start_offset, is_done) - sumIf(end_offset - start_offset, is_done) AS missing_offsets,
    countIf(is_done) AS batches,
    countIf(is_done AND adopted) AS adopted_batches,
    sumIf(records, is_done) AS records,
    sum(events) AS events,
    sum(dead_letters) AS dead_letters,
    sum(retries) AS insert_retries,
    if(batches = 0, NULL, round(avgIf(insert_ms, is_done), 1)) AS insert_mean_ms,
    if(batches = 0, NULL, quantileExactIf(0.5)(delay_ms, is_done)) AS ingest_p50_delay_ms,
    if(batches = 0, NULL, quantileExactIf(0.99)(delay_ms, is_done)) AS ingest_p99_delay_ms,
    max(sealed) AS last_sealed_at,
    maxOrNullIf(done, is_done) AS last_done_at,
    argMaxIf(price_version, end_offset, is_done) AS price_version,
    argMaxIf(worker, end_offset, is_done) AS worker
FROM
(
    SELECT
        log_id, topic, partition, start_offset, end_offset, true AS is_done, records, events, dead_letters, retries,
        adopted, insert_ms, done_at_us / 1000 - last_record_ms AS delay_ms, sealed_at AS sealed,
        done_at AS done, price_version, worker
    FROM ${database}.ingest_positions
    WHERE written_at > now() - INTERVAL 7 DAY
    UNION ALL
    SELECT
        log_id, topic, partition, start_offset, end_offset, false, records, 0, 0, 0,
        false, 0, 0, sealed_at,
        sealed_at, price_version, worker
    FROM ${database}.ingest_intents
    WHERE written_at > now() - INTERVAL 7 DAY
)
GROUP BY log_id, topic, partition
COMMENT 'Ingest by partition over seven days: position, open batches, holes, dead letters, delay. From the ledger.';

ALTER TABLE ${database}.pipeline_health ${on_cluster}
    COMMENT COLUMN log_id 'Incarnation of the log that the event came from',
    COMMENT COLUMN topic 'Topic that is ingested',
    COMMENT COLUMN partition 'Partition of the topic',
    COMMENT COLUMN position 'Next offset to ingest: end of the last finished batch, exclusive',
    COMMENT COLUMN sealed_until 'End of the last sealed batch, exclusive; beyond position a batch is open',
    COMMENT COLUMN open_batches 'Batches sealed and not finished: more than one, or an old one, means trouble',
    COMMENT COLUMN missing_offsets 'Offsets in holes between finished batches: above 0 events were skipped',
    COMMENT COLUMN batches 'Finished batches of seven days',
    COMMENT COLUMN adopted_batches 'Part of batches: finished by another worker or run than sealed them',
    COMMENT COLUMN records 'Kafka records of the finished batches',
    COMMENT COLUMN events 'Events that were stored',
    COMMENT COLUMN dead_letters 'Events that were refused',
    COMMENT COLUMN insert_retries 'Inserts that had to be repeated',
    COMMENT COLUMN insert_mean_ms 'Mean time of all inserts of a batch, ms',
    COMMENT COLUMN ingest_p50_delay_ms 'Median over batches, ms: from the youngest record to all rows in; not additive',
    COMMENT COLUMN ingest_p99_delay_ms '99th percentile over batches, ms: from the youngest record to all rows in; not additive',
    COMMENT COLUMN last_sealed_at 'When the last batch was sealed, UTC',
    COMMENT COLUMN last_done_at 'When the last batch was finished, UTC',
    COMMENT COLUMN price_version 'Price cards of the last finished batch',
    COMMENT COLUMN worker 'host:pid that finished the last batch';
