-- Why calls of a time (epoch µs, [low_us, high_us)) have no cost, by the causes of the view `unpriced`.
SELECT
    countIf(has_usage) AS no_price,
    countIf(NOT has_usage) AS no_usage
FROM
(
    SELECT NOT (r.input_tokens IS NULL AND r.output_tokens IS NULL AND empty(r.other_units)) AS has_usage
    FROM ${database}.raw_requests AS r
    WHERE r.started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND r.started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
        AND r.cost_pico_usd IS NULL
)
