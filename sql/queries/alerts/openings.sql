-- Alerts that opened since a moment, each as it was then, by time: one reading.
SELECT
    toString(alert_id) AS alert_id, kind, key, dimensions, metric, severity, sentence, held,
    toUnixTimestamp64Micro(at) AS at_us,
    toString(usd_from_pico(impact_pico_usd_hour)) AS impact_usd_per_hour,
    impact_failed_minute AS impact_failed_per_minute
FROM
(
    SELECT *
    FROM ${database}.alert_events FINAL
    WHERE state = 'open' AND at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    ORDER BY alert_id, sequence
    LIMIT 1 BY alert_id
)
ORDER BY at_us, alert_id
