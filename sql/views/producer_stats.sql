-- Grain: one report of one producer. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: raw_stats, written by the ingest job; 30 days.
-- Counters run from the start of the producer: take max() by producer_id, then add up producers.

CREATE OR REPLACE VIEW ${database}.producer_stats ${on_cluster} AS
SELECT
    -- identity, time and origin
    schema_version,
    event_id,
    started_at,
    toUnixTimestamp64Micro(started_at) AS started_at_us,
    type,
    service,
    environment,
    tenant,
    team,
    feature,
    user_hash,
    sdk_name,
    sdk_version,
    host,
    pid,
    trace_id,
    span_id,
    parent_span_id,
    tags,
    sample_rate,
    dropped_before,
    seq,
    -- counters of the producer since its start
    producer_id,
    uptime_ms,
    emitted,
    delivered,
    dropped,
    failed,
    queued,
    frames,
    bytes_sent,
    retries,
    last_error,
    -- where it was in the log
    log_id,
    _topic,
    _partition,
    _offset,
    _idx,
    ingested_at
FROM ${database}.raw_stats
COMMENT 'Running counters of producers, one row per report: max() by producer_id, then sum().';
