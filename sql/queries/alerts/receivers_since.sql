-- Since when each receiver is notified of each severity, as it was found last.
SELECT
    mapApply((name, at) -> (name, toUnixTimestamp64Micro(at)), since) AS since
FROM ${database}.notified_since
ORDER BY at DESC
LIMIT 1
SETTINGS select_sequential_consistency = 1
