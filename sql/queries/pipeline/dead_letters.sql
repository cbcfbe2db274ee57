-- Refused events of all, by the ledger, in batches that were finished since a moment.
SELECT
    sum(dead_letters) AS part,
    sum(events) + sum(dead_letters) AS whole
FROM ${database}.ingest_positions
WHERE written_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
