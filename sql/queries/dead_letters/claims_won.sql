-- Dead letters with an offset in [low, high] whose first claim is of this run. A tie in time between two
-- runs is won by neither. Claims before `void_before` that were never followed by a mark do not count.
SELECT log_id, _topic AS topic, _partition AS partition, _offset AS offset, _idx AS idx
FROM ${database}.dead_letter_replays
WHERE _offset BETWEEN {low:Int64} AND {high:Int64} AND action != 'copy'
GROUP BY log_id, topic, partition, offset, idx
HAVING
    countIf(run_id != {run_id:String} AND acted_at >= {void_before:DateTime64(3, 'UTC')}) = 0
    OR minIf(acted_at, run_id = {run_id:String})
        < minIf(acted_at, run_id != {run_id:String} AND acted_at >= {void_before:DateTime64(3, 'UTC')})
SETTINGS select_sequential_consistency = 1
