-- Raw rows that began in some ten-second windows and that those windows do not count yet.
SELECT
    (
        SELECT toInt64(sum(rows))
        FROM
        (
            SELECT count() AS rows
            FROM ${database}.raw_requests
            WHERE intDiv(toUnixTimestamp(started_at), {length_s:UInt32}) * {length_s:UInt32}
                IN {starts_s:Array(UInt32)}
            UNION ALL
            SELECT count() AS rows
            FROM ${database}.raw_evaluations
            WHERE intDiv(toUnixTimestamp(started_at), {length_s:UInt32}) * {length_s:UInt32}
                IN {starts_s:Array(UInt32)}
            UNION ALL
            SELECT count() AS rows
            FROM ${database}.raw_feedback
            WHERE intDiv(toUnixTimestamp(started_at), {length_s:UInt32}) * {length_s:UInt32}
                IN {starts_s:Array(UInt32)}
            UNION ALL
            SELECT count() AS rows
            FROM ${database}.raw_changes
            WHERE intDiv(toUnixTimestamp(started_at), {length_s:UInt32}) * {length_s:UInt32}
                IN {starts_s:Array(UInt32)}
            UNION ALL
            SELECT count() AS rows
            FROM ${database}.raw_stats
            WHERE intDiv(toUnixTimestamp(started_at), {length_s:UInt32}) * {length_s:UInt32}
                IN {starts_s:Array(UInt32)}
        )
    ) - (
        SELECT toInt64(sum(events))
        FROM ${database}.windows_10s
        WHERE toUnixTimestamp(window_start) IN {starts_s:Array(UInt32)}
    ) AS uncounted
