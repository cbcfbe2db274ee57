-- Spend, latency and errors of the windows that begin in [low_us, high_us): of everything
-- (dimension and name empty) and by model, team, tenant and service. One query, hence one snapshot.
SELECT
    arrayJoin(if(of = 'model', ['', 'model'], [of])) AS dimension,
    multiIf(dimension = '', '', dimension = 'model', model, part) AS name,
    sum(s_events) AS events,
    sum(s_requests) AS requests,
    sum(s_errors) AS errors,
    sum(s_errors_rate_limit) AS errors_rate_limit,
    sum(s_errors_timeout) AS errors_timeout,
    sum(s_errors_server) AS errors_server,
    sum(s_errors_other) AS errors_other,
    sum(s_retries) AS retries,
    sum(s_refused) + sum(s_filtered) AS refused,
    sum(s_truncated) AS truncated,
    sum(s_unpriced) AS unpriced,
    sum(s_usage_missing) AS usage_missing,
    sum(s_input_tokens) AS input_tokens,
    sum(s_output_tokens) AS output_tokens,
    sum(s_cache_read_tokens) AS cache_read_tokens,
    sum(s_reasoning_tokens) AS reasoning_tokens,
    sum(s_cost_pico_usd) AS cost_pico_usd,
    sum(saved) AS saved_pico_usd,
    sum(s_cost_errors_pico_usd) AS cost_errors_pico_usd,
    p50_from_hist(sumMap(latency)) AS p50_ms,
    p95_from_hist(sumMap(latency)) AS p95_ms,
    p50_from_hist(sumMap(ttft)) AS ttft_p50_ms,
    p95_from_hist(sumMap(ttft)) AS ttft_p95_ms,
    p50_from_hist(sumMap(tps)) AS output_tps,
    sum(s_evaluations) AS evaluations,
    sum(s_evaluations_scored) AS evaluations_scored,
    sum(s_evaluation_score_micro_sum) AS evaluation_score_micro_sum,
    sum(s_feedback) AS feedback,
    sum(s_feedback_scored) AS feedback_scored,
    sum(s_feedback_score_micro_sum) AS feedback_score_micro_sum
FROM
(
    SELECT
        arrayJoin(['model', 'team', 'tenant', 'service']) AS of,
        model,
        provider,
        multiIf(of = 'team', team, of = 'tenant', tenant, of = 'service', service, '') AS part,
        sum(events) AS s_events,
        sum(requests) AS s_requests,
        sum(errors) AS s_errors,
        sum(errors_rate_limit) AS s_errors_rate_limit,
        sum(errors_timeout) AS s_errors_timeout,
        sum(errors_server) AS s_errors_server,
        sum(errors_other) AS s_errors_other,
        sum(retries) AS s_retries,
        sum(refused) AS s_refused,
        sum(filtered) AS s_filtered,
        sum(truncated) AS s_truncated,
        sum(unpriced) AS s_unpriced,
        sum(usage_missing) AS s_usage_missing,
        sum(input_tokens) AS s_input_tokens,
        sum(output_tokens) AS s_output_tokens,
        sum(cache_read_tokens) AS s_cache_read_tokens,
        sum(reasoning_tokens) AS s_reasoning_tokens,
        sum(cost_pico_usd) AS s_cost_pico_usd,
        sum(cost_errors_pico_usd) AS s_cost_errors_pico_usd,
        sumMap(latency_hist) AS latency,
        sumMap(ttft_hist) AS ttft,
        sumMap(output_tps_hist) AS tps,
        sum(evaluations) AS s_evaluations,
        sum(evaluations_scored) AS s_evaluations_scored,
        sum(evaluation_score_micro_sum) AS s_evaluation_score_micro_sum,
        sum(feedback) AS s_feedback,
        sum(feedback_scored) AS s_feedback_scored,
        sum(feedback_score_micro_sum) AS s_feedback_score_micro_sum,
        -- What caches saved. The rate of plain input is what the model's plain input of the range
        -- cost per token, so it follows price changes and overrides; a model with cached input only
        -- saves nothing that can be shown.
        toInt128(sum(cache_read_tokens) + sum(cache_write_tokens)) AS cached_tokens,
        toInt128(sum(input_tokens)) - cached_tokens AS plain_tokens,
        if(
            plain_tokens > 0 AND cached_tokens > 0,
            intDiv(sum(cost_input_pico_usd) * cached_tokens, plain_tokens)
                - sum(cost_cache_read_pico_usd) - sum(cost_cache_write_pico_usd),
            0
        ) AS saved
    FROM ${database}.windows_10s
    WHERE window_start >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
    GROUP BY of, model, provider, part
)
GROUP BY dimension, name
ORDER BY dimension, cost_pico_usd DESC, requests DESC, name
