-- Windows of `window_s` seconds in [begin_us, end_us), of the table that holds them, one of `stride` of them, as
-- the stream would have brought their rows: several may hold one series of one window, and the reader sums them.
SELECT
    toDateTime64(w.window_start, 6, 'UTC') AS window_start,
    w.tenant AS tenant,
    w.service AS service,
    w.environment AS environment,
    w.operation AS operation,
    w.provider AS provider,
    w.model AS model,
    w.prompt_name AS prompt_name,
    w.prompt_version AS prompt_version,
    w.feature AS feature,
    w.team AS team,
    w.cache_read_tokens AS cache_read_tokens,
    w.cache_write_tokens AS cache_write_tokens,
    toDecimal128(w.cost_input_pico_usd, 0) AS cost_input_pico_usd,
    toDecimal128(w.cost_output_pico_usd, 0) AS cost_output_pico_usd,
    toDecimal128(w.cost_pico_usd, 0) AS cost_pico_usd,
    w.errors AS errors,
    w.errors_rate_limit AS errors_rate_limit,
    w.evaluation_score_micro_sum AS evaluation_score_micro_sum,
    w.evaluations_scored AS evaluations_scored,
    w.events AS events,
    w.feedback_score_micro_sum AS feedback_score_micro_sum,
    w.feedback_scored AS feedback_scored,
    w.filtered AS filtered,
    w.input_tokens AS input_tokens,
    w.output_tokens AS output_tokens,
    w.refused AS refused,
    w.requests AS requests,
    w.truncated AS truncated,
    w.ttft_count AS ttft_count,
    w.unpriced AS unpriced,
    w.usage_missing AS usage_missing,
    w.latency_hist AS latency_hist,
    w.output_tps_hist AS output_tps_hist,
    w.ttft_hist AS ttft_hist
FROM ${database}.{table:Identifier} AS w
WHERE w.window_start >= toDateTime(intDiv({begin_us:Int64}, 1000000), 'UTC')
    AND w.window_start < toDateTime(intDiv({end_us:Int64}, 1000000), 'UTC')
    AND intDiv(toUnixTimestamp(w.window_start), {window_s:UInt32}) % {stride:UInt32} = 0
