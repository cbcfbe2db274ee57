-- Set the prices of the raw rows of one chunk to what its lookup table holds, and wait until it is done.
ALTER TABLE ${database}.raw_requests UPDATE
    cost_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    cost_input_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_input_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    cost_cache_read_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_cache_read_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    cost_cache_write_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_cache_write_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    cost_output_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_output_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    cost_other_pico_usd = joinGet(
        '${database}.${lookup}', 'cost_other_pico_usd', toString(log_id), toString(_topic), _partition, _offset, _idx),
    price_status = joinGet(
        '${database}.${lookup}', 'price_status', toString(log_id), toString(_topic), _partition, _offset, _idx),
    price_version = joinGet(
        '${database}.${lookup}', 'price_version', toString(log_id), toString(_topic), _partition, _offset, _idx),
    price_rule = joinGet(
        '${database}.${lookup}', 'price_rule', toString(log_id), toString(_topic), _partition, _offset, _idx)
WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    AND price_version != {price_version:String}
    AND joinGet(
        '${database}.${lookup}', 'found', toString(log_id), toString(_topic), _partition, _offset, _idx) = 1
SETTINGS mutations_sync = 1
