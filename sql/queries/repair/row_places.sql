-- Where the rows of one batch stand in the log that the raw tables hold, or that were taken out.
SELECT 'raw_requests' AS raw_table, _offset AS offset, _idx AS idx
FROM ${database}.raw_requests
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT 'raw_evaluations' AS raw_table, _offset AS offset, _idx AS idx
FROM ${database}.raw_evaluations
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT 'raw_feedback' AS raw_table, _offset AS offset, _idx AS idx
FROM ${database}.raw_feedback
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT 'raw_changes' AS raw_table, _offset AS offset, _idx AS idx
FROM ${database}.raw_changes
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT 'raw_stats' AS raw_table, _offset AS offset, _idx AS idx
FROM ${database}.raw_stats
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT raw_table, _offset AS offset, _idx AS idx
FROM ${database}.voided_events
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
SETTINGS select_sequential_consistency = 1
