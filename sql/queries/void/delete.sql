-- Take rows out of one raw table, by their places, and wait until they are gone.
ALTER TABLE ${database}.${table} DELETE
WHERE event_id IN {ids:Array(UUID)}
    AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    AND concat(log_id, ' ', _topic, ' ', toString(_partition), ' ', toString(_offset), ' ', toString(_idx))
        IN {places:Array(String)}
SETTINGS mutations_sync = 2
