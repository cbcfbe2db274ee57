-- Requests under one kind of subject in some hours that subjects_1h does not hold.
SELECT
    (
        SELECT toInt64(count())
        FROM ${database}.request_subjects
        WHERE kind = {kind:String}
            AND toUnixTimestamp(toStartOfHour(started_at, 'UTC')) IN {hours:Array(UInt32)}
    ) - (
        SELECT toInt64(sum(requests))
        FROM ${database}.subjects_1h
        WHERE kind = {kind:String} AND toUnixTimestamp(hour) IN {hours:Array(UInt32)}
    ) AS uncounted
