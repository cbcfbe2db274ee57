-- Grain: one verdict of an end user. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: raw_feedback, written by the ingest job; 400 days.
-- Join requests by target_event_id = requests.event_id (NULL where the producer gave none), else by
-- response_id or conversation_id.

CREATE OR REPLACE VIEW ${database}.feedback ${on_cluster} AS
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
    -- what is judged
    name,
    toUUIDOrNull(target_event_id) AS target_event_id,
    response_id,
    conversation_id,
    provider,
    operation,
    request_model,
    response_model,
    if(response_model = '', request_model, response_model) AS model,
    prompt_name,
    prompt_version,
    -- the verdict
    score,
    label,
    comment,
    -- where it was in the log
    log_id,
    _topic,
    _partition,
    _offset,
    _idx,
    ingested_at
FROM ${database}.raw_feedback
COMMENT 'What end users said of responses, one row each.';
