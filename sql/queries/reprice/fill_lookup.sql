-- Copy the corrections of one chunk into its lookup table.
INSERT INTO ${database}.${lookup}
SELECT
    log_id, _topic, _partition, _offset, _idx, 1 AS found,
    cost_pico_usd, cost_input_pico_usd, cost_cache_read_pico_usd, cost_cache_write_pico_usd,
    cost_output_pico_usd, cost_other_pico_usd, price_status, price_version, price_rule
FROM ${database}.price_corrections
WHERE run_id = {run_id:String} AND chunk = {chunk:UInt32}
