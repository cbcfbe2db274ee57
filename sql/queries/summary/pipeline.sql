-- How ingest did since a moment (epoch µs, clock of the workers), from the ledger.
SELECT
    sum(events) AS events,
    sum(dead_letters) AS dead_letters,
    count() AS batches,
    if(batches = 0, 0, (max(done_at_us) - min(sealed_at_us)) / 1e6) AS busy_s,
    quantileExactOrNull(0.5)(done_at_us / 1000 - first_record_ms) AS delay_p50_ms,
    quantileExactOrNull(0.95)(done_at_us / 1000 - first_record_ms) AS delay_p95_ms
FROM ${database}.ingest_positions
WHERE done_at_us >= {since_us:Int64}
