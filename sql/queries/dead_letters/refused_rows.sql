-- Rows of one batch that a table has refused, by their places. `refused_by` is the table.
SELECT field AS refused_by, _offset AS offset, _idx AS idx, any(detail) AS why
FROM ${database}.dead_letters
WHERE log_id = {log_id:String}
    AND _topic = {topic:String}
    AND _partition = {partition:Int32}
    AND _offset >= {start_offset:Int64}
    AND _offset < {end_offset:Int64}
    AND reason = {reason:String}
GROUP BY field, offset, idx
ORDER BY offset, idx, field
