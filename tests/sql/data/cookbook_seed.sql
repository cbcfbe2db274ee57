-- Seven weeks of plain, predictable traffic, 2026-10-01 to 2026-11-18 12:00 UTC, for boards and queries.
-- Every value is arithmetic on the row number n, so that expected answers can be worked out by hand.

INSERT INTO ${database}.raw_requests
    (schema_version, event_id, started_at, tenant, team, feature, service, environment, user_hash,
     sdk_name, conversation_id, trace_id, operation, provider, status, request_model, response_model, response_id,
     prompt_name, prompt_version, stream, input_tokens, output_tokens, cache_read_tokens,
     cache_write_tokens, reasoning_tokens, usage_source, error_type, http_status, retry_count, finish_reasons,
     duration_ms, ttft_ms, max_chunk_gap_ms, tags_json,
     cost_pico_usd, cost_input_pico_usd, cost_cache_read_pico_usd, cost_cache_write_pico_usd,
     cost_output_pico_usd, cost_other_pico_usd, price_version, price_status, price_rule,
     reported_cost_pico_usd, reported_cost_source,
     run_id, parent_run_id, agent_name, agent_version, key_id, tool_name, mcp_server, tool_calls_count,
     subject_kinds, log_id, _topic, _partition, _offset, _idx, ingested_at)
WITH
    number AS n,
    toDateTime64('2026-10-01 00:00:00', 6, 'UTC') + toIntervalSecond(350 * n) AS at,
    ['gpt-4.1-mini', 'claude-sonnet-4', 'gpt-4.1', 'mystery-1'][n % 4 + 1] AS model_name,
    [400000, 3000000, 2000000, 0][n % 4 + 1] AS rate_in,
    [100000, 300000, 500000, 0][n % 4 + 1] AS rate_read,
    [0, 3750000, 0, 0][n % 4 + 1] AS rate_write,
    [1600000, 15000000, 8000000, 0][n % 4 + 1] AS rate_out,
    at >= toDateTime64('2026-11-10 00:00:00', 6, 'UTC') AS is_v2,
    multiIf(n % 50 = 7, 'error', n % 97 = 11, 'refused', n % 101 = 13, 'cancelled', 'ok') AS ended,
    n % 100 = 7 OR n % 200 = 10 AS no_usage,
    n % 4 = 3 OR no_usage AS no_cost,
    1000 + n % 500 AS tokens_in,
    if(n % 3 = 0, 512, 0) AS tokens_read,
    if(n % 4 = 1 AND n % 5 = 0, 200, 0) AS tokens_write,
    (100 + n % 200) * if(is_v2, 2, 1) AS tokens_out,
    (tokens_in - tokens_read - tokens_write) * rate_in AS c_in,
    tokens_read * rate_read AS c_read,
    tokens_write * rate_write AS c_write,
    tokens_out * rate_out AS c_out
SELECT
    1,
    toUUID(concat('018f0000-0000-7000-8000-', leftPad(lower(hex(n)), 12, '0'))),
    at,
    ['acme', 'globex', 'initech'][n % 3 + 1],
    ['search', 'support'][n % 2 + 1],
    ['answer', 'rewrite', 'classify'][intDiv(n, 2) % 3 + 1],
    ['chat-api', 'rag-worker'][intDiv(n, 4) % 2 + 1],
    'production',
    concat('u', toString(n % 211)),
    ['codex', 'claude-code', '', ''][n % 4 + 1],
    concat('c', toString(intDiv(n, 8))),
    leftPad(lower(hex(intDiv(n, 2))), 32, '0'),
    'chat',
    ['openai', 'anthropic', 'openai', 'selfhosted'][n % 4 + 1],
    ended,
    model_name,
    if(ended = 'error', '', model_name),
    concat('resp_', toString(n)),
    ['answer-with-sources', 'rewrite-tone'][intDiv(n, 2) % 2 + 1],
    if(is_v2, 'v2', 'v1'),
    n % 3 != 1,
    if(no_usage, NULL, tokens_in),
    if(no_usage, NULL, tokens_out),
    if(no_usage, NULL, tokens_read),
    if(no_usage OR n % 4 != 1, NULL, tokens_write),
    if(no_usage OR n % 4 != 2, NULL, intDiv(tokens_out, 2)),
    if(no_usage, 'missing', 'provider'),
    if(ended = 'error', ['rate_limit', 'timeout', 'server_error'][intDiv(n, 100) % 3 + 1], ''),
    if(ended = 'error', [429, 504, 500][intDiv(n, 100) % 3 + 1], 200),
    if(n % 25 = 7, 2, 0),
    [if(n % 20 = 4, 'length', 'stop')],
    500 + (n * 37) % 4000,
    if(n % 3 != 1 AND ended != 'error', 100 + (n * 13) % 390, NULL),
    if(n % 3 != 1 AND ended != 'error', 20 + (n * 7) % 600 + if(n % 500 = 2, 9000, 0), NULL),
    if(n % 10 = 0, '{"release": "2026.11"}', '{}'),
    if(no_cost, NULL, c_in + c_read + c_write + c_out),
    if(no_cost, NULL, c_in),
    if(no_cost, NULL, c_read),
    if(no_cost, NULL, c_write),
    if(no_cost, NULL, c_out),
    if(no_cost, NULL, 0),
    if(at < toDateTime64('2026-11-01 00:00:00', 6, 'UTC'), '2026-09-30', '2026-10-31'),
    if(no_cost, 'unpriced', 'exact'),
    if(no_cost, '', concat('card/', model_name)),
    if(n % 4 = 1 AND NOT no_cost, intDiv((c_in + c_read + c_write + c_out) * if(n % 20 = 1, 11, 10), 10), NULL),
    if(n % 4 = 1, 'claude-code', ''),
    concat('r', toString(intDiv(n, 12)), '-', toString(n % 3)),
    if(intDiv(n, 12) % 2 = 1, concat('r', toString(intDiv(n, 12) - 1), '-', toString(n % 3)), ''),
    ['planner', 'researcher'][intDiv(n, 12) % 2 + 1],
    '1.0',
    concat('key_', toString(n % 2)),
    if(n % 3 = 0, 'search', ''),
    if(n % 3 = 0, 'web', ''),
    if(n % 5 = 0, 2, NULL),
    'user,key,agent,run,tool,mcp_server',
    'log-1', 'tokentide.events.v1', n % 4, intDiv(n, 8), intDiv(n, 4) % 2,
    at + toIntervalMillisecond(500 + n % 1000)
FROM numbers(11972)
WHERE at < toDateTime64('2026-11-18 12:00:00', 6, 'UTC');

-- A judge scores every tenth call, a guardrail every twenty-fifth.
INSERT INTO ${database}.raw_evaluations
    (schema_version, event_id, started_at, tenant, team, service, environment, name, target_event_id, provider,
     request_model, response_model, prompt_name, prompt_version, score, evaluator, passed,
     log_id, _topic, _partition, _offset, _idx, ingested_at)
SELECT
    1, toUUID(replaceOne(toString(event_id), '018f0000', '018f0001')), started_at + toIntervalSecond(5), tenant, team,
    service, environment, if(n % 10 = 0, 'faithfulness', 'toxicity'), toString(event_id), provider,
    request_model, response_model, prompt_name, prompt_version,
    if(prompt_version = 'v2', 0.9, 0.75), if(n % 10 = 0, 'judge', 'guardrail'), prompt_version = 'v2' OR n % 30 != 0,
    log_id, _topic, _partition, _offset + 100000, 0, ingested_at
FROM (SELECT *, toUInt64(dateDiff('second', toDateTime64('2026-10-01 00:00:00', 6, 'UTC'), started_at) / 350) AS n FROM ${database}.raw_requests)
WHERE n % 10 = 0 OR n % 25 = 3;

-- One call in twenty gets a thumb, down on every fourth of them.
INSERT INTO ${database}.raw_feedback
    (schema_version, event_id, started_at, tenant, team, service, environment, name, target_event_id, provider,
     request_model, response_model, prompt_name, prompt_version, score, label,
     log_id, _topic, _partition, _offset, _idx, ingested_at)
SELECT
    1, toUUID(replaceOne(toString(event_id), '018f0000', '018f0002')), started_at + toIntervalSecond(60), tenant, team,
    service, environment, 'thumbs', toString(event_id), provider, request_model, response_model, prompt_name, prompt_version,
    if(n % 80 = 0, 0, 1), if(n % 80 = 0, 'down', 'up'),
    log_id, _topic, _partition, _offset + 200000, 0, ingested_at
FROM (SELECT *, toUInt64(dateDiff('second', toDateTime64('2026-10-01 00:00:00', 6, 'UTC'), started_at) / 350) AS n FROM ${database}.raw_requests)
WHERE n % 20 = 0;

INSERT INTO ${database}.raw_changes
    (schema_version, event_id, started_at, tenant, service, environment, kind, subject, from_version, to_version,
     actor, log_id, _topic, _partition, _offset, _idx, ingested_at)
VALUES
    (1, '018f0003-0000-7000-8000-000000000001', '2026-11-10 00:00:00', '', 'chat-api', 'production', 'prompt',
     'answer-with-sources', 'v1', 'v2', 'dana', 'log-1', 'tokentide.events.v1', 0, 300000, 0, '2026-11-10 00:00:01');

-- Two producers report every hour of the last two days; one drops 3 events an hour.
INSERT INTO ${database}.raw_stats
    (schema_version, event_id, started_at, tenant, service, environment, producer_id, uptime_ms, emitted, delivered,
     dropped, failed, queued, frames, bytes_sent, retries, log_id, _topic, _partition, _offset, _idx, ingested_at)
WITH intDiv(number, 2) AS hour, number % 2 AS producer
SELECT
    1, toUUID(concat('018f0004-0000-7000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    toDateTime64('2026-11-16 12:00:00', 6, 'UTC') + toIntervalHour(hour), '', ['chat-api', 'rag-worker'][producer + 1],
    'production', concat('p', toString(producer)), 3600000 * (hour + 1), 100 * (hour + 1),
    (100 - 3 * producer) * (hour + 1), 3 * producer * (hour + 1), 0, 0, hour + 1, 50000 * (hour + 1), 0,
    'log-1', 'tokentide.events.v1', 1, 400000 + number, 0, toDateTime64('2026-11-16 12:00:01', 6, 'UTC') + toIntervalHour(hour)
FROM numbers(96);

-- 30 refused events of the last day: two thirds broken JSON, one third a missing field; one was replayed.
INSERT INTO ${database}.dead_letters
    (log_id, _topic, _partition, _offset, _idx, reason, field, detail, value, record_at, type, tenant, service, ingested_at)
SELECT
    'log-1', 'tokentide.events.v1', number % 4, 500000 + number, 0,
    if(number % 3 = 0, 'missing_field', 'malformed_json'), if(number % 3 = 0, 'service', ''),
    if(number % 3 = 0, 'service is required', 'expected a value at byte 7'),
    if(number % 3 = 0, '{"type": "request"}', '{"type:'), at, if(number % 3 = 0, 'request', ''),
    if(number % 3 = 0, 'acme', ''), '', at
FROM (SELECT number, toDateTime64('2026-11-18 06:00:00', 6, 'UTC') + toIntervalMinute(number) AS at FROM numbers(30));

INSERT INTO ${database}.dead_letter_replays (log_id, _topic, _partition, _offset, _idx, run_id, action, acted_by)
VALUES ('log-1', 'tokentide.events.v1', 0, 500000, 0, 'run-1', 'replayed', 'dana');

-- The ledger of the last day: a batch every minute and partition, finished 400 ms after it was sealed; one in 60 adopted.
INSERT INTO ${database}.ingest_intents
    (log_id, topic, partition, start_offset, end_offset, records, price_version, accepted_from_us,
     accepted_until_us, sealed_at_us, worker)
WITH intDiv(number, 4) AS minute, toUnixTimestamp64Micro(toDateTime64('2026-11-17 12:00:00', 6, 'UTC') + toIntervalMinute(minute)) AS sealed
SELECT
    'log-1', 'tokentide.events.v1', number % 4, 10 * minute, 10 * minute + 10, 10, '2026-10-31',
    sealed - 604800000000, sealed + 3600000000, sealed, 'host-a:41'
FROM numbers(4 * 1440);

INSERT INTO ${database}.ingest_positions
    (log_id, topic, partition, start_offset, end_offset, records, bytes, events, requests, evaluations, feedback,
     changes, stats, dead_letters, window_deltas, cost_pico_usd, price_version, adopted, worker, sealed_at_us,
     first_record_ms, last_record_ms, first_started_at_us, last_started_at_us, compute_ms, insert_ms, retries, done_at_us)
SELECT
    log_id, topic, partition, start_offset, end_offset, records, 7000 * records, 20 * records, 20 * records, 0, 0,
    0, 0, 0, 50, 1000000000, price_version, intDiv(start_offset, 10) % 60 = 0, worker, sealed_at_us,
    intDiv(sealed_at_us, 1000) - 1000, intDiv(sealed_at_us, 1000) - 100, sealed_at_us - 2000000, sealed_at_us - 200000,
    25, 80, 0, sealed_at_us + 400000
FROM ${database}.ingest_intents;

-- The window deltas, folded in SQL from the raw rows: what the ingest job writes for them.
INSERT INTO ${database}.windows_10s
    (window_start, tenant, service, environment, operation, provider, model, prompt_name, prompt_version, feature, team,
     events, requests, errors, errors_rate_limit, errors_timeout, errors_server, errors_other, refused, cancelled,
     truncated, retries, streamed, usage_missing, unpriced, input_tokens, output_tokens, cache_read_tokens,
     cache_write_tokens, reasoning_tokens, cost_pico_usd, cost_input_pico_usd, cost_cache_read_pico_usd,
     cost_cache_write_pico_usd, cost_output_pico_usd, cost_other_pico_usd, cost_errors_pico_usd, duration_us_sum,
     ttft_us_sum, ttft_count, latency_hist, ttft_hist, output_tps_hist, cost_hist)
WITH
    x -> toInt16(ceil(log(x) / log(1.01 / 0.99))) AS bucket,
    x -> CAST(if(x IS NULL, map(), if(x = 0, map(toInt16(-32768), toUInt64(1)), map(bucket(assumeNotNull(x)), toUInt64(1)))), 'Map(Int16, UInt64)') AS hist
SELECT
    toStartOfInterval(started_at, toIntervalSecond(10)), tenant, service, environment, operation, provider, model,
    prompt_name, prompt_version, feature, team,
    count(), count(), countIf(status = 'error'), countIf(error_type = 'rate_limit'), countIf(error_type = 'timeout'),
    countIf(error_type = 'server_error'), 0, countIf(status = 'refused'), countIf(status = 'cancelled'),
    countIf(has(finish_reasons, 'length')), sum(ifNull(retry_count, 0)), countIf(stream), countIf(usage_source = 'missing'),
    countIf(cost_pico_usd IS NULL), sum(ifNull(input_tokens, 0)), sum(ifNull(output_tokens, 0)),
    sum(ifNull(cache_read_tokens, 0)), sum(ifNull(cache_write_tokens, 0)), sum(ifNull(reasoning_tokens, 0)),
    sum(ifNull(cost_pico_usd, 0)), sum(ifNull(cost_input_pico_usd, 0)), sum(ifNull(cost_cache_read_pico_usd, 0)),
    sum(ifNull(cost_cache_write_pico_usd, 0)), sum(ifNull(cost_output_pico_usd, 0)), sum(ifNull(cost_other_pico_usd, 0)),
    sumIf(ifNull(cost_pico_usd, 0), status = 'error'), sum(toUInt64(round(duration_ms * 1000))),
    sum(toUInt64(round(ifNull(ttft_ms, 0) * 1000))), count(ttft_ms), sumMap(hist(duration_ms)), sumMap(hist(ttft_ms)),
    sumMap(hist(if(ttft_ms IS NULL OR output_tokens IS NULL OR duration_ms <= ttft_ms, NULL, output_tokens / ((duration_ms - ttft_ms) / 1000)))),
    sumMap(hist(cost_pico_usd))
FROM ${database}.requests
GROUP BY ALL;

INSERT INTO ${database}.windows_10s
    (window_start, tenant, service, environment, operation, provider, model, prompt_name, prompt_version, team,
     events, evaluations, evaluations_scored, evaluation_score_micro_sum, evaluations_passed)
SELECT
    toStartOfInterval(started_at, toIntervalSecond(10)), tenant, service, environment, operation, provider, model,
    prompt_name, prompt_version, team, count(), count(), count(score), sum(toInt64(round(ifNull(score, 0) * 1e6))), countIf(passed)
FROM ${database}.evaluations
GROUP BY ALL;

INSERT INTO ${database}.windows_10s
    (window_start, tenant, service, environment, operation, provider, model, prompt_name, prompt_version, team,
     events, feedback, feedback_scored, feedback_score_micro_sum)
SELECT
    toStartOfInterval(started_at, toIntervalSecond(10)), tenant, service, environment, operation, provider, model,
    prompt_name, prompt_version, team, count(), count(), count(score), sum(toInt64(round(ifNull(score, 0) * 1e6)))
FROM ${database}.feedback
GROUP BY ALL;

-- The sums by subject, from the raw rows, as the ingest job folds them.
INSERT INTO ${database}.subjects_1h
    (hour, kind, subject, tenant, service, requests, errors, unpriced, tool_calls, input_tokens, output_tokens,
     cost_pico_usd, first_started_at, last_started_at, last_ended_at, agent, agent_version, user_hash, parent)
SELECT
    toStartOfHour(started_at, 'UTC'), kind, subject, tenant, service, count(), countIf(status = 'error'),
    countIf(cost_pico_usd IS NULL), sum(ifNull(tool_calls_count, 0)), sum(ifNull(input_tokens, 0)),
    sum(ifNull(output_tokens, 0)), sum(toInt128(ifNull(cost_pico_usd, 0))), min(started_at), max(started_at),
    max(started_at + toIntervalMillisecond(duration_ms)), if(kind = 'run', max(agent_name), ''),
    if(kind IN ('run', 'agent'), max(agent_version), ''), if(kind = 'run', max(user_hash), ''),
    if(kind = 'run', max(parent_run_id), '')
FROM ${database}.request_subjects
GROUP BY ALL;
