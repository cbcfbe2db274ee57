-- Where the rows of one batch stand in the log that one raw table holds, or that were taken out of it.
SELECT _offset AS offset, _idx AS idx
FROM ${database}.{raw_table:Identifier}
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
UNION ALL
SELECT _offset AS offset, _idx AS idx
FROM ${database}.voided_rows
WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
    AND raw_table = {raw_table:String}
    AND _offset >= {start:Int64} AND _offset < {end:Int64}
