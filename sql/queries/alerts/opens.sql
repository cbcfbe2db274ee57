-- The latest announced openings: what counts towards a storm.
WITH announced AS
(
    SELECT toString(identity) AS identity, toUnixTimestamp64Micro(at) AS at_us
    FROM ${database}.alert_events FINAL
    WHERE state = 'open' AND held = '' AND kind != 'storm' AND at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
)
SELECT identity, at_us
FROM announced
WHERE at_us > (SELECT max(at_us) FROM announced) - {span_us:Int64}
ORDER BY at_us, identity
