-- Whether a batch has raw rows of a time; a batch writes them before its windows.
SELECT count() AS found
FROM
(
    SELECT 1
    FROM ${database}.raw_requests
    WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
        AND _offset >= {start:Int64} AND _offset < {end:Int64}
        AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM ${database}.raw_evaluations
    WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
        AND _offset >= {start:Int64} AND _offset < {end:Int64}
        AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM ${database}.raw_feedback
    WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
        AND _offset >= {start:Int64} AND _offset < {end:Int64}
        AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM ${database}.raw_changes
    WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
        AND _offset >= {start:Int64} AND _offset < {end:Int64}
        AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM ${database}.raw_stats
    WHERE log_id = {log_id:String} AND _topic = {topic:String} AND _partition = {partition:Int32}
        AND _offset >= {start:Int64} AND _offset < {end:Int64}
        AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    LIMIT 1
)
