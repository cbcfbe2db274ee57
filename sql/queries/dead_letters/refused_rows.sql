-- Rows of one batch that a raw table could not hold, by their places: `field` of such a dead letter names the table.
SELECT field AS raw_table, _offset AS offset, _idx AS idx, any(detail) AS why
FROM ${database}.dead_letters
WHERE log_id = {log_id:String}
    AND _topic = {topic:String}
    AND _partition = {partition:Int32}
    AND _offset >= {start_offset:Int64}
    AND _offset < {end_offset:Int64}
    AND reason = {reason:String}
GROUP BY field, offset, idx
ORDER BY offset, idx, field
