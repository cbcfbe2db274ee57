-- Dead letters by reason and field, the most frequent first. An empty parameter is no bound.
SELECT
    reason,
    field,
    count() AS dead_letters,
    countIf(state = 'open') AS open,
    max(ingested_at) AS last_at,
    any(detail) AS example
FROM ${database}.dead_letter_states
WHERE ({reason:String} = '' OR reason = {reason:String})
    AND ({field:String} = '' OR field = {field:String})
    AND ingested_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND ingested_at < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND (empty({places:Array(String)}) OR place IN {places:Array(String)})
    AND (empty({states:Array(String)}) OR state IN {states:Array(String)})
GROUP BY reason, field
ORDER BY dead_letters DESC, reason, field
