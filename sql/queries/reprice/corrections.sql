-- The stored corrections of one chunk, each once: old and new price of every request.
SELECT
    log_id, _topic, _partition, _offset, _idx, started_at_us, tenant, service, environment,
    operation, provider, model, prompt_name, prompt_version, feature, team, status,
    subject_user, subject_key, subject_agent, subject_run, subject_tool, subject_mcp_server, subject_kinds,
    old_cost_pico_usd, old_cost_input_pico_usd, old_cost_cache_read_pico_usd,
    old_cost_cache_write_pico_usd, old_cost_output_pico_usd, old_cost_other_pico_usd,
    old_price_status, old_price_version, old_price_rule, cost_pico_usd, cost_input_pico_usd,
    cost_cache_read_pico_usd, cost_cache_write_pico_usd, cost_output_pico_usd,
    cost_other_pico_usd, price_status, price_version, price_rule
FROM ${database}.price_corrections
WHERE run_id = {run_id:String} AND chunk = {chunk:UInt32}
ORDER BY log_id, _topic, _partition, _offset, _idx
LIMIT 1 BY log_id, _topic, _partition, _offset, _idx
