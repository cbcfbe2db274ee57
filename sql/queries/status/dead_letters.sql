-- Dead letters since a moment, by reason, the most frequent first.
SELECT reason, count() AS dead_letters
FROM ${database}.dead_letters
WHERE ingested_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
GROUP BY reason
ORDER BY dead_letters DESC, reason
