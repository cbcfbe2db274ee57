-- How much of [begin_us, end_us) is stored in a table of windows, since when, of about how many series, and
-- which dimensions have a value anywhere. No row: nothing.
SELECT
    toInt64(toUnixTimestamp(min(w.window_start))) * 1000000 AS oldest_us,
    uniqExact(w.window_start) AS windows,
    count() AS stored,
    uniqCombined(w.tenant, w.service, w.environment, w.operation, w.provider, w.model, w.prompt_name, w.prompt_version,
                 w.feature, w.team) AS series,
    max(w.tenant != '') AS tenant,
    max(w.service != '') AS service,
    max(w.environment != '') AS environment,
    max(w.operation != '') AS operation,
    max(w.provider != '') AS provider,
    max(w.model != '') AS model,
    max(w.prompt_name != '') AS prompt_name,
    max(w.prompt_version != '') AS prompt_version,
    max(w.feature != '') AS feature,
    max(w.team != '') AS team
FROM ${database}.{table:Identifier} AS w
WHERE w.window_start >= toDateTime(intDiv({begin_us:Int64}, 1000000), 'UTC')
    AND w.window_start < toDateTime(intDiv({end_us:Int64}, 1000000), 'UTC')
HAVING stored > 0
