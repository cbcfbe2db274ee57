-- Every finished batch once, as the ledger has it: which offsets, and what they became.
SELECT
    log_id,
    topic,
    partition,
    start_offset,
    end_offset,
    events,
    dead_letters,
    cost_pico_usd,
    records,
    sealed_at_us,
    if(first_started_at_us = 0, sealed_at_us, first_started_at_us) AS first_us,
    if(last_started_at_us = 0, sealed_at_us, last_started_at_us) AS last_us
FROM ${database}.ingest_positions
ORDER BY log_id, topic, partition, start_offset, end_offset
LIMIT 1 BY log_id, topic, partition, start_offset, end_offset
SETTINGS select_sequential_consistency = 1
