-- Requests of other price versions that started in [from_us, to_us), each once, with all that pricing
-- and the windows need of them.
SELECT
    log_id, _topic, _partition, _offset, _idx,
    toUnixTimestamp64Micro(started_at) AS started_at_us,
    tenant, provider, upstream_provider, request_model, response_model, service_tier,
    service_tier_requested, processing, speed, inference_geo, region, server_address,
    status, usage_source,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    cache_write_long_tokens, cache_read_audio_tokens, input_audio_tokens, input_image_tokens,
    input_video_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens,
    web_searches, chunks,
    toJSONString(other_units) AS other_units,
    if(response_model = '', request_model, response_model) AS model,
    service, environment, operation, prompt_name, prompt_version, feature, team,
    user_hash AS subject_user, key_id AS subject_key, if(agent_name != '', agent_name, agent_id) AS subject_agent,
    run AS subject_run, tool_name AS subject_tool, mcp_server AS subject_mcp_server, subject_kinds,
    cost_pico_usd, cost_input_pico_usd, cost_cache_read_pico_usd, cost_cache_write_pico_usd,
    cost_output_pico_usd, cost_other_pico_usd, price_status, price_version, price_rule
FROM ${database}.raw_requests
WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    AND price_version != {price_version:String}
ORDER BY log_id, _topic, _partition, _offset, _idx
LIMIT 1 BY log_id, _topic, _partition, _offset, _idx
