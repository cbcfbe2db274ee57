-- The finished batch that holds an offset.
SELECT
    start_offset AS start, end_offset AS end, events,
    first_started_at_us AS first_us, last_started_at_us AS last_us
FROM ${database}.ingest_positions
WHERE log_id = {log_id:String} AND topic = {topic:String} AND partition = {partition:Int32}
    AND start_offset <= {offset:Int64} AND end_offset > {offset:Int64}
LIMIT 1
SETTINGS select_sequential_consistency = 1
