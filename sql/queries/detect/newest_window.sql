-- Where the newest stored window of a minute ends. No row: nothing is stored.
SELECT toInt64(toUnixTimestamp(max(w.window_start)) + 60) * 1000000 AS end_us
FROM ${database}.windows_1m AS w
HAVING count() > 0
