-- Grain: one change. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: raw_changes, written by the ingest job; 1,100 days.
-- Deploys and changes of prompts, models, prices and policies: what may explain the other events.

CREATE OR REPLACE VIEW ${database}.changes ${on_cluster} AS
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
    -- the change
    kind,
    subject,
    from_version,
    to_version,
    description,
    actor,
    -- where it was in the log
    log_id,
    _topic,
    _partition,
    _offset,
    _idx,
    ingested_at
FROM ${database}.raw_changes
COMMENT 'Deploys and changes of prompts, models, prices and policies, one row each.';
