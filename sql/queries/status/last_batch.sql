-- When the last batch of any log was finished (epoch µs); 0: there is none.
SELECT max(done_at_us) AS done_at_us
FROM ${database}.ingest_positions
WHERE written_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
