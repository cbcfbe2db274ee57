-- Rows of some events that were ever taken out, by place; the newest of each.
SELECT
    toString(event_id) AS id,
    raw_table,
    toUnixTimestamp64Micro(started_at) AS started_at_us,
    tenant, service, environment, provider, model,
    input_tokens, output_tokens, cost_pico_usd, price_version,
    log_id, _topic, _partition, _offset, _idx
FROM ${database}.voided_rows
WHERE event_id IN {ids:Array(UUID)}
ORDER BY log_id, _topic, _partition, _offset, _idx, revision DESC
LIMIT 1 BY log_id, _topic, _partition, _offset, _idx
SETTINGS select_sequential_consistency = 1
