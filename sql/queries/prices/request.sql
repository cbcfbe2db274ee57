-- Every stored request with an event id, in the order of the log, as pricing reads it.
SELECT
    toUnixTimestamp64Micro(started_at) AS started_at_us,
    tenant, provider, upstream_provider, request_model, response_model, service_tier,
    service_tier_requested, processing, speed, inference_geo, region, server_address,
    status, usage_source,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    cache_write_long_tokens, cache_read_audio_tokens, input_audio_tokens, input_image_tokens,
    input_video_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens,
    web_searches, chunks,
    other_units,
    cost_pico_usd, cost_input_pico_usd, cost_cache_read_pico_usd, cost_cache_write_pico_usd,
    cost_output_pico_usd, cost_other_pico_usd, price_status, price_version, price_rule,
    service,
    log_id, _topic, _partition, _offset, _idx
FROM ${database}.raw_requests
WHERE event_id = {event_id:UUID}
ORDER BY log_id, _topic, _partition, _offset, _idx
