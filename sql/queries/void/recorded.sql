-- Rows of some events that are written down as taken out by the decision that holds.
SELECT
    toString(event_id) AS id,
    raw_table,
    toUnixTimestamp64Micro(started_at) AS started_at_us,
    tenant, service, environment, provider, model,
    input_tokens, output_tokens, cost_pico_usd, price_version,
    log_id, _topic, _partition, _offset, _idx
FROM ${database}.voided_events
WHERE event_id IN {ids:Array(UUID)}
ORDER BY id, log_id, _topic, _partition, _offset, _idx
SETTINGS select_sequential_consistency = 1
