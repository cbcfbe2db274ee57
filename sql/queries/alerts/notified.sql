-- Attempts to notify receivers of one alert.
SELECT
    toString(transition_id) AS transition_id, receiver, outcome, status, detail, took_ms,
    toUnixTimestamp64Micro(at) AS at_us
FROM ${database}.notifications
WHERE alert_id = {alert_id:String}
ORDER BY at, receiver
