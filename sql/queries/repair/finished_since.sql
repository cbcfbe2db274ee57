-- How many batches with events of a time were finished since a moment of the server's clock.
SELECT count() AS batches
FROM ${database}.ingest_positions
WHERE written_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND events > 0
    AND first_started_at_us < {to_us:Int64}
    AND last_started_at_us >= {from_us:Int64}
SETTINGS select_sequential_consistency = 1
