-- A lookup table of one attempt: the values that raw rows are set to, by their place in the log.
CREATE TABLE ${database}.${lookup}
(
    log_id                    String,
    _topic                    String,
    _partition                Int32,
    _offset                   Int64,
    _idx                      Int32,
    found                     UInt8,
    cost_pico_usd             Nullable(Int64),
    cost_input_pico_usd       Nullable(Int64),
    cost_cache_read_pico_usd  Nullable(Int64),
    cost_cache_write_pico_usd Nullable(Int64),
    cost_output_pico_usd      Nullable(Int64),
    cost_other_pico_usd       Nullable(Int64),
    price_status              String,
    price_version             String,
    price_rule                String
)
ENGINE = Join(ANY, LEFT, log_id, _topic, _partition, _offset, _idx)
COMMENT 'Values of a running reprice; dropped when it is done'
